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
                #expect(answer.text.contains("set_config"))
                let ready = try await server.get("/readyz")
                #expect(
                    ready.status == 503 && ready.text.contains("query isolation") && ready.text.contains("set_config"))
            }
        }

        @Test func withoutIsolationTheOnlyWorkspaceIsServedAndToldOf() async throws {
            try await QueryServer.run(isolated: false, workspaces: ["default"]) { server in
                #expect(try await server.query("select count(*) from web").rowsText == "[[100]]")
                let ready = try await server.get("/readyz")
                #expect(ready.status == 200 && ready.text.contains("set_config"), "\(ready.text)")
            }
        }

        @Test func withIsolationAllAreServed() async throws {
            try await QueryServer.run { server in
                let ready = try await server.get("/readyz")
                #expect(ready.text == #"{"status":"ready"}"#)
                #expect(try await server.query("select 1").status == 200)
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
        #expect(slots.enter(1) == .run)
        #expect(slots.enter(1) == .run)
        #expect(slots.enter(1) == .wait(1))
        #expect(slots.enter(1) == .refuse)
        #expect(slots.enter(2) == .run)
        #expect(slots.enter(2) == .wait(2))
        #expect(slots.leave(2) == 2)
        #expect(slots.leave(1) == 1)
        #expect(slots.giveUp(1) == false)
        #expect(slots.enter(2) == .wait(3))
        #expect(slots.giveUp(3))
        #expect(slots.leave(1) == nil)
        #expect(slots.leave(1) == nil)
        #expect(slots.leave(2) == nil)
        #expect(slots.total == 0)
    }
}
