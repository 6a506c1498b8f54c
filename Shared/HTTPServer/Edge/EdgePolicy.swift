public import HTTP

/// How a server meets the world around its routes: whom it believes, and which other sites' pages it answers.
public struct EdgePolicy: Sendable {
    /// Whose `X-Forwarded-For` counts.
    public var trustedProxies = TrustedProxies.loopback
    /// Nil: pages of other origins may not read answers.
    public var crossOrigin: CrossOriginPolicy?

    public init() {}
}
