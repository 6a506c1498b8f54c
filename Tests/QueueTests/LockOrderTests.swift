import Postgres
import TestSupport
import Testing

@testable import Queue

/// Who needs several locks takes them in the order of all others, or gives up before somebody is ended for it.
@Suite("Queue: the order of locks")
struct LockOrderTests {
    private func withPool(_ body: @Sendable (PostgresPool) async throws -> Void) async throws {
        let database = try await QueueDatabase.make()
        try await database.withPool(size: 8) { try await body($0) }
    }

    private func request(limit: String? = nil, unique: JobRequest.UniqueKey? = nil) -> JobRequest {
        var request = JobRequest(queue: "transform", kind: "test.job", arguments: Array("{}".utf8), workspace: 1)
        request.limitKey = limit
        request.unique = unique
        return request
    }

    /// The leases of the jobs that are ready, each under one of its own, in their order.
    private func claimEach(_ count: Int, _ pool: PostgresPool) async throws -> [Int64] {
        try await pool.withConnection { connection in
            let registration = RegisterWorkerStatement(queue: "transform", name: "test")
            let worker = try #require(try await connection.query(registration).first)
            var leases: [Int64] = []
            for _ in 0..<count {
                let statement = ClaimStatement(
                    worker: worker.worker, queue: worker.queue, solo: false, limit: 1, marks: .zero,
                    soloLow: Marks.Bounds.zero.low, gateLow: 0, sweep: true, done: [], flows: [])
                guard case .header(let header) = try await connection.query(statement).first else { continue }
                leases.append(try #require(header.lease))
            }
            return leases
        }
    }

    private static let waiting = """
        SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
        """

    @Test("A workspace's jobs are stopped beside the end of one of them: neither waits for the other for good")
    func stopsBesideEnd() async throws {
        try await withPool { pool in
            try await QueueLimits(pool: pool).set(QueueLimit(concurrency: 2), named: "host", of: "transform")
            let ids = try await pool.enqueue([request(limit: "host"), request(limit: "host")]).map(\.id)
            try await pool.run("SELECT queue.admit(0::int2, 0, 100)")
            let leases = try await claimEach(2, pool)
            try await pool.withConnection { connection in
                try await connection.execute(script: "BEGIN")
                // The end of the second job has its lease, and needs the key, which the stop of the first has locked.
                try await connection.query("SELECT queue.hold(\(.int8(leases[1])), true)")
                async let stopped = pool.int("SELECT held * 1000 + jobs FROM millrace.stop_jobs(1, 100)")
                let waitsOrEnds = "SELECT ((\(Self.waiting)) > 0 OR EXISTS (SELECT FROM queue.outcome))::int"
                try await pool.wait(until: "\(unsafeText: waitsOrEnds)", is: 1)
                try await connection.query("SELECT queue.conclude(\(.int8Array([ids[1]])), 'succeeded')")
                try await connection.execute(script: "COMMIT")
                // Each that it came to, within its half second, was in somebody's hands.
                #expect([1001, 2002].contains(try await stopped))
            }
            #expect(try await pool.int("SELECT held FROM queue.limit_key") == 0)
            #expect(try await pool.int("SELECT job FROM queue.outcome WHERE state = 'cancelled'") == Int(ids[0]))
        }
    }

    @Test("Who stops a workspace's jobs keeps nobody waiting for long: it leaves the rest to the next call")
    func stopsInParts() async throws {
        try await withPool { pool in
            try await pool.run(
                """
                CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN PERFORM pg_sleep(0.3); RETURN NULL; END $$
                """)
            try await pool.run(
                "CREATE TRIGGER slow AFTER INSERT ON queue.outcome FOR EACH STATEMENT EXECUTE FUNCTION slow()")
            try await pool.enqueue(5)
            let stop: PostgresQuery = "SELECT jobs FROM millrace.stop_jobs(1, 100)"
            let first = try await pool.int(stop)
            #expect((1...2).contains(first))
            var stopped = first
            while case let found = try await pool.int(stop), found > 0 { stopped += found }
            #expect(stopped == 5)
        }
    }

    @Test(
        "The end, or the start, of jobs with unique keys beside who enqueues with the same: in the order of keys",
        arguments: [JobRequest.UniqueKey.Until.finished, .started])
    func keysInOrder(_ until: JobRequest.UniqueKey.Until) async throws {
        try await withPool { pool in
            // The later of the two keys is that of the earlier job, and its row is the first, whatever the plan.
            let keys = ["b", "a"].map { request(unique: .init($0, until: until)) }
            let jobs = [try await pool.enqueue([keys[0]])[0], try await pool.enqueue([keys[1]])[0]]
            let ids = PostgresValue.int8Array(jobs.map(\.id))
            try await pool.withConnection { connection in
                try await connection.execute(script: "BEGIN")
                _ = try await connection.query(try Enqueue.statement([keys[1]]))
                async let end: Void =
                    until == .started
                    ? pool.run("SELECT queue.started(\(ids))") : pool.run("SELECT queue.conclude(\(ids), 'succeeded')")
                try await pool.wait(until: "\(unsafeText: Self.waiting)", is: 1)
                _ = try await connection.query(try Enqueue.statement([keys[0]]))
                try await connection.execute(script: "COMMIT")
                try await end
            }
            #expect(try await pool.int("SELECT count(*) FROM queue.unique_key") == 0)
        }
    }
}
