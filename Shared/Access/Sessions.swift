import HTTP
public import HTTPServer
public import Postgres

/// Sessions of browsers: a key exchanged for a cookie, so that no page's script ever holds the key.
///
/// A session is its key for as long as both last: revoking the key ends it, everywhere within the time for which keys
/// are remembered (`KeyCache`).
public struct Sessions: Sendable {
    /// A session that has just been made, or is in use.
    public struct Session: Sendable {
        public let principal: Principal
        /// Microseconds since 2000-01-01 UTC; nil for a key that does not expire.
        public let expiresAt: Int64?
    }

    private let pool: PostgresPool
    private let authentication: AuthenticationMiddleware
    /// How long one lasts, unless its key ends sooner.
    private let lifetime: Duration

    public init(pool: PostgresPool, authentication: AuthenticationMiddleware, lifetime: Duration) {
        self.pool = pool
        self.authentication = authentication
        self.lifetime = lifetime
    }

    /// Makes a session of the key, in the place of that of the request's cookie; nil unless the key may be used. The
    /// cookie is for the answer's `Set-Cookie`.
    public func begin(_ key: APIKey, _ request: Request) async throws -> (session: Session, cookie: String)? {
        guard let principal = try await authentication.principal(of: key) else { return nil }
        let token = try SessionToken.generate()
        let insert = InsertSession(hash: token.hash, keyID: principal.keyID, lifetime: lifetime)
        guard let expiry = try await pool.withConnection({ try await $0.query(insert).first }) else { return nil }
        if let former = SessionCookie.token(in: request.head) { try await end(former) }
        let cookie = SessionCookie.setting(token, for: lifetime, isSecure: request.isSecure)
        return (Session(principal: principal, expiresAt: expiry), cookie)
    }

    /// The key of the request's `Authorization` field; nil where there is none.
    public static func key(of request: Request) -> APIKey? { BearerToken.key(in: request.head) }

    /// Who sends the request, by a key or a session; throws `unauthorized` for nobody.
    public func find(_ request: Request) async throws -> Session {
        let principal = try await authentication.identify(request)
        let find = FindExpiry(keyID: principal.keyID, session: SessionCookie.token(in: request.head)?.hash)
        let expiry = try await pool.withConnection { try await $0.query(find).first } ?? nil
        return Session(principal: principal, expiresAt: expiry)
    }

    /// Ends the session of the request's cookie, if it has one. Throws `cross_site_request`.
    public func end(_ request: Request) async throws {
        guard let token = SessionCookie.token(in: request.head) else { return }
        try SameOrigin.check(request.head)
        try await end(token)
    }

    private func end(_ token: SessionToken) async throws {
        try await pool.withConnection { _ = try await $0.execute(DeleteSession(hash: token.hash)) }
        authentication.forget(token)
    }
}
