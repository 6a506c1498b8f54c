public import HTTP

/// How a server meets the world around its routes: whom it believes, which other sites' pages it answers, and whether
/// it compresses.
public struct EdgePolicy: Sendable {
    /// Whose `X-Forwarded-For` counts.
    public var trustedProxies = TrustedProxies.loopback
    /// Nil: pages of other origins may not read answers.
    public var crossOrigin: CrossOriginPolicy?
    /// Whether answers are compressed for clients that accept it.
    public var compresses = true

    public init() {}
}
