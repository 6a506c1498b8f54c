import HTTP
import HTTPServer
import Observability
import Postgres
import Synchronization
import Testing

@testable import Access

/// Keys in memory, which counts the lookups and can be taken away.
private final class FakeKeys: KeyDirectory {
    private struct State {
        var keys: [KeyHash: ValidKey] = [:]
        var sessions: [KeyHash: ValidKey] = [:]
        var lookups = 0
        var isAway = false
    }

    private let state = Mutex(State())

    var lookups: Int { state.withLock { $0.lookups } }

    func add(_ key: APIKey, scopes: [String]) {
        let principal = Principal(workspaceID: 7, workspace: "default", keyID: 3, scopes: ScopeSet(scopes))
        state.withLock { $0.keys[key.hash] = ValidKey(principal: principal, hash: key.hash) }
    }

    func remove(_ key: APIKey) {
        state.withLock { $0.keys[key.hash] = nil }
    }

    func add(_ token: SessionToken, scopes: [String]) {
        let principal = Principal(workspaceID: 7, workspace: "default", keyID: 3, scopes: ScopeSet(scopes))
        state.withLock { $0.sessions[token.hash] = ValidKey(principal: principal, hash: token.hash) }
    }

    func goAway() {
        state.withLock { $0.isAway = true }
    }

    func find(_ hash: KeyHash) async throws -> ValidKey? {
        try state.withLock { state in
            state.lookups += 1
            if state.isAway { throw PostgresError(.unavailable, "away", doing: "connect") }
            return state.keys[hash]
        }
    }

    func findWorkspace(_ name: String) async throws -> Workspace? { nil }

    func findSession(_ hash: KeyHash) async throws -> ValidKey? {
        state.withLock { state in
            state.lookups += 1
            return state.sessions[hash]
        }
    }
}

private final class Time: Sendable {
    private let instant = Mutex(ContinuousClock.now)

    func pass(_ duration: Duration) {
        instant.withLock { $0 += duration }
    }

    var now: ContinuousClock.Instant { instant.withLock { $0 } }
}

@Suite struct AuthenticationMiddlewareTests {
    private let keys = FakeKeys()
    private let time = Time()
    private let application: Application
    private let authentication: AuthenticationMiddleware
    private let key: APIKey
    private let token: SessionToken

    init() throws {
        key = try APIKey.generate()
        token = try SessionToken.generate()
        let metrics = MetricsRegistry()
        let time = time
        authentication = AuthenticationMiddleware(keys: keys, metrics: metrics, clock: { time.now })
        func route(
            _ pattern: String, _ scope: String?, _ method: HTTPMethod = .get, reach: Route.Reach? = nil
        ) -> Route {
            let operation = Operation(id: pattern, summary: "", answers: [])
            return Route(method, pattern, scope: scope, reach: reach, operation: operation) { request in
                .text(.ok, try request.principal().workspace)
            }
        }
        let open = Route(
            .get, "/open", scope: nil, operation: Operation(id: "open", summary: "", answers: [])
        ) { _ in .text(.ok, "open") }
        application = Application(
            router: Router(routes: [
                route("/read", "datasets:read"), route("/read", "datasets:read", .post), route("/public", nil), open,
                route("/sets/{name}", "datasets:read"), route("/sets/{name}/all", "datasets:read", reach: .whole),
                route("/list", "datasets:read", reach: .handler), route("/ids/{id}", "datasets:read"),
            ]),
            middleware: [authentication], metrics: metrics)
    }

    /// `fields` are header lines as they go over the wire.
    private func answer(
        _ path: String, _ fields: [String] = [], method: String = "GET"
    ) async throws -> Response {
        let lines = ["\(method) \(path) HTTP/1.1", "host: a"] + fields + ["", ""]
        let bytes = Array(lines.joined(separator: "\r\n").utf8)
        var parser = RequestParser()
        var position = 0
        guard case .head(let head) = try parser.next(in: bytes, at: &position, to: bytes.count) else {
            throw Problem(.malformedRequest, "the test's request is not complete")
        }
        return await application.respond(
            to: Request(head, context: RequestContext(head, logger: .silent, peerAddress: "")))
    }

    private func text(_ response: Response) -> String {
        if case .bytes(let bytes) = response.body { String(decoding: bytes, as: UTF8.self) } else { "" }
    }

    private var authorization: String { "authorization: Bearer \(key.reveal())" }

    @Test func aValidKeyWithTheScopeGetsThrough() async throws {
        keys.add(key, scopes: ["datasets:*"])
        let response = try await answer("/read", [authorization])
        #expect(response.status == .ok)
        #expect(text(response) == "default")
    }

    @Test func theSchemeIsReadInAnyCaseAndWithSpaces() async throws {
        keys.add(key, scopes: ["datasets:read"])
        let response = try await answer("/read", ["AUTHORIZATION: bEARER   \(key.reveal())"])
        #expect(response.status == .ok)
    }

    @Test func aPublicRouteNeedsNoKeyAndKnowsNobody() async throws {
        #expect(try await answer("/open").status == .ok)
        #expect(try await answer("/public", [authorization]).status.code == 401)
        #expect(try await answer("/nowhere").status.code == 404)
        #expect(keys.lookups == 0)
    }

    @Test func withoutAKeyTheAnswerIs401AndNamesTheScheme() async throws {
        let response = try await answer("/read")
        #expect(response.status.code == 401)
        #expect(response.headers["www-authenticate"] == "Bearer")
        #expect(text(response).contains("\"code\":\"unauthorized\""))
    }

    @Test func whatIsNoKeyIsNotLookedUp() async throws {
        let wrong = [
            ["authorization: Bearer"], ["authorization: Bearer x"], ["authorization: Basic \(key.reveal())"],
            ["authorization: \(key.reveal())"], ["authorization: Bearer \(key.reveal()) x"],
            ["authorization: Bearer\(key.reveal())"], [authorization, authorization],
            ["x-authorization: Bearer \(key.reveal())"],
        ]
        keys.add(key, scopes: ["admin"])
        for fields in wrong { #expect(try await answer("/read", fields).status.code == 401, "\(fields)") }
        #expect(keys.lookups == 0)
    }

    @Test func anUnknownKeyIsLookedUpOnceInTenSeconds() async throws {
        for _ in 0..<5 {
            let response = try await answer("/read", [authorization])
            #expect(response.status.code == 401)
            #expect(response.headers["www-authenticate"] == "Bearer error=\"invalid_token\"")
        }
        #expect(keys.lookups == 1)
        keys.add(key, scopes: ["admin"])
        time.pass(.seconds(10))
        #expect(try await answer("/read", [authorization]).status == .ok)
    }

    @Test func aMissingScopeIs403AndNamed() async throws {
        keys.add(key, scopes: ["datasets:write", "query"])
        let response = try await answer("/read", [authorization])
        #expect(response.status.code == 403)
        #expect(text(response).contains("\"scope\":\"datasets:read\""))
        #expect(response.headers["www-authenticate"] == "Bearer error=\"insufficient_scope\", scope=\"datasets:read\"")
    }

    @Test(arguments: [
        ("/sets/web_1", 200), ("/sets/web", 403), ("/sets/web_%31", 200), ("/sets/%77eb_1", 200), ("/sets/x", 403),
        ("/sets/web_1/all", 403), ("/list", 200), ("/ids/web_1", 403), ("/read", 403),
    ])
    func aNarrowedKeyReachesWhatItsPatternNames(_ path: String, _ status: Int) async throws {
        keys.add(key, scopes: ["datasets:read/web_*", "query"])
        // Looked up, and then from the cache.
        for _ in 0..<2 { #expect(try await answer(path, [authorization]).status.code == status, "\(path)") }
    }

    @Test func aNarrowedKeyOfAnotherScopeReachesNoList() async throws {
        keys.add(key, scopes: ["datasets:write/web_*"])
        #expect(try await answer("/list", [authorization]).status.code == 403)
        #expect(try await answer("/sets/web_1", [authorization]).status.code == 403)
    }

    @Test func aRevokedKeyStopsWithinTenSeconds() async throws {
        keys.add(key, scopes: ["admin"])
        #expect(try await answer("/read", [authorization]).status == .ok)
        keys.remove(key)
        #expect(try await answer("/read", [authorization]).status == .ok)
        time.pass(.seconds(10))
        #expect(try await answer("/read", [authorization]).status.code == 401)
        #expect(keys.lookups == 2)
    }

    @Test func withTheDatabaseAwayAKnownKeyWorksUntilItsTimeIsOver() async throws {
        keys.add(key, scopes: ["admin"])
        #expect(try await answer("/read", [authorization]).status == .ok)
        keys.goAway()
        time.pass(.seconds(5))
        #expect(try await answer("/read", [authorization]).status == .ok)
        // Old enough that a request is sent to look it up again; that one must not fail either.
        time.pass(.seconds(4))
        #expect(try await answer("/read", [authorization]).status == .ok)
        #expect(keys.lookups == 2)
        time.pass(.seconds(1))
        let response = try await answer("/read", [authorization])
        #expect(response.status.code == 503)
        #expect(response.headers["retry-after"] != nil)
        #expect(text(response).contains("database_unavailable"))
    }

    @Test func theKeyIsInNoAnswer() async throws {
        for path in ["/read", "/nowhere"] {
            #expect(!text(try await answer(path, [authorization])).contains(key.reveal().dropFirst(9)))
        }
    }

    // MARK: - Sessions

    private var cookie: String { "cookie: theme=dark; \(SessionCookie.name)=\(token.reveal())" }

    @Test func aSessionsCookieStandsForItsKey() async throws {
        keys.add(token, scopes: ["datasets:read"])
        for _ in 0..<3 { #expect(try await answer("/read", [cookie]).status == .ok) }
        #expect(keys.lookups == 1)
        let typed = try await answer("/read", [cookie, "sec-fetch-site: none"])
        #expect(typed.status == .ok)
    }

    @Test func aTokenIsNoKeyAndAKeyNoToken() async throws {
        keys.add(token, scopes: ["admin"])
        keys.add(key, scopes: ["admin"])
        let wrong = [
            "authorization: Bearer \(token.reveal())", "cookie: \(SessionCookie.name)=\(key.reveal())",
            "cookie: x\(cookie.dropFirst(20))", "cookie: \(SessionCookie.name)=\"\(token.reveal())\"",
        ]
        for field in wrong { #expect(try await answer("/read", [field]).status.code == 401, "\(field)") }
    }

    @Test func ofTwoCookiesNoneCounts() async throws {
        keys.add(token, scopes: ["admin"])
        let other = "\(SessionCookie.name)=\(try SessionToken.generate().reveal())"
        #expect(try await answer("/read", ["\(cookie); \(other)"]).status.code == 401)
        #expect(try await answer("/read", [cookie, "cookie: \(other)"]).status.code == 401)
        #expect(keys.lookups == 0)
    }

    @Test func whereThereIsAKeyTheCookieDoesNotCount() async throws {
        keys.add(token, scopes: ["admin"])
        #expect(try await answer("/read", [cookie, authorization]).status.code == 401)
        keys.add(key, scopes: ["admin"])
        time.pass(.seconds(10))
        // A key is nothing that a browser adds by itself, so that any page may send one.
        let other = ["origin: https://other.example", "sec-fetch-site: cross-site"]
        #expect(try await answer("/read", [cookie, authorization] + other, method: "POST").status == .ok)
    }

    @Test(arguments: [
        ([], 403), (["origin: http://a"], 200), (["origin: https://a"], 200), (["origin: http://a:8080"], 403),
        (["origin: http://b"], 403), (["origin: null"], 403), (["origin: http://a.b"], 403), (["origin: ftp://a"], 403),
        (["origin: http://a", "origin: http://a"], 403), (["origin:"], 403), (["sec-fetch-site: same-origin"], 200),
        (["sec-fetch-site: same-site"], 403), (["sec-fetch-site: none"], 403), (["sec-fetch-site: cross-site"], 403),
        (["origin: http://a", "sec-fetch-site: same-origin"], 200),
        (["origin: http://a", "sec-fetch-site: same-site"], 403),
        (["origin: http://b", "sec-fetch-site: same-origin"], 403), (["referer: http://a/"], 403),
    ])
    func aCookieCountsOnlyForPagesOfTheSameOrigin(_ fields: [String], _ status: Int) async throws {
        keys.add(token, scopes: ["admin"])
        let response = try await answer("/read", [cookie] + fields, method: "POST")
        #expect(response.status.code == status)
        if status == 403 { #expect(text(response).contains("\"code\":\"cross_site_request\"")) }
    }

    @Test func aWebSocketIsNoReadingAndReadingIsRefusedToOtherOrigins() async throws {
        keys.add(token, scopes: ["admin"])
        let upgrade = ["connection: upgrade", "upgrade: websocket"]
        #expect(try await answer("/read", [cookie] + upgrade).status.code == 403)
        #expect(try await answer("/read", [cookie, "origin: http://a"] + upgrade).status == .ok)
        #expect(try await answer("/read", [cookie, "sec-fetch-site: same-site"]).status.code == 403)
        #expect(try await answer("/read", [cookie, "origin: http://b"]).status.code == 403)
    }

    @Test func aSessionThatWasEndedHereEndsAtOnce() async throws {
        keys.add(token, scopes: ["admin"])
        #expect(try await answer("/read", [cookie]).status == .ok)
        authentication.forget(token)
        #expect(try await answer("/read", [cookie]).status.code == 401)
    }

    @Test func aCookieIsOutOfScriptsReachAndSecureWhereItCameByTLS() throws {
        let clear = SessionCookie.setting(token, for: .seconds(60), isSecure: false)
        #expect(
            clear == "\(SessionCookie.name)=\(token.reveal()); Path=/; Max-Age=60; HttpOnly; SameSite=Strict")
        #expect(SessionCookie.setting(token, for: .seconds(60), isSecure: true) == clear + "; Secure")
        #expect(SessionCookie.removal(isSecure: false).hasPrefix("\(SessionCookie.name)=; Path=/; Max-Age=0;"))
        #expect("\(token)" == "<redacted>" && String(reflecting: token) == "<redacted>")
    }
}
