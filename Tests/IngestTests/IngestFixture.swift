import Catalog
import EventLoop
import Migrations
import Observability
import Postgres
import Queue
import Records
import TestSupport

@testable import Ingest

/// A migrated database with one workspace and one source, and ingest's parts over it.
struct IngestFixture: Sendable {
    let pool: PostgresPool
    let source: Source
    let coalescer: Coalescer
    let abandoned: AbandonedUploads
    let wakeup: Wakeup
    let metrics: IngestMetrics

    static func run(tracer: Tracer? = nil, _ body: @Sendable (IngestFixture) async throws -> Void) async throws {
        let database = try await TemporaryPostgres.shared().database(template: "ingest") { url in
            try await withRunningPool(try PostgresConfiguration(url: url)) { pool in
                _ = try await Migrator(logger: .silent).run(pool)
                try await pool.withConnection { connection in
                    try await connection.query(
                        """
                        insert into millrace.workspace (name, schema_name, query_role)
                        values ('default', 'ws_default', 'millrace_ws_default')
                        """)
                    try await connection.execute(EnsureSource(workspaceID: 1, name: "events"))
                }
            }
        }
        let configuration = try database.configuration(poolSize: 8)
        try await withRunningPool(configuration) { pool in
            let find = FindSource(workspaceID: 1, name: "events")
            let source = try await pool.withConnection { try await $0.query(find) }[0]
            let metrics = IngestMetrics(MetricsRegistry())
            let loop = try TestLoops.shared().next()
            let wakeup = Wakeup(configuration, loop: loop, logger: .silent)
            let coalescer = Coalescer(
                loop: loop, pool: pool, wakeup: wakeup, limits: .init(), metrics: metrics, tracer: tracer)
            let abandoned = AbandonedUploads(pool: pool, logger: .silent)
            let fixture = IngestFixture(
                pool: pool, source: source, coalescer: coalescer, abandoned: abandoned, wakeup: wakeup,
                metrics: metrics)
            try await withRunningService(coalescer) {
                try await withRunningService(abandoned) { try await body(fixture) }
            }
        }
    }

    func request(_ id: String = "r", key: String? = nil, trace: TraceContext? = nil) -> IncomingRequest {
        var numbers = UniqueNumbers()
        return IncomingRequest(
            sourceID: source.id, pace: CoalescingPace(bytes: 1 << 20, linger: .milliseconds(2)), requestID: id,
            trace: trace ?? .generate(&numbers, by: .none), idempotencyKey: key)
    }

    func frame(_ records: [String]) -> BatchFrame {
        var frame = BatchFrame(format: .ndjson)
        for record in records { frame.append(record: Array(record.utf8)) }
        return frame
    }

    /// Lands records under a key or none.
    func land(_ records: [String], key: String? = nil, trace: TraceContext? = nil) async throws -> Landing {
        let frame = frame(records)
        return try await coalescer.land(
            request(key: key, trace: trace), frame: frame, rawBytes: Int64(frame.bytes.count),
            keyed: key.map { KeyedBody(key: $0, fingerprint: Array("\(records)".utf8)) })
    }

    /// Begins an upload; nil where its key is held.
    func begin(key: String) async throws -> Upload? {
        try await Upload.begin(
            request(key: key), pool: pool, abandoned: abandoned, wakeup: wakeup, metrics: metrics)
    }

    /// Whether nobody holds the key, within 10 s.
    func isFree(_ key: String) async throws -> Bool {
        let find = FindIdempotencyKey(sourceID: source.id, key: key)
        for _ in 0..<800 {
            if try await pool.withConnection({ try await $0.query(find) }).isEmpty { return true }
            try await Task.sleep(for: .milliseconds(50))
        }
        return false
    }

    func run(_ sql: String) async throws {
        try await pool.withConnection { _ = try await $0.query(PostgresQuery(unsafeText: sql)) }
    }

    func intake(budget: Int = 1 << 20) -> Intake {
        Intake(
            coalescer: coalescer, memory: MemoryShare(budget: budget, maxRequests: 4), pool: pool,
            abandoned: abandoned, wakeup: wakeup, metrics: metrics)
    }

    /// Every record that is accepted, from the payloads of batches that have jobs.
    func accepted() async throws -> [String] {
        let result = try await pool.withConnection { connection in
            try await connection.query(
                """
                select p.body from landing.payload p join queue.job j on (j.arguments ->> 'batch')::int8 = p.batch_id
                order by p.batch_id
                """)
        }
        var records: [String] = []
        for row in 0..<result.rowCount {
            let frame = try BatchFrame(decoding: result[row].bytes(0), limit: 64 << 20)
            let offsets = frame.offsets()
            for index in 0..<frame.recordCount {
                records.append(String(decoding: frame.record(index, offsets: offsets), as: UTF8.self))
            }
        }
        return records
    }
}
