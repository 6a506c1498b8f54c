import TestSupport
import Testing

@testable import Analytics

extension QueryServiceTests {
    /// What is told of rollups: by the process that makes their steps, and by every process of how far they are.
    @Suite struct RollupMetricTests {
        private static let lag = #"millrace_rollup_lag_seconds{workspace="default",rollup="by_minute"}"#
        private static let waiting = #"millrace_rollup_waiting_batches{workspace="default",rollup="by_minute"}"#

        @Test func stepsAreCountedByWhatTheyAdd() async throws {
            try await QueryServer.run { server in
                try await server.makeHits()
                #expect(try await server.send("PUT", "/v1/rollups/by_minute", QueryServer.hits).status == 201)
                _ = try await server.settledRollup()
                let filled = try #require(try await server.metric("millrace_rollup_step_seconds_count"))
                #expect(filled >= 2)
                // The rows that it was filled with came by no batch.
                #expect(try await server.metric("millrace_rollup_batches_total") == 0)
                try await server.append(batch: 2)
                _ = try await server.settledRollup()
                try await server.append(batch: 3)
                _ = try await server.settledRollup()
                #expect(try await server.metric("millrace_rollup_batches_total") == 2)
                #expect(try #require(try await server.metric("millrace_rollup_step_seconds_count")) >= filled + 2)
                #expect(try await server.metric("millrace_rollup_failed_total") == 0)
                #expect(try await server.metric(Self.waiting) != nil)
                // What it had waiting, and is filled anew with, is not added.
                _ = try await server.database.administer(
                    """
                    set role \(TemporaryPostgres.role);
                    insert into millrace.rollup_batch (rollup_id, batch_id, output)
                        select id, 9, 0 from millrace.rollup;
                    select millrace.reset_rollup(id) from millrace.rollup;
                    notify millrace_queue, 'analytics';
                    """)
                _ = try await server.settledRollup()
                #expect(try await server.metric("millrace_rollup_batches_total") == 2)
                // A column of it is gone: it is given up.
                _ = try await server.database.administer(
                    """
                    set role \(TemporaryPostgres.role);
                    alter table ws_default.hits drop column who;
                    """)
                try await server.append(batch: 4, row: "values (now(), 1, 4, 0, 0)")
                for _ in 0..<1000 where try await server.metric("millrace_rollup_failed_total") == 0 {
                    try await Task.sleep(for: .milliseconds(10))
                }
                #expect(try await server.metric("millrace_rollup_failed_total") == 1)
            }
        }

        @Test func whatWaitsIsToldByAnAPIToo() async throws {
            try await QueryServer.run(settings: ["MILLRACE_ROLE": "api"]) { server in
                try await server.makeHits()
                #expect(try await server.send("PUT", "/v1/rollups/by_minute", QueryServer.hits).status == 201)
                try await server.append(batch: 2)
                try await server.append(batch: 3)
                _ = try await server.database.administer(
                    "update millrace.rollup_batch set at = at - interval '100 seconds' where batch_id = 2")
                let behind = try #require(try await server.metric(Self.lag))
                #expect((100..<160).contains(behind))
                #expect(try await server.metric(Self.waiting) == 2)
                // It makes no steps, and does not speak of any.
                #expect(try await server.metric("millrace_rollup_step_seconds_count") == nil)
            }
        }

        @Test func aRollupThatIsUpToDateOrFailedIsNotBehind() async throws {
            try await QueryServer.run(settings: ["MILLRACE_ROLE": "api"]) { server in
                try await server.makeHits()
                for name in ["by_minute", "given_up"] {
                    #expect(try await server.send("PUT", "/v1/rollups/\(name)", QueryServer.hits).status == 201)
                }
                _ = try await server.database.administer(
                    """
                    delete from millrace.rollup_change;
                    update millrace.rollup set state = 'failed' where name = 'given_up';
                    """)
                #expect(try await server.metric(Self.lag) == 0)
                #expect(try await server.metric(Self.waiting) == 0)
                let failed = Self.lag.replacing("by_minute", with: "given_up")
                #expect(try await server.metric(failed) == nil)
            }
        }
    }
}
