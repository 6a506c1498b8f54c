import EventLoop
import Glibc
import Lifecycle
import Observability
import Postgres
import TestSupport
import Testing

@testable import Queue

/// What an operator asks for reaches every process that works on the queue within a second. Each of them polls so
/// rarely that it must have been told.
@Suite("Queue: operators and several processes", .serialized)
struct OperatorProcessTests {
    private static let processes = 3
    private static let bound = Duration.seconds(1)

    /// Runs `body` beside the processes, each with one slot and one job ahead, once all of them listen and so do we.
    private func withProcesses(_ body: @Sendable (PostgresPool, Wakeup) async throws -> Void) async throws {
        let database = try await QueueDatabase.make()
        try await database.administer(
            """
            SET ROLE millrace;
            CREATE TABLE effect (job int8);
            CREATE TABLE progress (step text);
            CREATE TABLE gate (open bool);
            """)
        try await database.withPool(size: 6) { pool in
            let wakeup = Wakeup(pool.configuration, loop: try TestLoops.shared().next(), logger: .silent)
            try await withRunningService(wakeup) {
                let processes = try (0..<Self.processes).map { _ in try CrasherProcess(database.url, mode: "hold") }
                let listening: PostgresQuery = """
                    SELECT count(*) FROM pg_stat_activity WHERE query ILIKE 'LISTEN%' AND datname = current_database()
                    """
                try await pool.wait(until: listening, is: Self.processes)
                try await body(pool, wakeup)
                for process in processes { process.signal(SIGTERM) }
                for process in processes { #expect(try await process.ended() == nil) }
                #expect(try await pool.int("SELECT count(*) FROM queue.lease") == 0)
            }
        }
    }

    private let held: PostgresQuery = "SELECT count(*) FROM progress WHERE step LIKE 'held%'"
    private let leases: PostgresQuery = "SELECT count(*) FROM queue.lease"
    private let succeeded: PostgresQuery = "SELECT count(*) FROM queue.outcome WHERE state = 'succeeded'"
    private let ready: PostgresQuery = "SELECT count(*) FROM queue.ready"

    /// One job runs in each process, and each has claimed the next.
    private func keepBusy(_ jobs: Int, _ pool: PostgresPool, _ wakeup: Wakeup) async throws {
        try await pool.enqueue(jobs)
        wakeup.notify("transform")
        try await pool.wait(until: held, is: Self.processes)
        try await pool.wait(until: leases, is: 2 * Self.processes)
        #expect(try await pool.int("SELECT count(DISTINCT worker) FROM queue.lease") == Self.processes)
    }

    @Test("A pause while all processes are busy: what they have not started goes back; while they are idle none begins")
    func pauses() async throws {
        try await withProcesses { pool, wakeup in
            let inspector = QueueInspector(pool: pool)
            try await keepBusy(9, pool, wakeup)
            var asked = ContinuousClock.now
            #expect(try await inspector.setPaused("transform", true))
            wakeup.paused("transform")
            try await pool.wait(until: leases, is: Self.processes)
            #expect(ContinuousClock.now - asked < Self.bound)
            #expect(try await pool.int("SELECT count(DISTINCT worker) FROM queue.lease") == Self.processes)
            #expect(try await pool.int(ready) == 6)
            // What runs goes on to its end, and then all are idle.
            try await pool.run("INSERT INTO gate VALUES (true)")
            try await pool.wait(until: succeeded, is: Self.processes)
            try await pool.wait(until: "SELECT count(*) FROM progress WHERE step = 'settled'", is: Self.processes)
            let before = try await pool.texts("SELECT clock_timestamp()::text")[0]
            try await pool.enqueue(3)
            wakeup.notify("transform")
            // Each of them has asked for jobs since.
            let haveAsked: PostgresQuery = """
                SELECT (count(*) >= 3)::int FROM pg_stat_activity
                WHERE datname = current_database() AND application_name = 'crasher'
                    AND query LIKE '%queue.claim(%' AND query_start > \(.text(before))::timestamptz
                """
            try await pool.wait(until: haveAsked, is: 1)
            #expect(try await pool.int(leases) == 0)
            #expect(try await pool.int(ready) == 9)
            asked = .now
            #expect(try await inspector.setPaused("transform", false))
            wakeup.notify("transform")
            try await pool.wait(until: succeeded, is: 12)
            #expect(ContinuousClock.now - asked < Self.bound)
        }
    }

    @Test("A job that runs in each of several processes is cancelled: each begins with its next one")
    func cancels() async throws {
        try await withProcesses { pool, wakeup in
            try await keepBusy(6, pool, wakeup)
            let running = try await pool.texts("SELECT substr(step, 6) FROM progress").compactMap { Int64($0) }
            let asked = ContinuousClock.now
            for job in running {
                #expect(try await QueueInspector(pool: pool).cancel(job) == .stopped)
                wakeup.cancelled(job, of: "transform")
            }
            try await pool.wait(until: held, is: 2 * Self.processes)
            #expect(ContinuousClock.now - asked < Self.bound)
            try await pool.run("INSERT INTO gate VALUES (true)")
            try await pool.wait(until: succeeded, is: Self.processes)
            #expect(try await pool.int("SELECT count(*) FROM queue.outcome WHERE state = 'cancelled'") == running.count)
            let isDone: PostgresQuery = "SELECT count(*) FROM effect WHERE job = ANY (\(.int8Array(running)))"
            #expect(try await pool.int(isDone) == 0)
        }
    }
}
