import Lifecycle
import Observability
import Postgres
import TestSupport
import Testing

@testable import Queue

@Suite("Queue: at rest, and what it shows")
struct RestTests {
    private let settle = ClosureHandler { jobs, lease in try await lease.settle(jobs) }

    /// With the settings that services run with. The platform's whole budget is one a second.
    @Test("Three workers at rest, with the leader, send less than a transaction a second together")
    func budget() async throws {
        let database = try await QueueDatabase.make()
        let transactions = """
            SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = '\(database.name)'
            """
        let count: @Sendable () async throws -> Int = {
            try #require(Int(try await database.cluster.administer(transactions, database: "postgres")))
        }
        try await database.withPool(size: 6) { pool in
            let workers = ["transform", "store", "analytics"].map { queue in
                Worker(queue: queue, pool: pool, handler: settle, logger: .silent, metrics: MetricsRegistry())
            }
            let stop = ShutdownSignal()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for worker in workers { group.addTask { try await worker.run(until: stop) } }
                try await pool.wait(until: "SELECT count(*) FROM queue.worker", is: 3)
                // The server counts an idle connection's transactions up to 10 s after they end.
                try await Task.sleep(for: .seconds(12))
                let before = try await count()
                try await Task.sleep(for: .seconds(15))
                let spent = try await count() - before
                #expect(spent > 0 && spent < 15, "\(spent) in 15 s")
                stop.request()
                try await group.waitForAll()
            }
        }
    }

    @Test("Counters and the leader's gauges tell what happened and what stands in the queue")
    func metrics() async throws {
        let database = try await QueueDatabase.make()
        try await database.withPool(size: 6) { pool in
            let inspector = QueueInspector(pool: pool)
            let metrics = MetricsRegistry()
            let handler = ClosureHandler { jobs, lease in
                if jobs[0].attempt == 1 { throw QueueTestError.planned }
                try await lease.settle(jobs)
            }
            let shows: @Sendable (String) async throws -> Void = { line in
                let deadline = ContinuousClock.now + .seconds(20)
                while !String(decoding: metrics.render(), as: UTF8.self).contains("\n\(line)\n") {
                    guard ContinuousClock.now < deadline else {
                        Issue.record("no line \(line)")
                        return
                    }
                    try await Task.sleep(for: .milliseconds(20))
                }
            }
            try await pool.withWorker(handler, metrics: metrics) {
                try await pool.enqueue(2)
                try await shows(#"millrace_queue_settled_total{queue="transform"} 2"#)
                try await shows(#"millrace_queue_retried_total{queue="transform"} 2"#)
                try await shows(#"millrace_queue_claimed_total{queue="transform"} 4"#)
                try await shows("millrace_queue_leader 1")
                _ = try await inspector.setPaused("transform", true)
                try await pool.enqueue(3)
                try await pool.enqueue(1, delay: .seconds(100))
                try await shows(#"millrace_queue_depth{queue="transform"} 3"#)
                try await shows(#"millrace_queue_deferred{queue="transform"} 1"#)
                try await shows(#"millrace_queue_paused{queue="transform"} 1"#)
                try await shows(#"millrace_queue_paused{queue="store"} 0"#)
                // Such as stand at a key's limit, and such as wait for a parent.
                try await pool.run(
                    """
                    insert into queue.blocked (position, limit_id, job, queue, attempt, last)
                    select nextval('queue.position'), 1, n, id, 1, 20
                    from queue.queue, generate_series(1, 4) n where name = 'transform'
                    """)
                try await shows(#"millrace_queue_blocked{queue="transform"} 4"#)
                try await shows(#"millrace_queue_waiting{queue="transform"} 0"#)
            }
            for gauge in ["depth", "blocked", "paused"] {
                try await shows(#"millrace_queue_\#(gauge){queue="transform"} 0"#)
            }
        }
    }
}
