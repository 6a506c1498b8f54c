import Lifecycle
import Observability
import Postgres
import TestSupport
import Testing

@testable import Queue

/// NOTIFY is a hint: too many of them, none of them, and connections that cannot carry them do no harm.
@Suite("Queue: notifications under stress")
struct StormTests {
    private let settle = ClosureHandler { jobs, lease in try await lease.settle(jobs) }

    @Test("A storm of notifications, for this queue, for others and for nobody: enqueueing and work are unharmed")
    func storm() async throws {
        try await QueueDatabase.make().withPool(size: 8) { pool in
            let metrics = MetricsRegistry()
            let times = Notes<Duration>()
            let done = ShutdownSignal()
            try await pool.withWorker(settle, metrics: metrics) {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for name in ["transform", "store", String(repeating: "x", count: 7000)] {
                        group.addTask {
                            while !done.isRequested {
                                try await pool.run(
                                    """
                                    SELECT pg_notify('millrace_queue', \(.text(name)))
                                    FROM generate_series(1, 50)
                                    """)
                            }
                        }
                    }
                    for _ in 0..<200 {
                        let began = ContinuousClock.now
                        try await pool.enqueue(5)
                        times.add(ContinuousClock.now - began)
                    }
                    try await pool.wait(until: "SELECT count(*) FROM queue.outcome", is: 1000)
                    done.request()
                    try await group.waitForAll()
                }
            }
            // Each a hundred times more than it takes on a quiet machine.
            #expect(times.all.sorted()[100] < .milliseconds(200))
            #expect(try await pool.int("SELECT count(*) FROM queue.lease") == 0)
        }
    }

    @Test("A listener that is ended again and again: a job without a NOTIFY waits no longer than the poll")
    func lostListener() async throws {
        let database = try await QueueDatabase.make()
        try await database.withPool(size: 6) { pool in
            var configuration = WorkerConfiguration.quick()
            configuration.pollInterval = .seconds(2)
            try await pool.withWorker(settle, configuration) {
                for round in 1...3 {
                    try await pool.wait(
                        until: """
                            SELECT count(*) FROM pg_stat_activity
                            WHERE datname = \(.text(database.name)) AND query ILIKE 'LISTEN%'
                            """, is: 1)
                    try await database.administer(
                        """
                        SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                        WHERE datname = '\(database.name)' AND query ILIKE 'LISTEN%'
                        """)
                    try await pool.enqueue()
                    let enqueued = ContinuousClock.now
                    try await pool.wait(until: "SELECT count(*) FROM queue.outcome", is: round)
                    // The poll and its fifth; the rest is for a machine that does much else.
                    #expect(ContinuousClock.now - enqueued < .milliseconds(2400) + .seconds(5))
                }
            }
        }
    }

    /// What a transaction pooler asks for: no names, no settings of the session. `make soak` runs it behind a real one.
    @Test("With unnamed statements a worker does all that it does with named ones")
    func unnamedStatements() async throws {
        let database = try await QueueDatabase.make()
        var configuration = try database.configuration(poolSize: 6)
        configuration.statementMode = .unnamed
        try await withRunningPool(configuration) { pool in
            let handler = ClosureHandler { jobs, lease in
                if jobs[0].attempt == 1, jobs[0].id % 7 == 0 { throw QueueTestError.planned }
                try await lease.transaction(settling: jobs) { connection in
                    _ = try await connection.query("SELECT 1")
                }
            }
            try await pool.withWorker(handler, .quick(slots: 2, maxClaim: 3)) {
                try await pool.enqueue(100)
                try await pool.enqueue(10, delay: .milliseconds(300))
                try await pool.wait(until: "SELECT count(*) FROM queue.outcome WHERE state = 'succeeded'", is: 110)
            }
            #expect(try await pool.int("SELECT count(*) FROM pg_prepared_statements") == 0)
            #expect(try await pool.int("SELECT count(*) FROM queue.lease") == 0)
        }
    }
}
