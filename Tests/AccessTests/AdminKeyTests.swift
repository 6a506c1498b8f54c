import Postgres
import TestSupport
import Testing

@testable import Access

@Suite struct AdminKeyTests {
    @Test func theConfiguredKeyIsEnteredOnceAndMayEverything() async throws {
        let database = try await CatalogDatabase.make()
        try await database.withPool { pool in
            let key = try APIKey.generate()
            for _ in 0..<2 {
                try await pool.withConnection { try await AdminKey.ensure(key.reveal(), on: $0) }
            }
            let found = try #require(try await StoredKeys(pool).find(key.hash))
            #expect(found.principal.administersPlatform)
            #expect(try await database.administer("select count(*) from millrace.api_key") == "1")
        }
    }

    @Test func anotherConfiguredKeyTakesItsPlaceAndUsersKeysStay() async throws {
        let database = try await CatalogDatabase.make()
        try await database.withPool { pool in
            let (first, second, users) = (try APIKey.generate(), try APIKey.generate(), try APIKey.generate())
            try await pool.withConnection { connection in
                let workspace = try #require(try await connection.query(FindWorkspace(name: "default")).first)
                #expect(try await AdminKey.ensure(first.reveal(), on: connection) == nil)
                _ = try await connection.query(
                    InsertKey(users, as: NewKey(workspaceID: workspace.id, name: "u", scopes: ["query"])))
                #expect(try await AdminKey.ensure(second.reveal(), on: connection) != nil, "the first is revoked")
                #expect(try await AdminKey.ensure(second.reveal(), on: connection) == nil)
            }
            let keys = StoredKeys(pool)
            #expect(try await keys.find(first.hash) == nil)
            #expect(try await keys.find(second.hash) != nil)
            #expect(try await keys.find(users.hash) != nil)
            // Back to the first: it is entered already, and revoked.
            try await pool.withConnection { try await AdminKey.ensure(first.reveal(), on: $0) }
            #expect(try await keys.find(first.hash) != nil)
            #expect(try await keys.find(second.hash) == nil)
        }
    }

    @Test func aMalformedKeyAndAnUnknownWorkspaceAreRefused() async throws {
        let database = try await CatalogDatabase.make()
        try await database.withPool { pool in
            let key = try APIKey.generate().reveal()
            try await pool.withConnection { connection in
                let malformed = await #expect(throws: AccessError.self) {
                    try await AdminKey.ensure("planted-secret", on: connection)
                }
                #expect(malformed?.code == .malformedKey)
                #expect(malformed?.description.contains("planted") == false)
                let unknown = await #expect(throws: AccessError.self) {
                    try await AdminKey.ensure(key, workspace: "none", on: connection)
                }
                #expect(unknown?.code == .unknownWorkspace)
            }
        }
    }
}
