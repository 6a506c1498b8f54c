import JSON

/// What a token says once its signature is right (RFC 7519, section 4.1).
struct TokenClaims: Sendable, Equatable {
    static let longestSubject = 255

    let subject: String
    let workspace: String
    let scopes: [String]
    /// Seconds since 1970.
    let expires: Double

    /// Checks issuer, audience and times, of which `exp` must be there. Scopes that are none of ours are left out: a
    /// token has others for others.
    init(_ claims: JSONObject, _ settings: TokenSettings, now: Double) throws(SignedToken.Fault) {
        func fault(_ reason: String) -> SignedToken.Fault { SignedToken.Fault(reason: reason) }
        let leeway = settings.leeway / .seconds(1)
        guard claims["iss"]?.string == settings.issuer else { throw fault("the token is of another issuer") }
        guard let audience = claims["aud"], Self.names(audience, settings.audience) else {
            throw fault("the token is for another audience")
        }
        guard let expires = claims["exp"].flatMap(Self.time) else { throw fault("the token has no exp") }
        guard now < expires + leeway else { throw fault("the token has expired") }
        if let given = claims["nbf"] {
            guard let start = Self.time(given), now >= start - leeway else { throw fault("the token is not valid yet") }
        }
        guard let subject = claims["sub"]?.string, (1...Self.longestSubject).contains(subject.utf8.count) else {
            throw fault("the token has no sub, or a long one")
        }
        let named = settings.workspaceClaim.flatMap { claims[$0] }
        guard let workspace = named == nil ? settings.workspace : named?.string, Workspace.isName(workspace) else {
            throw fault("the token names no workspace")
        }
        self.subject = subject
        self.workspace = workspace
        self.expires = expires + leeway
        let given = Self.list(claims[settings.scopeClaim]).prefix(256)
        let unknown = Set(ScopeSet.unknown(in: Array(given)))
        scopes = Array(given.filter { !unknown.contains($0) }.prefix(ScopeSet.maximumCount))
    }

    private static func names(_ claim: JSONValue, _ audience: String) -> Bool {
        claim.string == audience || claim.array?.contains { $0.string == audience } ?? false
    }

    private static func time(_ value: JSONValue) -> Double? {
        value.double.flatMap { $0 >= 0 && $0 < 1e12 ? $0 : nil }
    }

    private static func list(_ value: JSONValue?) -> [String] {
        if let text = value?.string { return text.split(separator: " ").map(String.init) }
        return value?.array?.compactMap(\.string) ?? []
    }
}
