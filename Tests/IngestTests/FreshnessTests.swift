import Observability
import Postgres
import TestSupport
import Testing

@testable import Ingest

@Suite struct FreshnessTests {
    /// A hundred thousand sources make five hundred series, and those that wait are among them wherever they stand.
    @Test func ofManySourcesThoseThatWaitAreShown() async throws {
        try await IngestFixture.run { fixture in
            try await fixture.pool.run(
                """
                insert into millrace.source (workspace_id, name)
                select 1, 'many_' || n from generate_series(1, 100000) n
                """)
            // The last of them all, one in the middle, and one that was deleted.
            for (name, age) in [("many_100000", 300), ("many_50000", 200), ("many_70000", 400)] {
                try await fixture.pool.run(
                    """
                    with batch as (
                        insert into millrace.batch (id, source_id, format, records, raw_bytes, stored_bytes,
                            receipt_ends, request_ids, received_at)
                        select nextval('millrace.batch_id'), id, 'ndjson', 1, 10, 1, '{1}', '{r}',
                            now() - make_interval(secs => \(.int8(Int64(age)))) from millrace.source
                            where name = \(.text(name))
                        returning id, source_id
                    )
                    insert into millrace.application (batch_id, pipeline_id, output, source_id, state, received)
                    select b.id, p.id, 0, b.source_id, 'accepted', 1 from batch b, millrace.pipeline p
                    """)
            }
            try await fixture.pool.run("update millrace.source set deleted_at = now() where name = 'many_70000'")
            try await fixture.pool.run("analyze millrace.source, millrace.application, millrace.batch")
            let registry = MetricsRegistry()
            let metric = FreshnessMetric(pool: fixture.pool, metrics: registry, logger: .silent)
            let began = ContinuousClock.now
            await metric.refresh()
            #expect(ContinuousClock.now - began < .seconds(20))
            let lines = String(decoding: registry.render(), as: UTF8.self).split(separator: "\n")
            let series = lines.filter { $0.hasPrefix("millrace_source_freshness_seconds{") }
            #expect(series.count == Int(FreshnessMetric.sources))
            func age(_ source: String) -> Double? {
                series.first { $0.contains(#"source="\#(source)""#) }.flatMap { Double($0.split(separator: " ")[1]) }
            }
            #expect((300..<500).contains(age("many_100000") ?? 0) && (200..<400).contains(age("many_50000") ?? 0))
            #expect(age("many_70000") == nil && age("events") == 0)
        }
    }

    /// What it costs depends on the sources that wait, not on how many there are.
    @Test func sourcesWithNothingThatWaitsAreNotRead() async throws {
        try await IngestFixture.run { fixture in
            try await fixture.pool.run(
                """
                insert into millrace.source (workspace_id, name)
                select 1, 'many_' || n from generate_series(1, 50000) n
                """)
            try await fixture.pool.run("analyze millrace.source")
            _ = try await fixture.land(["{}"])
            let touched = try await fixture.pool.withTransaction { connection -> Int in
                _ = try await connection.query(ListFreshness(limit: 20))
                let read: PostgresQuery = "select pg_stat_get_xact_tuples_returned('millrace.source'::regclass)"
                return try await connection.query(read)[0].int(0)
            }
            #expect(touched < 1000, "\(touched) rows")
        }
    }
}
