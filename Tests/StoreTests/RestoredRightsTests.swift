import Access
import HTTP
import JSON
import Postgres
import TestSupport
import Testing

@testable import Store

@Suite("Store: what migrate gives workspaces again")
struct RestoredRightsTests {
    /// Takes from a workspace's role what neither a dump of the database nor one of the roles without passwords has,
    /// and gives it the limit that earlier versions gave.
    private static func restore(_ role: String, in database: TestDatabase) async throws {
        try await database.administer(
            """
            revoke all on database \(database.name) from \(role);
            alter role \(role) in database \(database.name) reset all;
            alter role \(role) nologin connection limit 20 password null
            """)
    }

    private static func standing(of name: String, _ pool: PostgresPool) async throws -> WorkspaceStanding? {
        try await pool.withConnection { connection in
            guard let workspace = try await connection.query(FindWorkspace(name: name)).first else { return nil }
            return try await WorkspaceProvision.standing(of: workspace, on: connection)
        }
    }

    @Test("After a restore each workspace may connect again, with its settings, a password and no limit")
    func restored() async throws {
        let database = try await StoreDatabase.make()
        try await database.withPool { pool in
            let client = try StoreClient(pool)
            #expect(try await client.put("/v1/workspaces/restored", [:]).status == 201)
            #expect(try await Self.standing(of: "restored", pool) == WorkspaceStanding())
            try await pool.run("create table ws_restored.web (x int8)")
            try await Self.restore("millrace_ws_restored", in: database)
            try await database.administer("revoke select on ws_restored.web from millrace_ws_restored")
            let found = try #require(try await Self.standing(of: "restored", pool))
            #expect(found.isShut && found.excess.isEmpty)
            #expect(found.lacks.contains("CONNECT to the database") && found.lacks.contains("a role that may log in"))
            #expect(found.lacks.contains("the setting search_path"), "\(found.lacks)")

            try await StoreDatabase.migration(database.url).run()
            #expect(try await Self.standing(of: "restored", pool) == WorkspaceStanding())
            let role = try await database.administer(
                """
                select rolcanlogin, rolconnlimit, rolpassword like 'SCRAM-SHA-256$%',
                    has_table_privilege(rolname, 'ws_restored.web', 'select')
                from pg_authid where rolname = 'millrace_ws_restored'
                """)
            #expect(role == "t|-1|t|t")
        }
    }

    @Test("Where nothing is lacking, migrate changes no rights; limits and settings of an administrator stay")
    func unchanged() async throws {
        let database = try await StoreDatabase.make()
        try await database.withPool { pool in
            let client = try StoreClient(pool)
            #expect(try await client.put("/v1/workspaces/unchanged", [:]).status == 201)
            try await database.administer(
                """
                alter role millrace_ws_unchanged connection limit 5;
                alter role millrace_ws_unchanged in database \(database.name) set statement_timeout = '7s'
                """)
            try await StoreDatabase.migration(database.url).run()
            let rights = """
                select d.xmin::text || ' ' || n.xmin || ' ' || s.xmin || ' ' || r.rolconnlimit || ' '
                    || array_to_string(s.setconfig, ' ')
                from pg_database d, pg_namespace n, pg_db_role_setting s join pg_roles r on r.oid = s.setrole
                where d.datname = current_database() and n.nspname = 'ws_unchanged' and s.setdatabase = d.oid
                    and r.rolname = 'millrace_ws_unchanged'
                """
            let before = try await database.administer(rights)
            #expect(before.contains(" 5 ") && before.contains("statement_timeout=7s"), "\(before)")
            let mended = try await pool.withConnection { try await WorkspaceProvision.ensureAll(on: $0) }
            #expect(mended == 0)
            #expect(try await database.administer(rights) == before)
        }
    }

    @Test("Who works in a workspace does not wait for migrate, nor it for them; one that is being deleted stays shut")
    func besides() async throws {
        let database = try await StoreDatabase.make()
        try await database.withPool { pool in
            let client = try StoreClient(pool)
            for name in ["busy", "ending"] {
                #expect(try await client.put("/v1/workspaces/\(name)", [:]).status == 201)
            }
            #expect(try await client.delete("/v1/workspaces/ending?confirm=ending").status == 202)
            for name in ["busy", "ending"] { try await Self.restore("millrace_ws_\(name)", in: database) }
            try await pool.withTransaction { worker in
                try await worker.query(
                    """
                    insert into millrace.source (workspace_id, name)
                    select id, 'busy' from millrace.workspace where name = 'busy'
                    """)
                // On a connection of its own, while that one's transaction is open.
                try await pool.withConnection { _ = try await WorkspaceProvision.ensureAll(on: $0) }
            }
            #expect(try await Self.standing(of: "busy", pool) == WorkspaceStanding())
            let shut = try await database.administer(
                "select has_database_privilege('millrace_ws_ending', current_database(), 'connect')")
            #expect(shut == "f")
        }
    }
}
