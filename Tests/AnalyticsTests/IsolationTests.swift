import EventLoop
import JSON
import Postgres
import TestSupport
import Testing

@testable import Analytics

extension QueryServiceTests {
    /// Where the walls between workspaces are missing.
    @Suite struct IsolationTests {
        @Test func withoutIsolationASecondWorkspaceIsNotServed() async throws {
            try await QueryServer.run(isolated: false) { server in
                let answer = try await server.query("select 1")
                #expect(answer.status == 503 && answer.code == "query_unavailable", "\(answer.text)")
                #expect(answer.text.contains("lo_create"))
                let ready = try await server.get("/readyz")
                #expect(
                    ready.status == 503 && ready.text.contains("query isolation") && ready.text.contains("lo_create"))
            }
        }

        @Test func withoutIsolationTheOnlyWorkspaceIsServedAndToldOf() async throws {
            try await QueryServer.run(isolated: false, workspaces: ["default"]) { server in
                #expect(try await server.query("select count(*) from web").rowsText == "[[100]]")
                let ready = try await server.get("/readyz")
                #expect(ready.status == 200 && ready.text.contains("lo_create"), "\(ready.text)")
            }
        }

        @Test func withIsolationAllAreServed() async throws {
            try await QueryServer.run { server in
                // It waits for a connection, which there may not be yet.
                #expect(try await server.query("select 1").status == 200)
                let ready = try await server.get("/readyz")
                #expect(ready.status == 200 && ready.text.hasPrefix(#"{"status":"ready","#))
                #expect(ready.text.contains(#"{"check":"query isolation","status":"ok"}"#), "\(ready.text)")
            }
        }

        @Test func aRoleWithMoreThanItsSchemaIsNoticed() async throws {
            let grant = "grant usage on schema ws_other to millrace_ws_default"
            try await QueryServer.run(change: grant) { server in
                let answer = try await server.query("select 1")
                #expect(answer.code == "query_unavailable" && answer.text.contains("ws_other"), "\(answer.text)")
            }
        }

        /// As after a restore of the database alone, before `migrate` has run.
        @Test(arguments: ["default", "other"]) func aRoleThatCannotConnectIsToldOf(_ name: String) async throws {
            let revoke = """
                do $$ begin
                    execute format('revoke connect on database %I from millrace_ws_\(name)', current_database());
                end $$
                """
            try await QueryServer.run(change: revoke) { server in
                let ready = try await server.get("/readyz")
                #expect(ready.status == 200 && ready.text.contains("millrace_ws_\(name)"), "\(ready.text)")
                #expect(ready.text.contains("CONNECT") && ready.text.contains("millrace-store migrate"))
                let answer = try await server.query("select 1")
                // The other one's lack is nothing to this one.
                guard name == "default" else { return #expect(answer.status == 200, "\(answer.text)") }
                #expect(answer.status == 503 && answer.code == "query_unavailable", "\(answer.text)")
                #expect(answer.text.contains("CONNECT") && answer.headers["retry-after"] != nil)
            }
        }

        @Test func aRoleWithoutItsSettingsIsToldOfAndServed() async throws {
            let reset = """
                do $$ begin
                    execute format('alter role millrace_ws_default in database %I reset all', current_database());
                end $$
                """
            try await QueryServer.run(change: reset) { server in
                let ready = try await server.get("/readyz")
                #expect(ready.status == 200 && ready.text.contains("the setting search_path"), "\(ready.text)")
                #expect(ready.text.contains("the setting temp_file_limit"), "\(ready.text)")
                #expect(try await server.query("select count(*) from web").rowsText == "[[100]]")
            }
        }
    }

    /// How many connections a workspace's queries may have.
    @Suite struct ConnectionLimitTests {
        private static let endless: JSONValue = [
            "sql": "select count(*) from generate_series(1, 1000000000000)", "timeout": "2s",
        ]

        /// What twelve processes of eight slots hold leaves room for one more.
        @Test func theSlotsOfManyProcessesAreServed() async throws {
            try await QueryServer.run(cluster: try await TemporaryPostgres.start()) { server in
                let url = server.database.cluster.url(of: server.database.name, as: "millrace_ws_default")
                let loop = try TestLoops.shared().next()
                var held: [PostgresConnection] = []
                for _ in 0..<96 {
                    held.append(try await .connect(try PostgresConfiguration(url: url, poolSize: 1), on: loop))
                }
                #expect(try await server.query("select 1").status == 200)
                for connection in held { await connection.close() }
            }
        }

        /// A limit that an administrator has set is too many requests, not a database that is away.
        @Test func theRolesOwnLimitIsTooManyRequests() async throws {
            try await QueryServer.run(
                change: "alter role millrace_ws_default connection limit 2",
                cluster: try await TemporaryPostgres.start()
            ) { server in
                try await withThrowingTaskGroup(of: QueryClient.Answer.self) { group in
                    for _ in 0..<6 { group.addTask { try await server.post(Self.endless) } }
                    var codes: [String: Int] = [:]
                    for try await answer in group {
                        codes[answer.code, default: 0] += 1
                        guard answer.code == "rate_limited" else { continue }
                        #expect(answer.status == 429 && answer.headers["retry-after"] == "1", "\(answer.text)")
                    }
                    #expect(codes == ["query_timeout": 2, "rate_limited": 4])
                }
                try await server.awaitQuiet()
                #expect(try await server.query("select 1").status == 200)
            }
        }
    }
}

@Suite struct QuerySlotsTests {
    @Test func slotsAreSharedFairly() {
        var slots = QuerySlots(.init(perWorkspace: 2, total: 3, waiting: 1))
        let first = [slots.enter(1), slots.enter(1), slots.enter(1), slots.enter(1)]
        #expect(first == [.run, .run, .wait(1), .refuse])
        let second = [slots.enter(2), slots.enter(2)]
        #expect(second == [.run, .wait(2)])
        // The longest waiting has no room in its workspace, so the other goes first.
        let turns = [slots.leave(2), slots.leave(1)]
        #expect(turns == [2, 1])
        let late = slots.giveUp(1)
        #expect(!late)
        let third = slots.enter(2)
        let inTime = slots.giveUp(3)
        #expect(third == .wait(3) && inTime)
        let ends = [slots.leave(1), slots.leave(1), slots.leave(2)]
        #expect(ends == [nil, nil, nil] && slots.total == 0)
    }
}
