import JSON
import TestSupport
import Testing

@testable import Analytics

extension QueryServiceTests {
    /// What one reader of a rollup may take of the service.
    @Suite struct RollupLimitTests {
        /// 1,000 groups besides the first one, each with a row in the first minute.
        private static func makeManyGroups(_ server: QueryServer) async throws {
            try await server.makeHits()
            _ = try await server.database.administer(
                """
                set role \(TemporaryPostgres.role);
                insert into ws_default.hits
                select timestamptz '2026-01-01 00:00:00Z', 'g' || g, 1, 1, 10 + g, 0 from generate_series(1, 1000) g
                """)
            #expect(try await server.send("PUT", "/v1/rollups/by_minute", QueryServer.hits).status == 201)
            _ = try await server.settledRollup()
        }

        @Test func fillIsBoundedByBucketsTimesGroups() async throws {
            try await QueryServer.run { server in
                try await Self.makeManyGroups(server)
                let data = "/v1/rollups/by_minute/data?from=2026-01-01T00:00:00Z&fill=zero"
                let days = "&to=2026-01-07T00:00:00Z"
                for more in ["", "&limit=1", "&order=who", "&order=hits.desc&limit=1", "&where=who%20%3C%3E%20'a'"] {
                    let refused = try await server.send("GET", data + days + more)
                    #expect(refused.status == 422 && refused.code == "query_too_large", "\(more): \(refused.text)")
                    let groups = more.contains("where") ? 1000 : 1001
                    let detail = refused.json["detail"]?.string ?? ""
                    #expect(detail.contains("8642 buckets of each of \(groups) groups"), "\(detail)")
                }
                // Fewer groups, longer buckets, less time: each is enough.
                for (more, rows) in [
                    ("\(days)&where=who%20=%20'g7'&limit=10000", 8640), ("\(days)&group_by=&limit=10000", 8640),
                    ("\(days)&grain=day&limit=10000", 6006), ("&to=2026-01-01T00:09:00Z&limit=10000", 9009),
                ] {
                    let answer = try await server.send("GET", data + more)
                    #expect(answer.status == 200 && answer.json["row_count"]?.int == rows, "\(more)")
                }
            }
        }

        @Test func readersOfRollupsLeaveConnectionsToOthers() async throws {
            try await QueryServer.run(settings: ["MILLRACE_POOL_SIZE": "8"]) { server in
                try await server.makeHits()
                #expect(try await server.send("PUT", "/v1/rollups/by_minute", QueryServer.hits).status == 201)
                _ = try await server.settledRollup()
                let table = try await server.database.administer(
                    "select 'rollups.' || relname from pg_class where relname ~ '^facts_' and relkind = 'r'")
                let blocked = """
                    select count(*) from pg_stat_activity where datname = current_database() and usename = 'millrace'
                        and wait_event_type = 'Lock'
                    """
                try await withThrowingTaskGroup(of: QueryClient.Answer.self) { group in
                    let lock = "lock table \(table) in access exclusive mode"
                    try await RoleSession.holding(lock, url: server.database.superuserURL) {
                        for _ in 0..<12 {
                            group.addTask { try await server.send("GET", "/v1/rollups/by_minute/data") }
                        }
                        while try await server.database.administer(blocked) == "0" {
                            try await Task.sleep(for: .milliseconds(20))
                        }
                        // All else goes on: what is listed comes from the same connections.
                        for _ in 0..<20 { #expect(try await server.send("GET", "/v1/rollups").status == 200) }
                        let count = Int(try await server.database.administer(blocked)) ?? 0
                        #expect((1...2).contains(count), "\(count) connections of 8 wait")
                    }
                    for try await answer in group {
                        #expect(answer.status == 200 || answer.code == "rate_limited", "\(answer.text)")
                    }
                }
            }
        }
    }
}
