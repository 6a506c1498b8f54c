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
    private let key: APIKey

    init() throws {
        key = try APIKey.generate()
        let metrics = MetricsRegistry()
        let time = time
        let authentication = AuthenticationMiddleware(keys: keys, metrics: metrics, clock: { time.now })
        func route(_ pattern: String, _ scope: String?) -> Route {
            Route(.get, pattern, scope: scope, operation: Operation(id: pattern, summary: "", answers: [])) { request in
                .text(.ok, try request.principal().workspace)
            }
        }
        let open = Route(
            .get, "/open", scope: nil, operation: Operation(id: "open", summary: "", answers: [])
        ) { _ in .text(.ok, "open") }
        application = Application(
            router: Router(routes: [route("/read", "datasets:read"), route("/public", nil), open]),
            middleware: [authentication], metrics: metrics)
    }

    /// `fields` are header lines as they go over the wire.
    private func answer(_ path: String, _ fields: [String] = []) async throws -> Response {
        let lines = ["GET \(path) HTTP/1.1", "host: a"] + fields + ["", ""]
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
}
