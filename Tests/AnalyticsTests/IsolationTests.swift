import JSON
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
