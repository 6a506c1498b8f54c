import HTTP
import HTTPServer
import Observability
import Postgres
import TestSupport
import Testing

@testable import Access

/// Sessions in the database: what ends them, and that no token is there to be read.
@Suite struct StoredSessionsTests {
    private struct Fixture: Sendable {
        let pool: PostgresPool
        let database: TestDatabase
        let key: APIKey
        let record: KeyRecord
        let workspaceID: Int64

        func begin(for lifetime: Duration = .seconds(3600)) async throws -> (token: SessionToken, expiry: Int64?) {
            let token = try SessionToken.generate()
            let insert = InsertSession(hash: token.hash, keyID: record.id, lifetime: lifetime)
            return (token, try await pool.withConnection { try await $0.query(insert).first })
        }

        func find(_ token: SessionToken) async throws -> ValidKey? {
            try await StoredKeys(pool).findSession(token.hash)
        }
    }

    private func withKey(
        lifetime: Duration? = nil, _ body: @Sendable (Fixture) async throws -> Void
    ) async throws {
        let database = try await CatalogDatabase.make()
        try await database.withPool { pool in
            let key = try APIKey.generate()
            let (record, workspaceID) = try await pool.withConnection { connection -> (KeyRecord, Int64) in
                let workspace = try #require(try await connection.query(FindWorkspace(name: "default")).first)
                let now = try await connection.query("select now()")[0].timestamp(0)
                let expiry = lifetime.map { now + $0.components.seconds * 1_000_000 }
                let insert = InsertKey(
                    key, as: NewKey(workspaceID: workspace.id, name: "test", scopes: ["query"], expiresAt: expiry))
                return (try #require(try await connection.query(insert).first), workspace.id)
            }
            try await body(
                Fixture(pool: pool, database: database, key: key, record: record, workspaceID: workspaceID))
        }
    }

    @Test func aSessionIsItsKeyForItsTime() async throws {
        try await withKey { fixture in
            let (token, expiry) = try await fixture.begin()
            let found = try #require(try await fixture.find(token))
            #expect(found.principal.keyID == fixture.record.id && found.principal.workspace == "default")
            #expect(found.principal.scopes == ScopeSet(["query"]) && found.hash == token.hash)
            let validFor = try #require(found.validFor)
            #expect(validFor > .seconds(3000) && validFor <= .seconds(3600))
            let expires = FindExpiry(keyID: fixture.record.id, session: token.hash)
            #expect(try await fixture.pool.withConnection { try await $0.query(expires).first } == .some(expiry))
            // Neither is taken for the other.
            #expect(try await StoredKeys(fixture.pool).find(token.hash) == nil)
            #expect(try await StoredKeys(fixture.pool).findSession(fixture.key.hash) == nil)
            let stored = try await fixture.database.administer("select * from millrace.session")
            #expect(!stored.contains(token.reveal().dropFirst(3)))
        }
    }

    @Test func aSessionEndsWithItsKeyAndNeverAfterIt() async throws {
        try await withKey(lifetime: .seconds(100)) { fixture in
            let (token, _) = try await fixture.begin()
            #expect(try #require(try await fixture.find(token)?.validFor) <= .seconds(100))
            let revoke = RevokeKey(id: fixture.record.id)
            _ = try await fixture.pool.withConnection { try await $0.execute(revoke) }
            #expect(try await fixture.find(token) == nil)
            #expect(try await fixture.begin().expiry == nil)
        }
    }

    @Test func anExpiredSessionIsNotFoundAndIsRemovedByTheNext() async throws {
        try await withKey { fixture in
            let (token, _) = try await fixture.begin(for: .seconds(-1))
            #expect(try await fixture.find(token) == nil)
            _ = try await fixture.begin()
            #expect(try await fixture.database.administer("select count(*) from millrace.session").contains("1"))
        }
    }

    @Test func aFurtherSessionEndsTheOldest() async throws {
        try await withKey { fixture in
            let (first, _) = try await fixture.begin()
            let (second, _) = try await fixture.begin()
            for _ in 2..<InsertSession.maximum { _ = try await fixture.begin() }
            #expect(try await fixture.find(first) != nil)
            _ = try await fixture.begin()
            #expect(try await fixture.find(first) == nil)
            #expect(try await fixture.find(second) != nil)
        }
    }

    @Test func signingOutEndsTheOneSession() async throws {
        try await withKey { fixture in
            let authentication = AuthenticationMiddleware(keys: StoredKeys(fixture.pool), metrics: MetricsRegistry())
            let sessions = Sessions(
                pool: fixture.pool, authentication: authentication, lifetime: .seconds(60))
            func request(_ method: HTTPMethod, _ fields: HTTPHeaders) throws -> Request {
                let head = try HTTPRequestHead(method, "/v1/session", headers: fields)
                return Request(head, context: RequestContext(head, logger: .silent, peerAddress: ""))
            }
            let (session, cookie) = try #require(try await sessions.begin(fixture.key, request(.post, [:])))
            #expect(session.principal.keyID == fixture.record.id && session.expiresAt != nil)
            let pair = cookie.prefix { $0 != ";" }
            let here: HTTPHeaders = ["cookie": String(pair), "host": "a", "origin": "http://a"]
            #expect(try await sessions.find(request(.get, here)).principal == session.principal)
            let elsewhere: HTTPHeaders = ["cookie": String(pair), "host": "a", "origin": "http://b"]
            await #expect(throws: Problem.self) { try await sessions.end(request(.delete, elsewhere)) }
            #expect(try await sessions.find(request(.get, here)).expiresAt == session.expiresAt)
            // Signing in again ends what the browser had.
            let again = try #require(try await sessions.begin(fixture.key, request(.post, here)))
            await #expect(throws: Problem.self) { try await sessions.find(request(.get, here)) }
            let now: HTTPHeaders = [
                "cookie": String(again.cookie.prefix { $0 != ";" }), "host": "a", "origin": "http://a",
            ]
            #expect(try await sessions.find(request(.get, now)).principal == session.principal)
            try await sessions.end(request(.delete, now))
            await #expect(throws: Problem.self) { try await sessions.find(request(.get, now)) }
            let left = try await fixture.database.administer("select count(*) from millrace.session")
            #expect(left.contains("0"))
        }
    }
}
