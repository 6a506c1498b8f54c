import Glibc
import Lifecycle
import Observability
import Postgres
import TestSupport
import Testing

@testable import Queue

/// The database stands still, or the network swallows what is said: nothing is lost, nobody is declared lost, nothing
/// piles up, and work goes on soon after.
@Suite("Queue: stalls")
struct StallTests {
    private let settle = ClosureHandler { jobs, lease in try await lease.settle(jobs) }

    /// The server processes of one database, stopped as by a machine that does not schedule them.
    private struct StoppedProcesses {
        let pids: [Int32]

        static func stop(_ database: TestDatabase) async throws -> StoppedProcesses {
            let list = try await database.administer(
                """
                SELECT pid FROM pg_stat_activity
                WHERE datname = '\(database.name)' AND usename = 'millrace' AND backend_type = 'client backend'
                """)
            let pids = list.split(separator: "\n").compactMap { Int32($0) }
            for pid in pids { kill(pid, SIGSTOP) }
            return StoppedProcesses(pids: pids)
        }

        func goOn() {
            for pid in pids { kill(pid, SIGCONT) }
        }
    }

    private func leader(_ metrics: MetricsRegistry, shows line: String) -> Bool {
        String(decoding: metrics.render(), as: UTF8.self).contains("\n\(line)\n")
    }

    /// The stall is longer than the liveness timeout of these settings (1 s) and than what the leader takes for a
    /// hiccup of its own (3 s), and shorter than what a settle waits for its answer (10 s).
    @Test("A database that stands still for seconds: no rescue, no more claims than there is room, and a clean drain")
    func databaseStalls() async throws {
        let cluster = try await TemporaryPostgres.start()
        let database = try await cluster.database(template: "queue") { try await QueueDatabase.migrate($0) }
        let metrics = MetricsRegistry()
        try await database.withPool(size: 6) { pool in
            try await pool.enqueue(3000)
            let most = Notes<Int>()
            let handler = ClosureHandler { jobs, lease in
                most.add(jobs.count)
                try await lease.settle(jobs)
            }
            try await pool.withWorker(handler, .quick(slots: 2, maxClaim: 5), metrics: metrics) {
                try await pool.wait(until: "SELECT (count(*) > 50)::int FROM queue.outcome", is: 1)
                let stopped = try await StoppedProcesses.stop(database)
                defer { stopped.goOn() }
                #expect(!stopped.pids.isEmpty)
                let before = most.all.count
                try await Task.sleep(for: .milliseconds(3_300))
                // Two slots and a buffer of one: what was claimed before may have started, nothing else.
                #expect(most.all.count - before <= 3)
                stopped.goOn()
                try await pool.wait(until: "SELECT count(*) FROM queue.outcome", is: 3000)
            }
            #expect(leader(metrics, shows: "millrace_queue_lost_workers_total 0"))
            #expect(leader(metrics, shows: #"millrace_queue_leases_lost_total{queue="transform"} 0"#))
            #expect(try await pool.int("SELECT count(*) FROM queue.outcome WHERE attempt > 1") == 0)
            #expect(try await pool.int("SELECT count(*) FROM queue.lease") == 0)
            #expect(try await pool.int("SELECT count(*) FROM queue.worker") == 0)
        }
    }

    /// Nobody ever closes them, and nothing comes back: a peer that vanished. New connections work.
    @Test("Half-open connections: working again within 10 s, each job done once")
    func halfOpen() async throws {
        let cluster = try await TemporaryPostgres.start()
        let database = try await cluster.database(template: "queue") { try await QueueDatabase.migrate($0) }
        let proxy = try FaultProxy.start(to: cluster)
        defer { proxy.stop() }
        var patient = try PostgresConfiguration(url: proxy.url(of: database), poolSize: 6)
        // Of the ten seconds as many as the machine may need for other things.
        patient.answerGrace = .seconds(1)
        let configuration = patient
        try await database.withPool { direct in
            try await direct.run("CREATE TABLE effect (job int8)")
            try await withRunningPool(configuration) { pool in
                let handler = ClosureHandler { jobs, lease in
                    let ids = PostgresValue.int8Array(jobs.map(\.id))
                    try await lease.transaction(settling: jobs) { connection in
                        _ = try await connection.query("INSERT INTO effect SELECT unnest(\(ids))")
                    }
                }
                try await pool.withWorker(handler, .quick(slots: 2, maxClaim: 5)) {
                    // Idle when it happens: all that is under way is the wait for notifications.
                    try await direct.enqueue(10)
                    try await direct.wait(until: "SELECT count(*) FROM effect", is: 10)
                    proxy.freeze()
                    try await direct.enqueue(100)
                    let frozen = ContinuousClock.now
                    try await direct.wait(until: "SELECT (count(*) > 10)::int FROM effect", is: 1)
                    #expect(ContinuousClock.now - frozen < .seconds(10))
                    try await direct.wait(until: "SELECT count(*) FROM effect", is: 110)
                }
            }
            #expect(try await direct.int("SELECT count(DISTINCT job) FROM effect") == 110)
            #expect(try await direct.int("SELECT count(*) FROM queue.outcome WHERE state = 'succeeded'") == 110)
        }
    }
}
