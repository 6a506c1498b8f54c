import Catalog
import Configuration
import EventLoop
import Observability
import Postgres
import Queue
import Records
import TestSupport
import Testing

@testable import Store

/// Databases as `prepare.sql` and `millrace-store migrate` leave them.
enum StoreDatabase {
    static let adminKey = "mr_0123456789012345678901234567890123456789012"

    static func make() async throws -> TestDatabase {
        let cluster = try await TemporaryPostgres.shared()
        return try await cluster.database(template: "store") { url in
            try await cluster.prepare("template_store")
            // Roles belong to the whole cluster: where another suite makes the same one in this moment, the workspace
            // is entered again, with another id. The tests name the first one by its id.
            repeat { try await migration(url).run() } while try await !isFirst(url)
        }
    }

    /// Whether the workspace has id 1; otherwise takes it out, to be entered again.
    private static func isFirst(_ url: String) async throws -> Bool {
        try await withRunningPool(try PostgresConfiguration(url: url)) { pool in
            if try await pool.int("select count(*) from millrace.workspace where id = 1") == 1 { return true }
            try await pool.withConnection { connection in
                try await connection.execute(
                    script: """
                        truncate millrace.workspace cascade;
                        alter table millrace.workspace alter column id restart with 1;
                        drop schema ws_default cascade
                        """)
            }
            return false
        }
    }

    static func migration(_ url: String) throws -> StoreMigration {
        let environment = Environment([
            "DATABASE_URL": url, "MILLRACE_ADMIN_KEY": adminKey, "MILLRACE_LOG_LEVEL": "error",
        ])
        return StoreMigration(try MigrateConfiguration(environment))
    }
}

/// What transform hands over: rows `{"id": n, "name": "…"}` of one batch into one dataset.
struct HandedOver {
    var source = "orders"
    var ids: [Int64]
    /// A second column; nil leaves it out.
    var names: [String]?
    /// A column `at`, in µs since 2000-01-01 UTC, nil for NULL; nil leaves it out.
    var times: [Int64?]?
    /// Records of each coalesced request.
    var requests: [Int]?
    /// The record that each row is of; nil for one of its own.
    var records: [Int32]?
    /// Other bytes than the rows'.
    var body: [UInt8]?
}

extension PostgresPool {
    /// Lands a batch as ingest and transform do, and enqueues the load; gives the chunk's id.
    @discardableResult
    func handOver(_ given: HandedOver) async throws -> Int64 {
        let columns = given.columns
        let body = try CopyEncoded(given)
        return try await withTransaction { connection in
            try await connection.execute(EnsureSource(workspaceID: 1, name: given.source))
            let batch = try await connection.query(body.landBatch(given))[0].int8(0)
            let dataset = try await connection.query(
                """
                insert into millrace.dataset (workspace_id, name) values (1, \(.text(given.source)))
                on conflict (workspace_id, name) do update set name = excluded.name returning id
                """)[0].int8(0)
            try await connection.query(
                """
                select count(*) from millrace.agree_columns(\(.int8(dataset)), \(.textArray(columns.map(\.0))),
                    \(.textArray(columns.map(\.1))), 200)
                """)
            let encoded = try body.encode(batch: batch)
            return try await connection.query(
                """
                with application as (
                    insert into millrace.application (batch_id, pipeline_id, output, source_id, version, dataset_id,
                        state,
                        received, transformed_at)
                    select \(.int8(batch)), p.id, 0, p.source_id, 1, \(.int8(dataset)), 'transformed',
                        \(.int4(Int32(given.ids.count))), now()
                    from millrace.pipeline p join millrace.source s on s.id = p.source_id
                    where s.name = \(.text(given.source))
                    returning pipeline_id
                ), chunk as (
                    insert into landing.chunk (id, batch_id, pipeline_id, version, output, dataset_id, columns, types,
                        rows,
                        raw_bytes, body)
                    select nextval('landing.chunk_id'), \(.int8(batch)), pipeline_id, 1, 0, \(.int8(dataset)),
                        \(.textArray(columns.map(\.0))), \(.textArray(columns.map(\.1))),
                        \(.int4(Int32(given.ids.count))), \(.int4(Int32(encoded.count))),
                        \(.bytes(try given.body ?? Zstd.compress(encoded)))
                    from application returning id
                )
                select id, queue.enqueue('store', 'load', 1, array[jsonb_build_object('chunk', id)]) from chunk
                """)[0].int8(0)
        }
    }
}

extension HandedOver {
    var columns: [(String, String)] {
        [("id", "int8")] + (names == nil ? [] : [("name", "text")]) + (times == nil ? [] : [("at", "timestamptz")])
    }
}

/// The batch's raw and encoded forms.
struct CopyEncoded {
    let rows: RecordBatch
    let frame: [UInt8]

    init(_ given: HandedOver) throws {
        var frame = BatchFrame(format: .ndjson)
        for id in given.ids { frame.append(record: Array("{\"id\": \(id)}".utf8)) }
        self.frame = try frame.encode()
        var columns = [NamedColumn("id", Column(.int8, .int64(given.ids)))]
        if let names = given.names { columns.append(NamedColumn("name", Column(.text, .bytes(ByteColumn(names))))) }
        if let times = given.times {
            columns.append(
                NamedColumn(
                    "at",
                    Column(.timestamptz, .int64(times.map { $0 ?? 0 }), validity: times.map { $0 == nil ? 0 : 1 })))
        }
        rows = RecordBatch(rows: given.records ?? (0..<given.ids.count).map { Int32($0) }, columns: columns)
    }

    func encode(batch: Int64) throws -> [UInt8] {
        try CopyBinaryEncoder(batch: batch, output: 0).encode(rows)
    }

    func landBatch(_ given: HandedOver) -> PostgresQuery {
        var ends: [Int32] = []
        for count in given.requests ?? [given.ids.count] { ends.append((ends.last ?? 0) + Int32(count)) }
        let requests = ends.indices.map { "request-\($0)" }
        return """
            with batch as (
                insert into millrace.batch (id, source_id, format, records, raw_bytes, stored_bytes, receipt_ends,
                    request_ids)
                select nextval('millrace.batch_id'), id, 'ndjson', \(.int4(Int32(given.ids.count))), 1, 1,
                    \(.int4Array(ends)), \(.textArray(requests))
                from millrace.source where name = \(.text(given.source))
                returning id
            )
            insert into landing.payload (batch_id, body) select id, \(.bytes(frame)) from batch returning batch_id
            """
    }
}

/// The load worker with settings that make tests quick.
struct LoadWorker {
    var patience = DatasetTables.Patience(lockTimeout: .milliseconds(100), attempts: 3, firstPause: .milliseconds(20))
    var groupBytes = 16 << 20

    func run<T: Sendable>(
        _ pool: PostgresPool, _ body: @Sendable () async throws -> T
    ) async throws -> T {
        let wakeup = Wakeup(pool.configuration, loop: try TestLoops.shared().next(), logger: .silent)
        let metrics = MetricsRegistry()
        let handler = StoreService.handlers(
            pool: pool, tables: DatasetTables(pool: pool, patience: patience, logger: .silent), wakeup: wakeup,
            groupBytes: groupBytes, metrics: LoadMetrics(metrics), logger: .silent)
        var configuration = WorkerConfiguration(slots: 2, maxClaim: 16, name: "test")
        configuration.pollInterval = .milliseconds(200)
        configuration.backoff = Backoff(base: .milliseconds(10), cap: .milliseconds(100))
        configuration.leader.renewal = .milliseconds(300)
        let worker = Worker(
            queue: "store", pool: pool, configuration: configuration, handler: handler, logger: .silent,
            metrics: metrics)
        return try await withRunningService(wakeup) { try await withRunningService(worker, body) }
    }
}
