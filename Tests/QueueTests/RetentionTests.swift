import Lifecycle
import Observability
import Postgres
import TestSupport
import Testing

@testable import Queue

/// Partitions that leave. A slot's ids are skipped by `setval` here, so that the next one is near.
@Suite("Queue: retention")
struct RetentionTests {
    private static let width = 8_388_608
    private static let lockTimeout = Duration.milliseconds(300)

    /// A server of its own: a slot is judged only when every transaction of the server that may know it has ended.
    private func withPool(size: Int = 6, _ body: @Sendable (PostgresPool) async throws -> Void) async throws {
        let database = try await TemporaryPostgres.start().database(template: "queue") {
            try await QueueDatabase.migrate($0)
        }
        try await database.withPool(size: size, body)
    }

    private func retire(
        _ pool: PostgresPool, retention: Duration = .microseconds(1), rotation: Duration = .microseconds(1)
    ) async throws {
        var configuration = LeaderConfiguration()
        configuration.retention = retention
        configuration.rotation = rotation
        configuration.lockTimeout = Self.lockTimeout
        let leader = QueueLeader(pool: pool, configuration: configuration, logger: .silent, metrics: MetricsRegistry())
        var state = LeaderState(configuration, now: .now)
        await leader.retire(&state)
    }

    /// Moves the sequence to just before the end of its slot; the next `retire` moves it on.
    private func nearEnd(_ pool: PostgresPool) async throws {
        try await pool.run(
            "UPDATE queue.slot SET upto = (SELECT last_value FROM queue.position) WHERE ended_at IS NULL")
        let width = PostgresValue.int(Self.width)
        try await pool.run(
            "SELECT setval('queue.position', (last_value / \(width) + 1) * \(width) - 10) FROM queue.position")
        try await pool.run("SELECT queue.make_partitions(4)")
    }

    private func partitions(_ pool: PostgresPool, of parent: String = "job") async throws -> [String] {
        try await pool.texts(
            """
            SELECT c.relname FROM pg_class c WHERE c.relname ~ \(.text("^\(parent)_\\d+$")) AND c.relkind = 'r'
            ORDER BY c.relname LIMIT 2
            """)
    }

    @Test("Ids move on to the next slot in time, if the last was used; nobody draws one twice; the depth stays right")
    func rotates() async throws {
        try await withPool { pool in
            try await retire(pool)
            #expect(try await pool.int("SELECT count(*) FROM queue.slot") == 1)
            for _ in 0..<3 { try await pool.enqueue(10_000) }
            try await retire(pool, rotation: .seconds(3600))
            #expect(try await pool.int("SELECT last_value FROM queue.position") == 30_000, "too young")
            try await nearEnd(pool)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<3 {
                    group.addTask { for _ in 0..<20 { try await pool.enqueue(1) } }
                }
                group.addTask { try await retire(pool) }
                try await group.waitForAll()
            }
            for _ in 0..<2 { try await retire(pool) }
            #expect(try await pool.int("SELECT last_value / \(.int(Self.width)) FROM queue.position") >= 1)
            #expect(try await pool.int("SELECT count(*) FROM queue.job") == 30_060)
            let status = try #require(try await QueueInspector(pool: pool).status(of: "transform"))
            #expect((29_500...31_500).contains(status.ready), "\(status.ready)")
            // What nobody uses is not left.
            try await pool.run("DELETE FROM queue.ready")
            try await nearEnd(pool)
            let unused: PostgresQuery = """
                SELECT (s.low = p.last_value)::int FROM queue.slot s, queue.position p ORDER BY s.slot DESC LIMIT 1
                """
            let deadline = ContinuousClock.now + .seconds(60)
            while try await pool.int(unused) == 0 {
                try #require(ContinuousClock.now < deadline)
                try await retire(pool)
            }
            let slot = try await pool.int("SELECT max(slot) FROM queue.slot")
            for _ in 0..<3 { try await retire(pool) }
            #expect(try await pool.int("SELECT max(slot) FROM queue.slot") == slot)
        }
    }

    /// Slot 0 leaves. A server that is busy elsewhere, or an autovacuum, may hold it for a moment.
    private func leaves(_ pool: PostgresPool) async throws {
        let deadline = ContinuousClock.now + .seconds(60)
        while try await pool.int("SELECT count(dropped_at) FROM queue.slot") == 0 {
            try #require(ContinuousClock.now < deadline)
            try await retire(pool, rotation: .seconds(3600))
        }
        #expect(try await partitions(pool).first == "job_000001")
        #expect(try await partitions(pool, of: "outcome").first == "outcome_000001")
    }

    /// How a job lives, and how it ends.
    static let kinds: [(life: PostgresQuery, end: PostgresQuery)] = [
        ("SELECT queue.enqueue('transform', 'a', 1, ARRAY['{}']::jsonb[])", "DELETE FROM queue.ready"),
        (
            "SELECT queue.enqueue('transform', 'a', 1, ARRAY['{}']::jsonb[], 0::int2, 3600)",
            "DELETE FROM queue.deferred"
        ),
        (
            """
            WITH worker AS (SELECT * FROM queue.register_worker('transform', 'test')),
            low AS (SELECT array_fill(0::int8, ARRAY[5]) AS marks)
            SELECT queue.claim(w.worker, w.queue, false, 1, low.marks, low.marks, low.marks, true, '{}')
            FROM worker w, low, queue.enqueue('transform', 'a', 1, ARRAY['{}']::jsonb[])
            """,
            """
            SELECT queue.settle(l.id, l.jobs, l.attempts, true) FROM queue.lease l
            """
        ),
        (
            """
            WITH job AS (SELECT unnest(queue.enqueue('transform', 'a', 1, ARRAY['{}']::jsonb[], 0::int2, 3600)) AS id)
            INSERT INTO queue.dead (job, at, queue, priority, attempt) SELECT id, now() + interval '1 hour', 0, 0, 1
            FROM job
            """,
            "UPDATE queue.dead SET at = now() - interval '1 hour'"
        ),
        (
            """
            WITH job AS (SELECT unnest(queue.enqueue('transform', 'a', 1, ARRAY['{}']::jsonb[], 0::int2, 3600)) AS id)
            INSERT INTO queue.waiting SELECT id, 0, 1, 0 FROM job
            """,
            "DELETE FROM queue.waiting"
        ),
        (
            """
            WITH job AS (SELECT unnest(queue.enqueue('transform', 'a', 1, ARRAY['{}']::jsonb[], 0::int2, 3600)) AS id)
            INSERT INTO queue.blocked SELECT id, 1, id, 0, 1, 1 FROM job
            """,
            "DELETE FROM queue.blocked"
        ),
    ]

    @Test("A partition stays while a job in it may be run, and leaves when it has ended", arguments: kinds.indices)
    func staysWhileLive(_ place: Int) async throws {
        try await withPool { pool in
            try await pool.run(Self.kinds[place].life)
            if place >= 3 { try await pool.run("DELETE FROM queue.deferred") }
            try await nearEnd(pool)
            for _ in 0..<4 { try await retire(pool) }
            #expect(try await partitions(pool).first == "job_000000")
            #expect(try await pool.int("SELECT count(*) FROM queue.slot WHERE leaving_at IS NOT NULL") == 0)
            try await pool.run(Self.kinds[place].end)
            for _ in 0..<2 { try await retire(pool, retention: .seconds(3600)) }
            #expect(try await partitions(pool).first == "job_000000", "within the retention")
            try await leaves(pool)
            #expect(try await pool.int("SELECT count(*) FROM queue.dead") == 0)
            #expect(try await pool.int("SELECT count(dropped_at) FROM queue.slot") == 1)
            try await pool.enqueue(3)
        }
    }

    @Test("A job that was tried before, and stands in `ready` by a later slot's position, keeps its own slot")
    func again() async throws {
        try await withPool { pool in
            let job = try await pool.enqueue(delay: .seconds(3600))[0]
            try await nearEnd(pool)
            for _ in 0..<3 { try await retire(pool) }
            try await pool.run("UPDATE queue.deferred SET run_at = now()")
            try await pool.run("SELECT queue.move_due('-infinity', 10)")
            #expect(try await pool.int("SELECT position FROM queue.ready") > Self.width)
            for _ in 0..<3 { try await retire(pool, rotation: .seconds(3600)) }
            #expect(try await partitions(pool).first == "job_000000")
            #expect(try await QueueInspector(pool: pool).cancel(job) == .cancelled)
            try await leaves(pool)
        }
    }

    @Test("What waits for a dead letter that expires is cancelled with it, and keeps no slot")
    func waitsForDead() async throws {
        try await withPool { pool in
            var parent = JobRequest(queue: "transform", kind: "a", arguments: Array("{}".utf8), workspace: 1)
            parent.isJoinable = true
            var child = parent
            child.after = [.request(0)]
            let statement = try Enqueue.statement([parent, child])
            _ = try await pool.withConnection { try await $0.query(statement) }
            try await pool.run(
                """
                WITH gone AS (DELETE FROM queue.ready RETURNING job)
                INSERT INTO queue.dead (job, at, queue, priority, attempt)
                SELECT job, now() - interval '1 hour', 0, 0, 1 FROM gone
                """)
            #expect(try await pool.int("SELECT count(*) FROM queue.waiting") == 1)
            try await nearEnd(pool)
            for _ in 0..<3 { try await retire(pool) }
            try await leaves(pool)
            for table in ["waiting", "dependency", "joinable", "dead"] {
                let left: PostgresQuery = "SELECT count(*) FROM \(identifier: "queue", table)"
                #expect(try await pool.int(left) == 0, "\(table)")
            }
        }
    }

    /// Its jobs are not visible yet when the slot has ended.
    @Test("A slot is not judged while a transaction that drew in it is open")
    func sealed() async throws {
        try await withPool { pool in
            try await pool.withTransaction { slow in
                _ = try await slow.query("SELECT queue.enqueue('transform', 'slow', 1, ARRAY['{}']::jsonb[])")
                try await nearEnd(pool)
                for _ in 0..<4 { try await retire(pool) }
                #expect(try await pool.int("SELECT count(ended_at) FROM queue.slot") == 1)
                #expect(try await pool.int("SELECT count(leaving_at) FROM queue.slot") == 0)
            }
            for _ in 0..<3 { try await retire(pool) }
            #expect(try await partitions(pool).first == "job_000000")
            #expect(try await pool.int("SELECT count(*) FROM queue.job") == 1)
        }
    }

    @Test("Beside a full load, a held snapshot and an open enqueue, nobody waits longer than the lock timeout")
    func besideLoad() async throws {
        try await withPool(size: 12) { pool in
            try await pool.run("CREATE TABLE effect (job int8)")
            let load = RetentionLoad(pool: pool, lockTimeout: Self.lockTimeout * 3)
            let stop = ShutdownSignal()
            let enqueued = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<3 { group.addTask { try await load.run(until: stop) } }
                let result: Result<Void, any Error>
                do { result = .success(try await leaveBesideLoad(pool)) } catch { result = .failure(error) }
                stop.request()
                try result.get()
                return try await group.reduce(0, +)
            }
            #expect(try await pool.int("SELECT count(*) FROM effect") == enqueued)
            #expect(try await pool.int("SELECT count(DISTINCT job) FROM effect") == enqueued)
            #expect(enqueued > 1000)
            #expect(load.longest.all.allSatisfy { $0 < Self.lockTimeout * 5 }, "\(load.longest.all)")
            // What lived on does so.
            #expect(try await QueueInspector(pool: pool).redrive("transform").jobs.count == 1)
            #expect(try await pool.int("SELECT count(*) FROM queue.deferred") == 1)
            #expect(try await pool.int("SELECT count(*) FROM queue.ready r JOIN queue.job j ON j.id = r.job") == 2)
        }
    }

    /// Slot 0 has only finished jobs, slot 1 a deferred one, slot 2 a dead letter.
    private func leaveBesideLoad(_ pool: PostgresPool) async throws {
        let slots: PostgresQuery = "SELECT last_value / \(.int(Self.width)) FROM queue.position"
        try await pool.wait(until: "SELECT (count(*) > 500)::int FROM effect", is: 1)
        try await move(pool, to: 1)
        try await pool.enqueue(delay: .seconds(3600))
        try await move(pool, to: 2)
        try await pool.run(Self.kinds[3].life)
        try await pool.run("DELETE FROM queue.deferred d USING queue.dead x WHERE d.job = x.job")
        try await move(pool, to: 3)
        #expect(try await pool.int(slots) >= 3)
        try await pool.withTransaction(isolation: .repeatableRead) { holder in
            _ = try await holder.query("SELECT count(*) FROM queue.job")
            try await pool.withTransaction { slow in
                _ = try await slow.query("SELECT queue.enqueue('store', 'slow', 1, ARRAY['{}']::jsonb[])")
                try await leaving(pool, "pending")
                for _ in 0..<3 { try await retire(pool, rotation: .seconds(3600)) }
            }
            #expect(try await partitions(pool).first == "job_000000", "the holder keeps it")
            #expect(try await holder.query("SELECT count(*) FROM queue.job")[0].int(0) > 0, "and goes on")
        }
        try await leaving(pool, nil)
        #expect(try await partitions(pool) == ["job_000001", "job_000002"])
        #expect(try await partitions(pool, of: "outcome") == ["outcome_000001", "outcome_000002"])
    }

    /// Until the first partition of bodies is so far; a server that is busy elsewhere may hold it for a moment.
    private func leaving(_ pool: PostgresPool, _ stage: String?) async throws {
        let deadline = ContinuousClock.now + .seconds(30)
        let found: PostgresQuery = "SELECT stage FROM queue.leaving() ORDER BY child LIMIT 1"
        let dropped: PostgresQuery = "SELECT count(dropped_at) FROM queue.slot"
        while true {
            let stages = try await pool.texts(found)
            let gone = try await pool.int(dropped)
            if stage == nil ? stages.isEmpty && gone > 0 : stages.first == stage { return }
            try #require(ContinuousClock.now < deadline)
            try await retire(pool, rotation: .seconds(3600))
        }
    }

    private func move(_ pool: PostgresPool, to slot: Int) async throws {
        let deadline = ContinuousClock.now + .seconds(30)
        try await nearEnd(pool)
        while try await pool.int("SELECT coalesce(max(slot), 0) FROM queue.slot") < slot {
            try #require(ContinuousClock.now < deadline)
            try await retire(pool, retention: .seconds(3600))
        }
    }
}
