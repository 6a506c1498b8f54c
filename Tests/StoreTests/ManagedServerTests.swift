import Access
import HTTP
import JSON
import Postgres
import TestSupport
import Testing

@testable import Store

/// A server whose administrator is no superuser: only CREATEROLE and CREATEDB, as managed servers have it.
@Suite("Store: on a managed server")
struct ManagedServerTests {
    private static let database = "managed"

    /// Prepared as deploy/docs/operations.md says; that can be repeated.
    private static func empty() async throws -> TemporaryPostgres {
        let cluster = try await TemporaryPostgres.start()
        try await cluster.administer("create role boss login createrole createdb", database: "postgres")
        for _ in 1...2 { try await cluster.prepare(database, role: "services", as: "boss") }
        return cluster
    }

    private static func server() async throws -> TemporaryPostgres {
        let cluster = try await empty()
        try await StoreDatabase.migration(cluster.url(of: database, as: "services")).run()
        return cluster
    }

    private static func withPool(
        _ cluster: TemporaryPostgres, _ body: @Sendable (PostgresPool) async throws -> Void
    ) async throws {
        let url = cluster.url(of: database, as: "services")
        try await withRunningPool(try PostgresConfiguration(url: url, poolSize: 2), body)
    }

    @Test("prepare.sql and migrate do, and the services' role is no superuser")
    func prepared() async throws {
        let cluster = try await Self.server()
        let role = try await cluster.administer(
            "select rolsuper, rolcreaterole, rolcreatedb from pg_roles where rolname = 'services'",
            database: Self.database)
        #expect(role == "f|t|f")
        try await Self.withPool(cluster) { pool in
            try await pool.withConnection { connection in
                let workspace = try #require(try await connection.query(FindWorkspace(name: "default")).first)
                let standing = try await WorkspaceProvision.standing(of: workspace, on: connection)
                #expect(standing.lacks.isEmpty && !standing.isShut)
                // Only what every role may do by default; nothing that an administrator of the database can take.
                let rights = try await WorkspaceProvision.excessRights(of: workspace.queryRole, on: connection)
                #expect(!rights.isEmpty && standing.excess == rights)
            }
        }
        await #expect(throws: (any Error).self) {
            try await cluster.prepare("other", role: "postgres", as: "boss")
        }
    }

    @Test("A second workspace is refused with what to do, and nothing of it is left")
    func second() async throws {
        let cluster = try await Self.server()
        try await Self.withPool(cluster) { pool in
            let client = try StoreClient(pool)
            for _ in 1...2 {
                let answer = try await client.put("/v1/workspaces/two", [:])
                #expect(answer.status == 503 && answer.code == "query_unavailable", "\(answer.text)")
                #expect(answer.text.contains("prepare.sql") && answer.text.contains("superuser"), "\(answer.text)")
                #expect(answer.headers["retry-after"] != nil)
            }
            #expect(try await client.put("/v1/workspaces/default", ["description": "the only one"]).status == 200)
            #expect(try await pool.texts("select name from millrace.workspace") == ["default"])
            #expect(try await pool.int("select count(*) from pg_namespace where nspname = 'ws_two'") == 0)
            #expect(try await pool.int("select count(*) from pg_roles where rolname = 'millrace_ws_two'") == 0)
            // Once a superuser has done what only one can do, it is made.
            try await cluster.prepare(Self.database, role: "services")
            #expect(try await client.put("/v1/workspaces/two", [:]).status == 201)
        }
    }

    @Test("A dump is restored as the services' role, after which migrate gives what it lacks")
    func restored() async throws {
        let (from, to) = (try await Self.server(), try await Self.empty())
        // The dump names it; the rest of it comes by migrate.
        try await Self.withPool(to) { try await $0.run("create role millrace_ws_default") }
        try await Self.withPool(from) { try await $0.run("create table ws_default.web as select 1 as x") }
        let dump = from.directory + "/millrace.dump"
        try await from.run("pg_dump", ["-U", "services", "-Fc", "-N", "millrace_host", "-f", dump, Self.database])
        try await to.run(
            "pg_restore", ["-U", "services", "--no-owner", "--exit-on-error", "-d", Self.database, dump])
        try await StoreDatabase.migration(to.url(of: Self.database, as: "services")).run()
        let user = try PostgresConfiguration(url: to.url(of: Self.database, as: "millrace_ws_default"), poolSize: 1)
        let found = try await withRunningPool(user) { try await $0.int("select x from web") }
        #expect(found == 1)
    }
}
