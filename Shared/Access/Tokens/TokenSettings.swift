/// Which tokens are taken, and what their claims mean.
public struct TokenSettings: Sendable {
    /// What `iss` must be.
    public var issuer: String
    /// What `aud` must be or have among its items.
    public var audience: String
    /// Where the issuer publishes its keys.
    public var keysURL: String
    /// How far the clocks may be apart.
    public var leeway = Duration.seconds(60)
    /// The claim that names the workspace; where it is nil, or a token has none, `workspace` is meant.
    public var workspaceClaim: String?
    /// Nil: a token without the claim is refused.
    public var workspace: String?
    /// The claim that lists scopes: text with spaces in between, or an array.
    public var scopeClaim = "scope"

    public init(issuer: String, audience: String, keysURL: String) {
        self.issuer = issuer
        self.audience = audience
        self.keysURL = keysURL
    }
}
