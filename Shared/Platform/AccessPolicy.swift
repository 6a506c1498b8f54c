public import Access
public import Configuration
import HTTP
import HTTPClient

/// Who is let in besides those with keys, and what is noted of what everybody does.
public struct AccessPolicy: Sendable {
    /// Nil: keys only.
    public var tokens: TokenSettings?
    /// How the token issuer is reached.
    var client = HTTPClientSettings()
    public var audit = AuditTrail.Extent.changes

    public init() {}

    /// Reads it from the settings. Tokens are taken where the first three are set, which are all or none.
    ///
    /// | variable | default | |
    /// |---|---|---|
    /// | `MILLRACE_JWT_ISSUER` | | what a token's `iss` must be |
    /// | `MILLRACE_JWT_AUDIENCE` | | what its `aud` must be, or have among its items |
    /// | `MILLRACE_JWT_KEYS_URL` | | where the issuer publishes its keys (JWKS), `https://…` |
    /// | `MILLRACE_JWT_NETWORKS` | | private ranges in which that may be, such as `10.0.0.0/8`; there `http` will do |
    /// | `MILLRACE_JWT_AUTHORITIES` | the system's | a file of PEM certificates to trust there |
    /// | `MILLRACE_JWT_LEEWAY` | `60s` | how far clocks may be apart |
    /// | `MILLRACE_JWT_WORKSPACE` | | the workspace of a token that names none |
    /// | `MILLRACE_JWT_WORKSPACE_CLAIM` | | the claim that names the workspace |
    /// | `MILLRACE_JWT_SCOPE_CLAIM` | `scope` | the claim that lists scopes |
    /// | `MILLRACE_AUDIT_LOG` | `changes` | `off`, `changes` or `all` |
    public init(from settings: inout Settings) {
        audit = settings.choice("MILLRACE_AUDIT_LOG", default: .changes)
        client.addresses = AddressPolicy(
            opening: settings.addressRanges("MILLRACE_JWT_NETWORKS"), keepsClearTextInside: true)
        client.certificateAuthorities = settings.optionalText("MILLRACE_JWT_AUTHORITIES")
        client.userAgent = "Millrace (token issuer's keys)"
        let leeway = settings.duration(
            "MILLRACE_JWT_LEEWAY", default: .seconds(60), in: .zero ... .seconds(600))
        let workspace = settings.optionalText("MILLRACE_JWT_WORKSPACE")
        if let workspace, !Workspace.isName(workspace) {
            settings.refuse("MILLRACE_JWT_WORKSPACE", "must be a workspace's name")
        }
        let workspaceClaim = settings.optionalText("MILLRACE_JWT_WORKSPACE_CLAIM")
        let scopeClaim = settings.text("MILLRACE_JWT_SCOPE_CLAIM", default: "scope")
        let names = ["MILLRACE_JWT_ISSUER", "MILLRACE_JWT_AUDIENCE", "MILLRACE_JWT_KEYS_URL"]
        let texts = names.map { settings.optionalText($0) }
        guard let issuer = texts[0], let audience = texts[1], let url = texts[2] else {
            if texts.contains(where: { $0 != nil }) {
                for (name, text) in zip(names, texts) where text == nil {
                    settings.refuse(name, "is required where tokens are to be taken")
                }
            }
            return
        }
        guard Self.mayFetch(url, client.addresses) else {
            settings.refuse(names[2], "must begin with https://, or be in MILLRACE_JWT_NETWORKS")
            return
        }
        if workspace == nil, workspaceClaim == nil {
            settings.refuse("MILLRACE_JWT_WORKSPACE", "or MILLRACE_JWT_WORKSPACE_CLAIM must be set")
        }
        var tokens = TokenSettings(issuer: issuer, audience: audience, keysURL: url)
        tokens.leeway = leeway
        tokens.workspace = workspace
        tokens.workspaceClaim = workspaceClaim
        tokens.scopeClaim = scopeClaim
        self.tokens = tokens
    }

    /// Whether keys may be fetched from there as far as the URL says; of a name the connection's address decides.
    private static func mayFetch(_ url: String, _ addresses: AddressPolicy) -> Bool {
        if url.hasPrefix("https://") { return true }
        guard url.hasPrefix("http://"), !addresses.opened.isEmpty else { return false }
        guard let address = HTTPClient.literalAddress(of: url) else { return true }
        return addresses.allows(address, inClear: true)
    }
}
