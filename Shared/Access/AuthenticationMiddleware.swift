import HTTP
public import HTTPServer
public import Observability
import Postgres
import Synchronization

/// Lets a request through to a route with a scope only with a key that has the scope (`Authorization: Bearer`,
/// RFC 6750), with the cookie of a session of such a key, or with a token of the issuer that is trusted, and sets its
/// `Principal`.
///
/// Throws `unauthorized` without any, `forbidden` naming the scope that is missing, `cross_site_request` for a cookie
/// on another site's request, `rate_limited` beyond the key's limits, `database_unavailable` when the credential is not
/// in the cache and cannot be looked up, and `issuer_unavailable`.
public final class AuthenticationMiddleware: Middleware {
    public typealias Clock = @Sendable () -> ContinuousClock.Instant

    private let keys: any KeyDirectory
    private let meter: KeyMeter
    private let issuer: TokenIssuer?
    private let cache: Mutex<KeyCache>
    private let clock: Clock
    private let allowed: Counter
    private let refused: Counter
    private let forbidden: Counter
    private let lookups: Counter

    /// Without a meter it has one of its own, which knows of this process alone.
    public init(
        keys: any KeyDirectory, meter: KeyMeter? = nil, issuer: TokenIssuer? = nil, metrics: MetricsRegistry,
        clock: @escaping Clock = { ContinuousClock.now }
    ) {
        self.keys = keys
        self.issuer = issuer
        self.meter = meter ?? KeyMeter(nil, logger: .silent, metrics: metrics)
        self.clock = clock
        cache = Mutex(KeyCache())
        func counter(_ outcome: String) -> Counter {
            metrics.counter(
                "millrace_authentication_total", help: "Requests by what their key allowed.",
                labels: [("outcome", outcome)])
        }
        allowed = counter("allowed")
        refused = counter("unauthorized")
        forbidden = counter("forbidden")
        lookups = metrics.counter("millrace_key_lookups_total", help: "Keys looked up in the database.")
    }

    /// Decides by what is known of the key; false where it is to be looked up.
    public func admitAtOnce(_ request: inout Request) throws -> Bool {
        guard let scope = request.route?.scope else { return true }
        guard let credential = Credential(request.head) else { throw refuse(request) }
        try credential.checkOrigin(request.head)
        let hash = credential.hash
        let now = clock()
        switch cache.withLock({ $0.peek(for: hash, now: now) }) {
        case .known(let principal): try admit(principal, scope, &request)
        case .refused: throw refuse(request)
        case .refresh, .lookUp: return false
        }
        return true
    }

    public nonisolated(nonsending) func admit(_ request: inout Request) async throws {
        guard let scope = request.route?.scope else { return }
        guard let principal = try await principal(of: request.head) else { throw refuse(request) }
        try admit(principal, scope, &request)
    }

    private func admit(_ principal: Principal, _ scope: String, _ request: inout Request) throws {
        request.context.principal = principal
        if principal.limits != .none { try meter.admit(principal, &request, now: clock()) }
        do {
            try Self.require(scope, of: principal, request)
        } catch {
            forbidden.add()
            throw error
        }
        allowed.add()
    }

    /// Holds a key whose scope is narrowed to the names that the route is about.
    private static func require(_ scope: String, of principal: Principal, _ request: Request) throws(Problem) {
        if principal.scopes.allows(scope) { return }
        switch request.route?.reach {
        case .named(let parameter): try principal.require(scope, on: request.parameter(parameter))
        case .handler where principal.scopes.allowsSome(scope): return
        case .handler, .whole, nil: throw .missingScope(scope)
        }
    }

    private func refuse(_ request: Request) -> Problem {
        refused.add()
        return Self.unauthorized(request.head)
    }

    /// Looks at a request's key again, for what goes on long after its request; throws as for a new one. `octets` have
    /// come meanwhile, and count as a body's.
    public func check(_ request: Request, octets: Int = 0) async throws {
        guard let principal = try await stillAllowed(request) else { return }
        try meter.admit(octets: octets, principal, now: clock())
    }

    /// Waits for as long as the request's key counts for what it asked for, and throws once it does not: for what goes
    /// on without a word from its client. While that cannot be found out nothing ends.
    public func watch(_ request: Request) async throws {
        while true {
            try await Task.sleep(for: KeyCache.lifetime / 5)
            do {
                _ = try await stillAllowed(request)
            } catch let problem as Problem where problem.code == .unauthorized || problem.code == .forbidden {
                throw problem
            } catch {
                continue
            }
        }
    }

    /// Whose the request is, by what is known of its key now; nil on a public route. Throws as for a new request.
    private func stillAllowed(_ request: Request) async throws -> Principal? {
        guard let scope = request.route?.scope else { return nil }
        guard let principal = try await principal(of: request.head) else { throw Self.unauthorized(request.head) }
        try Self.require(scope, of: principal, request)
        return principal
    }

    /// Who sends a request to a public route; throws `unauthorized` for nobody, and otherwise as `admit`.
    func identify(_ request: Request) async throws -> Principal {
        guard let principal = try await principal(of: request.head) else { throw refuse(request) }
        allowed.add()
        return principal
    }

    /// Whose key it is; nil for one that may not be used.
    func principal(of key: APIKey) async throws -> Principal? {
        let principal = try await principal(of: Credential.key(key.hash))
        if principal == nil { refused.add() }
        return principal
    }

    /// Drops what is known of a session that has just been ended here.
    func forget(_ token: SessionToken) {
        let now = clock()
        cache.withLock { $0.store(nil, validFor: nil, for: token.hash, started: now) }
    }

    private nonisolated(nonsending) func principal(of head: HTTPRequestHead) async throws -> Principal? {
        guard let credential = Credential(head) else { return nil }
        try credential.checkOrigin(head)
        return try await principal(of: credential)
    }

    private nonisolated(nonsending) func principal(of credential: Credential) async throws -> Principal? {
        let started = clock()
        switch cache.withLock({ $0.answer(for: credential.hash, now: started) }) {
        case .known(let principal): return principal
        case .refused: return nil
        case .lookUp: return try await lookUp(credential, started, meanwhile: nil)
        case .refresh(let principal): return try await lookUp(credential, started, meanwhile: principal)
        }
    }

    /// The index finds the key by its hash, in a time that depends on the hash; to learn from that, a client would
    /// have to choose digests. What is found is compared in constant time all the same.
    private nonisolated(nonsending) func lookUp(
        _ credential: Credential, _ started: ContinuousClock.Instant, meanwhile: Principal?
    ) async throws -> Principal? {
        lookups.add()
        let hash = credential.hash
        let found: ValidKey?
        do {
            found =
                switch credential {
                case .key: try await keys.find(hash)
                case .session: try await keys.findSession(hash)
                case .token(_, let text): try await find(text, hash)
                }
        } catch let error as PostgresError where error.isUnavailable {
            if let meanwhile { return meanwhile }
            throw Problem(.databaseUnavailable, "the key cannot be looked up now", retryAfter: .seconds(1))
        }
        let principal = found?.hash == hash ? found?.principal : nil
        if let principal, let use = found?.use { meter.learn(use, of: principal, now: started) }
        cache.withLock { $0.store(principal, validFor: found?.validFor, for: hash, started: started) }
        return principal
    }

    /// What a token of the issuer stands for; nil where none is taken, for one that does not count, and where its
    /// workspace is not there. Throws `issuer_unavailable`, and as the database does.
    private nonisolated(nonsending) func find(_ text: [UInt8], _ hash: KeyHash) async throws -> ValidKey? {
        guard let issuer else { return nil }
        let (claims, validFor): (TokenClaims, Duration)
        do {
            (claims, validFor) = try await issuer.verify(text)
        } catch is SignedToken.Fault {
            return nil
        }
        guard let workspace = try await keys.findWorkspace(claims.workspace) else { return nil }
        let principal = Principal(
            workspaceID: workspace.id, workspace: workspace.name, keyID: 0, scopes: ScopeSet(claims.scopes),
            subject: claims.subject)
        return ValidKey(principal: principal, hash: hash, validFor: validFor)
    }

    private static func unauthorized(_ head: HTTPRequestHead) -> Problem {
        guard head.contains("authorization") else {
            return Problem(.unauthorized, "send a key as Authorization: Bearer")
        }
        var problem = Problem(.unauthorized, "the key is not valid")
        problem.headers["www-authenticate"] = "Bearer error=\"invalid_token\""
        return problem
    }
}
