import Catalog
import EventLoop
import Migrations
import Observability
import Postgres
import Queue
import Records
import TestSupport

@testable import Transform

/// A migrated database with a workspace, the source `events`, and the pipeline `web` that reads it.
struct TransformFixture: Sendable {
    let pool: PostgresPool

    static let definition = """
        {"source": "events", "steps": [{"cast": {"n": "int8"}}, {"filter": "n <> 3"}],
         "target": {"dataset": "web"}}
        """

    static func run(_ body: @Sendable (TransformFixture) async throws -> Void) async throws {
        let database = try await TemporaryPostgres.shared().database(template: "transform") { url in
            try await withRunningPool(try PostgresConfiguration(url: url)) { pool in
                _ = try await Migrator(logger: .silent).run(pool)
                try await pool.run(
                    """
                    insert into millrace.workspace (name, schema_name, query_role)
                    values ('default', 'ws_default', 'millrace_ws_default')
                    """)
                try await pool.withConnection { connection in
                    try await connection.execute(EnsureSource(workspaceID: 1, name: "events"))
                    try await connection.execute(
                        InsertPipeline(
                            workspaceID: 1, name: "web", sourceID: 1, definition: Array(definition.utf8),
                            fingerprint: [1]))
                }
            }
        }
        try await withRunningPool(try database.configuration(poolSize: 8)) { pool in
            try await body(TransformFixture(pool: pool))
        }
    }

    /// The id of the pipeline `web`.
    func pipeline() async throws -> Int64 {
        Int64(try await pool.int("select id from millrace.pipeline where name = 'web'"))
    }

    /// Lands batches of records as NDJSON, received at this time, and gives their ids.
    func land(_ batches: [[String]], at time: String = "2026-01-01T00:00:00Z") async throws -> [Int64] {
        var ids: [Int64] = []
        for records in batches {
            var frame = BatchFrame(format: .ndjson)
            for record in records { frame.append(record: Array(record.utf8)) }
            let id = try await pool.int(
                """
                with batch as (
                    insert into millrace.batch (id, source_id, format, records, raw_bytes, stored_bytes, receipt_ends,
                        request_ids, received_at)
                    values (nextval('millrace.batch_id'), 1, 'ndjson', \(.int4(Int32(records.count))), 10, 10,
                        \(.int4Array([Int32(records.count)])), '{r}', \(.text(time))::text::timestamptz)
                    returning id
                )
                insert into landing.payload (batch_id, body) select id, \(.bytes(try frame.encode())) from batch
                returning batch_id
                """)
            ids.append(Int64(id))
        }
        return ids
    }

    /// Says that batches have no raw bytes any more.
    func expire(_ batches: [Int64]) async throws {
        for batch in batches {
            try await pool.run(
                "insert into landing.expired values ('payload', -1, \(.int8(batch)), \(.int8(batch + 1)), now(), now())"
            )
            try await pool.run("delete from landing.payload where batch_id = \(.int8(batch))")
        }
    }

    func start(_ request: ReplayRequest) async throws -> Int64 {
        let pipeline = try await pipeline()
        return try await pool.withTransaction { connection in
            try await RunStarter().replay(request, of: pipeline, connection)
        }
    }

    /// The refusal that a request meets.
    func refusal(_ request: ReplayRequest) async throws -> RunRefusal? {
        do {
            _ = try await start(request)
            return nil
        } catch let refusal as RunRefusal {
            return refusal
        }
    }

    /// Works on queue `transform` while the body runs.
    func work<T: Sendable>(
        limits: TableRunLimits = TableRunLimits(), _ body: @Sendable () async throws -> T
    ) async throws -> T {
        let wakeup = Wakeup(pool.configuration, loop: try TestLoops.shared().next(), logger: .silent)
        let metrics = MetricsRegistry()
        var configuration = WorkerConfiguration(slots: 2, maxClaim: 16, name: "test")
        configuration.pollInterval = .milliseconds(200)
        configuration.backoff = Backoff(base: .milliseconds(10), cap: .milliseconds(100))
        configuration.leader.renewal = .milliseconds(300)
        let worker = Worker(
            queue: "transform", pool: pool, configuration: configuration,
            handler: TransformService.handlers(
                pool: pool, wakeup: wakeup, logger: .silent, metrics: metrics,
                limits: limits),
            logger: .silent, metrics: metrics)
        return try await withRunningService(wakeup) { try await withRunningService(worker, body) }
    }
}
