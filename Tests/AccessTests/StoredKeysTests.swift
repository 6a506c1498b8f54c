import Postgres
import TestSupport
import Testing

@testable import Access

@Suite struct StoredKeysTests {
    private func withCatalog(
        _ body: @Sendable (PostgresPool, Workspace, TestDatabase) async throws -> Void
    ) async throws {
        let database = try await CatalogDatabase.make()
        try await database.withPool { pool in
            let workspaces = try await pool.withConnection { try await $0.query(FindWorkspace(name: "default")) }
            try await body(pool, try #require(workspaces.first), database)
        }
    }

    private func insert(
        _ key: APIKey, _ scopes: [String], lifetime: Duration? = nil, into workspace: Int64, _ pool: PostgresPool
    ) async throws -> KeyRecord {
        try await pool.withConnection { connection in
            let now = try await connection.query("select now()")[0].timestamp(0)
            let expiry = lifetime.map { now + $0.components.seconds * 1_000_000 }
            let statement = InsertKey(
                key, as: NewKey(workspaceID: workspace, name: "test", scopes: scopes, expiresAt: expiry))
            return try #require(try await connection.query(statement).first)
        }
    }

    @Test func aStoredKeyIsFoundByItsHash() async throws {
        try await withCatalog { pool, workspace, database in
            let key = try APIKey.generate()
            let record = try await insert(key, ["datasets:*", "query"], into: workspace.id, pool)
            #expect(record.prefix == key.visiblePrefix)
            let found = try #require(try await StoredKeys(pool).find(key.hash))
            #expect(found.principal.workspaceID == workspace.id)
            #expect(found.principal.workspace == "default")
            #expect(found.principal.keyID == record.id)
            #expect(found.principal.scopes == ScopeSet(["datasets:*", "query"]))
            #expect(found.validFor == nil)
            let other = try APIKey.generate().hash
            #expect(try await StoredKeys(pool).find(other) == nil)
            let stored = try await database.administer("select * from millrace.api_key")
            #expect(!stored.contains(key.reveal().dropFirst(APIKey.visibleLength)))
        }
    }

    @Test func anExpiredKeyIsNotFoundAndTheOthersSayHowLongTheyAreValid() async throws {
        try await withCatalog { pool, workspace, _ in
            let (gone, soon) = (try APIKey.generate(), try APIKey.generate())
            _ = try await insert(gone, ["query"], lifetime: .seconds(-1), into: workspace.id, pool)
            _ = try await insert(soon, ["query"], lifetime: .seconds(3600), into: workspace.id, pool)
            #expect(try await StoredKeys(pool).find(gone.hash) == nil)
            let found = try #require(try await StoredKeys(pool).find(soon.hash))
            let validFor = try #require(found.validFor)
            #expect(validFor > .seconds(3000) && validFor <= .seconds(3600))
        }
    }

    private func read(_ id: Int64, of workspace: Int64? = nil, _ pool: PostgresPool) async throws -> KeyRecord? {
        let find = FindListedKey(id: id, workspaceID: workspace)
        return try await pool.withConnection { try await $0.query(find).first }?.record
    }

    @Test func aRevokedKeyIsNotFoundAndKeepsItsTime() async throws {
        try await withCatalog { pool, workspace, _ in
            let key = try APIKey.generate()
            let id = try await insert(key, ["query"], into: workspace.id, pool).id
            #expect(try await pool.withConnection { try await $0.execute(RevokeKey(id: id)) } == 1)
            let first = try #require(try await read(id, pool))
            #expect(try await pool.withConnection { try await $0.execute(RevokeKey(id: id)) } == 0)
            #expect(first.revokedAt != nil && first.state == .revoked && first.version == 2)
            #expect(try await read(id, pool) == first)
            #expect(try await StoredKeys(pool).find(key.hash) == nil)
        }
    }

    @Test func aRetiredKeyRunsOutAfterItsGraceButNeverLater() async throws {
        try await withCatalog { pool, workspace, _ in
            let key = try APIKey.generate()
            let id = try await insert(key, ["query"], into: workspace.id, pool).id
            func retire(_ grace: Duration) async throws -> KeyRecord? {
                _ = try await pool.withConnection { try await $0.execute(RetireKey(id: id, grace: grace)) }
                return try await read(id, pool)
            }
            let hour = try #require(try await retire(.seconds(3600))?.expiresAt)
            let day = try #require(try await retire(.seconds(86_400))?.expiresAt)
            #expect(day == hour)
            #expect(try await StoredKeys(pool).find(key.hash) != nil)
            #expect(try await retire(.seconds(-1))?.state == .expired)
            #expect(try await StoredKeys(pool).find(key.hash) == nil)
        }
    }

    @Test func anotherWorkspacesKeysCannotBeReadOrListed() async throws {
        try await withCatalog { pool, workspace, _ in
            let added = try await pool.withConnection { try await $0.query(InsertWorkspace(name: "other")) }
            let other = try #require(added.first)
            #expect(other.schema == "ws_other")
            #expect(other.queryRole == "millrace_ws_other")
            let key = try APIKey.generate()
            let id = try await insert(key, ["admin"], into: other.id, pool).id
            #expect(try await read(id, of: workspace.id, pool) == nil)
            #expect(try await read(id, of: other.id, pool)?.id == id)
            let listed = try await pool.withConnection {
                try await $0.query(ListKeys(workspaceID: workspace.id, limit: 10))
            }
            #expect(listed.isEmpty)
            #expect(try await StoredKeys(pool).find(key.hash)?.principal.workspace == "other")
        }
    }

    @Test func noKeyOfAWorkspaceThatIsBeingDeletedIsFound() async throws {
        try await withCatalog { pool, workspace, _ in
            let key = try APIKey.generate()
            _ = try await insert(key, ["admin"], into: workspace.id, pool)
            #expect(try await StoredKeys(pool).find(key.hash) != nil)
            _ = try await pool.withConnection { try await $0.execute(EndWorkspace(id: workspace.id)) }
            #expect(try await StoredKeys(pool).find(key.hash) == nil)
        }
    }

    @Test func limitsAreTheKeys() async throws {
        try await withCatalog { pool, workspace, _ in
            let key = try APIKey.generate()
            let limits = KeyLimits(requestsPerSecond: 5, bytesPerDay: 1 << 40)
            let insert = InsertKey(
                key, as: NewKey(workspaceID: workspace.id, name: "n", scopes: ["query"], limits: limits))
            let record = try await pool.withConnection { try await $0.query(insert).first }
            #expect(record?.limits == limits)
            #expect(try await StoredKeys(pool).find(key.hash)?.principal.limits == limits)
        }
    }

    @Test func listsGoOnAfterACursor() async throws {
        try await withCatalog { pool, workspace, _ in
            var ids: [Int64] = []
            for _ in 0..<5 {
                ids.append(try await insert(try APIKey.generate(), ["query"], into: workspace.id, pool).id)
            }
            let expected = ids
            try await pool.withConnection { connection in
                let first = try await connection.query(ListKeys(workspaceID: workspace.id, limit: 3))
                #expect(first.map(\.record.id) == Array(expected.prefix(3)))
                let rest = try await connection.query(
                    ListKeys(workspaceID: workspace.id, after: expected[2], limit: 3))
                #expect(rest.map(\.record.id) == Array(expected.suffix(2)))
                let workspaces = try await connection.query(ListWorkspaces(limit: 10))
                #expect(workspaces.map(\.name) == ["default"])
                let later = try await connection.query(ListWorkspaces(after: workspace.id, limit: 10))
                #expect(later.isEmpty)
            }
        }
    }

    @Test func aWorkspaceIsEnteredOnce() async throws {
        try await withCatalog { pool, _, _ in
            try await pool.withConnection { connection in
                let again = try await connection.query(InsertWorkspace(name: "default"))
                let unknown = try await connection.query(FindWorkspace(name: "none"))
                #expect(again.isEmpty && unknown.isEmpty)
            }
        }
    }

    @Test func theIndexFindsAKey() async throws {
        try await withCatalog { pool, _, database in
            try await database.administer(
                """
                insert into millrace.api_key (workspace_id, name, prefix, hash, scopes)
                select 1, 'n', 'mr_', sha256(i::text::bytea), '{query}' from generate_series(1, 5000) i;
                analyze millrace.api_key;
                """)
            let plan = try await database.administer(
                "prepare p(bytea) as \(FindKey.sql); explain execute p('\\\\x00')")
            #expect(plan.contains("api_key_hash_key"))
        }
    }
}
