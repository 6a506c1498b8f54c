import Postgres
import TestSupport
import Testing

@testable import Queue

@Suite("Queue: enqueueing")
struct EnqueueTests {
    private let settle = ClosureHandler { jobs, lease in try await lease.settle(jobs) }

    private func withPool(_ body: @Sendable (PostgresPool) async throws -> Void) async throws {
        try await QueueDatabase.make().withPool(size: 6, body)
    }

    @Test("Ids come in the order of the requests; the SQL function for other modules does the same")
    func ids() async throws {
        try await withPool { pool in
            let ids = try await pool.enqueue(1000)
            #expect(ids.count == 1000)
            #expect(ids == ids.sorted())
            let more = try await pool.withConnection { connection in
                try await connection.query(
                    "SELECT unnest(queue.enqueue('store', 'test.load', 7, ARRAY['{\"a\": 1}', '{}']::jsonb[]))")
            }
            #expect(more.rowCount == 2)
            let id = try more[0].int8(0)
            let report = try #require(try await QueueInspector(pool: pool).job(id))
            #expect(report.queue == "store")
            #expect(report.kind == "test.load")
            #expect(report.workspace == 7)
            #expect(report.maxAttempts == 20)
            #expect(report.state == .ready)
            #expect(String(decoding: report.arguments, as: UTF8.self) == #"{"a": 1}"#)
        }
    }

    @Test("An unknown queue is refused by name")
    func unknownQueue() async throws {
        try await withPool { pool in
            let error = try await #require(throws: PostgresError.self) { try await pool.enqueue(queue: "nowhere") }
            #expect(error.sqlstate == "22023")
            #expect(error.message.contains("nowhere"))
            #expect(try await QueueInspector(pool: pool).status(of: "nowhere") == nil)
        }
    }

    @Test("Limits are errors before anything is sent, and in the database for who calls it by SQL")
    func limits() async throws {
        let large = Array(repeating: UInt8(ascii: "1"), count: JobRequest.maximumArguments + 1)
        let requests = [
            JobRequest(queue: "store", kind: "a", arguments: large, workspace: 1),
            JobRequest(queue: "store", kind: "a", arguments: [], workspace: 1, priority: 3),
            JobRequest(queue: "store", kind: "a", arguments: [], workspace: 1, maxAttempts: 0),
        ]
        for request in requests {
            #expect(throws: QueueError.self) { _ = try Enqueue.statement([request]) }
        }
        try await withPool { pool in
            let error = try await #require(throws: PostgresError.self) {
                try await pool.run(
                    """
                    SELECT queue.enqueue('store', 'a', 1,
                        ARRAY[jsonb_build_object('a', (SELECT string_agg(md5(i::text), '')
                            FROM generate_series(1, 2100) i))])
                    """)
            }
            #expect(error.sqlstate == .checkViolation)
            for call: PostgresQuery in [
                "SELECT queue.enqueue('store', 'No', 1, ARRAY['{}']::jsonb[])",
                "SELECT queue.enqueue_all('{store}', '{No}', '{1}', ARRAY['{}'::jsonb], '{0}', '{0}', '{1}', '{null}')",
            ] {
                let refusal = try await #require(throws: PostgresError.self) { try await pool.run(call) }
                #expect(refusal.sqlstate == .checkViolation)
            }
        }
    }

    @Test("A transactional enqueue that is rolled back leaves nothing")
    func rolledBack() async throws {
        try await withPool { pool in
            _ = try await #require(throws: QueueTestError.self) {
                try await pool.withTransaction { connection in
                    let request = JobRequest(queue: "transform", kind: "a", arguments: Array("{}".utf8), workspace: 1)
                    _ = try await connection.query(try Enqueue.statement([request]))
                    throw QueueTestError.planned
                }
            }
            #expect(try await pool.int("SELECT count(*) FROM queue.job") == 0)
            #expect(try await pool.int("SELECT count(*) FROM queue.ready") == 0)
        }
    }

    /// Its positions lie below those that were claimed meanwhile, and below those that were swept.
    @Test("A slow transactional enqueue that commits after later jobs were claimed is found")
    func slow() async throws {
        try await withPool { pool in
            try await pool.withWorker(settle) {
                try await pool.withConnection { slow in
                    try await slow.execute(script: "BEGIN")
                    _ = try await slow.query("SELECT queue.enqueue('transform', 'slow', 1, ARRAY['{}', '{}']::jsonb[])")
                    for round in 1...5 {
                        try await pool.enqueue(2000)
                        try await pool.wait(until: "SELECT count(*) FROM queue.outcome", is: round * 2000)
                        _ = try await pool.withConnection { try await $0.query(AdvanceStatement(queue: 0)) }
                    }
                    #expect(try await pool.int("SELECT max(position) FROM queue.low_water") == 0)
                    try await slow.execute(script: "COMMIT")
                }
                try await pool.wait(until: "SELECT count(*) FROM queue.outcome", is: 10_002)
            }
        }
    }

    /// Enqueuers commit in any order while the marks move: never is a job at or below its low-water mark.
    @Test("The low-water mark never passes a job that commits late")
    func sealed() async throws {
        let database = try await QueueDatabase.make()
        try await database.withPool(size: 12) { pool in
            let jobs = 8 * 60 * 20
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<8 {
                    group.addTask {
                        for _ in 0..<60 {
                            try await pool.withTransaction { connection in
                                let arguments: PostgresQuery =
                                    "SELECT queue.enqueue('transform', 'a', 1, array_fill('{}'::jsonb, ARRAY[20]))"
                                _ = try await connection.query(arguments)
                                _ = try await connection.query("SELECT pg_sleep(random() * 0.03)")
                            }
                        }
                    }
                }
                group.addTask {
                    var found = 0
                    while found < jobs {
                        _ = try await pool.withConnection { try await $0.query(AdvanceStatement(queue: 0)) }
                        let hidden = try await pool.int(
                            """
                            SELECT count(*) FROM queue.ready r JOIN queue.low_water w USING (lane, priority)
                            WHERE r.position <= w.position
                            """)
                        #expect(hidden == 0)
                        // Takes what is visible, so that the mark can follow.
                        found += try await pool.int(
                            "WITH gone AS (DELETE FROM queue.ready RETURNING 1) SELECT count(*) FROM gone")
                    }
                }
                try await group.waitForAll()
            }
            // A transaction of any other test on this server may have held the seal until now. The mark moves by 1,024
            // positions at least.
            try await pool.wait(
                until: "SELECT ((queue.advance(0::int2)).low[3] > \(.int(jobs - 1024)))::int", is: 1)
        }
    }

    /// The delayed job was enqueued before all others of its priority, and comes after them, since it draws its
    /// position when it is due: so it does however long the worker takes to begin.
    @Test("Higher priorities come first; a delay holds a job back until its time")
    func order() async throws {
        try await withPool { pool in
            let start = ContinuousClock.now
            try await pool.enqueue(kind: "late", priority: -2, delay: .seconds(2))
            for (kind, priority) in [("lowest", -2), ("plain", 0), ("highest", 2), ("low", -1), ("high", 1)] {
                try await pool.enqueue(kind: kind, priority: Int16(priority))
            }
            let seen = Notes<String>()
            let handler = ClosureHandler { jobs, lease in
                for job in jobs { seen.add(job.kind) }
                try await lease.settle(jobs)
            }
            try await pool.withWorker(handler, .quick(slots: 1, maxClaim: 2)) {
                try await pool.wait(until: "SELECT count(*) FROM queue.outcome", is: 6)
            }
            #expect(ContinuousClock.now - start >= .seconds(2))
            #expect(seen.all == ["highest", "high", "plain", "low", "lowest", "late"])
        }
    }

    @Test("A job that was not started can be cancelled: ready, deferred, or given back; others say why not")
    func cancels() async throws {
        try await withPool { pool in
            let inspector = QueueInspector(pool: pool)
            let ids = try await pool.enqueue(2)
            let later = try await pool.enqueue(delay: .seconds(60))[0]
            #expect(try await inspector.cancel(ids[0]) == .cancelled)
            #expect(try await inspector.cancel(ids[0]) == .finished)
            #expect(try await inspector.cancel(later) == .cancelled)
            #expect(try await inspector.cancel(999_999) == .unknown)
            let cancelled = Notes<CancelResult>()
            let handler = ClosureHandler { jobs, lease in
                try await lease.settle(jobs)
                cancelled.add(try await inspector.cancel(jobs[0].id))
            }
            try await pool.withWorker(handler) {
                try await pool.wait(until: "SELECT count(*) FROM queue.outcome WHERE state = 'succeeded'", is: 1)
            }
            #expect(cancelled.all == [.finished])
            #expect(try await inspector.cancel(ids[1]) == .finished)
            #expect(try await inspector.job(later)?.state == .cancelled)
            #expect(try await inspector.outcomes(of: ids[1]).map(\.state) == ["succeeded"])
        }
    }

    @Test("A paused queue is not claimed from, and goes on when it is resumed")
    func pauses() async throws {
        try await withPool { pool in
            let inspector = QueueInspector(pool: pool)
            #expect(try await inspector.setPaused("transform", true))
            #expect(try await !inspector.setPaused("nowhere", true))
            try await pool.enqueue(3)
            try await pool.withWorker(settle) {
                try await pool.wait(until: "SELECT count(*) FROM queue.worker", is: 1)
                _ = try await pool.withConnection { try await $0.execute(NotifyStatement(queues: ["transform"])) }
                let status = try #require(try await inspector.status(of: "transform"))
                #expect(status.ready == 3)
                #expect(status.isPaused)
                #expect(try await inspector.setPaused("transform", false))
                try await pool.wait(until: "SELECT count(*) FROM queue.outcome", is: 3)
            }
        }
    }

    @Test("Depth is exact for few jobs and an estimate for many; the oldest age is that of the first")
    func depth() async throws {
        try await withPool { pool in
            let inspector = QueueInspector(pool: pool)
            try await pool.enqueue(120, priority: 1)
            try await pool.enqueue(30)
            try await pool.enqueue(7, delay: .seconds(100))
            var status = try #require(try await inspector.status(of: "transform"))
            #expect(status.ready == 150)
            #expect(status.deferred == 7)
            #expect(try #require(status.oldestAge) > 0)
            for _ in 0..<3 { try await pool.enqueue(10_000) }
            status = try #require(try await inspector.status(of: "transform"))
            #expect((29_000...31_500).contains(status.ready))
            #expect(try await inspector.status(of: "store")?.oldestAge == nil)
        }
    }
}
