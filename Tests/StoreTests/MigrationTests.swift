import Access
import Observability
import Postgres
import TestSupport
import Testing

@testable import Store

@Suite("Store: millrace-store migrate")
struct MigrationTests {
    @Test("Run by several at once and again, it makes one workspace, one role and one key")
    func concurrently() async throws {
        let database = try await TemporaryPostgres.shared().database()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<4 { group.addTask { try await StoreDatabase.migration(database.url).run() } }
            try await group.waitForAll()
        }
        try await StoreDatabase.migration(database.url).run()
        try await database.withPool { pool in
            #expect(try await pool.texts("select name from millrace.workspace") == ["default"])
            #expect(try await pool.int("select count(*) from millrace.workspace_secret") == 1)
            #expect(try await pool.int("select count(*) from millrace.api_key where revoked_at is null") == 1)
            let role = try await pool.texts(
                """
                select concat_ws(' ', rolcanlogin, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolreplication,
                    rolbypassrls, rolconnlimit) from pg_roles where rolname = 'millrace_ws_default'
                """)
            #expect(role == ["t f f f f f f -1"])
        }
    }

    @Test("The workspace's role reads its own schema and nothing else")
    func roleIsNarrow() async throws {
        let database = try await StoreDatabase.make()
        // A copy of a database does not inherit the rights to the database itself.
        try await StoreDatabase.migration(database.url).run()
        try await database.withPool { pool in
            try await pool.run("create table ws_default.web (id int8)")
        }
        let query = "set session authorization millrace_ws_default; "
        #expect(try await database.administer(query + "select count(*) from ws_default.web") == "0")
        for refused in [
            "select count(*) from millrace.workspace_secret", "select count(*) from millrace.api_key",
            "select count(*) from landing.payload", "select count(*) from queue.job",
            "set default_transaction_read_only = off; insert into ws_default.web values (1)",
            "set default_transaction_read_only = off; create table ws_default.mine (id int8)",
            "set default_transaction_read_only = off; create temp table mine (id int8)", "set role millrace",
        ] {
            await #expect(throws: (any Error).self, "\(refused)") { try await database.administer(query + refused) }
        }
    }

    @Test("The password kept for the role is the one it logs in with, and no statement carries it")
    func password() async throws {
        let database = try await StoreDatabase.make()
        try await database.withPool { pool in
            let id = try await pool.int("select id from millrace.workspace")
            let password = try await pool.withConnection {
                try await $0.query(FindWorkspacePassword(workspaceID: Int64(id))).first
            }
            #expect(password?.utf8.count == 43)
            try await pool.withConnection { connection in
                _ = try await WorkspaceProvision.ensure("default", on: connection)
            }
            let kept = try await database.administer(
                "select rolpassword from pg_authid where rolname = 'millrace_ws_default'")
            #expect(kept.hasPrefix("SCRAM-SHA-256$4096:"))
            #expect(!kept.contains(password ?? ""))
        }
    }
}
