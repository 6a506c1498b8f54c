import EventLoop
import Lifecycle
import Observability
import Postgres
import TestSupport
import Testing

@testable import Queue

/// What breaks around a worker: the database, its connections, its leases, the NOTIFY.
@Suite("Queue: faults")
struct FaultTests {
    private let settle = ClosureHandler { jobs, lease in try await lease.settle(jobs) }

    private func withEffects(
        _ cluster: TemporaryPostgres? = nil, _ body: @Sendable (TestDatabase, PostgresPool) async throws -> Void
    ) async throws {
        let shared = try await TemporaryPostgres.shared()
        let database = try await (cluster ?? shared).database(template: "queue") {
            try await QueueDatabase.migrate($0)
        }
        try await database.withPool(size: 6) { pool in
            try await pool.run("CREATE TABLE effect (job int8)")
            try await body(database, pool)
        }
    }

    /// The commit waits for a standby that does not exist; ended there, it has committed and its answer is lost.
    @Test("A commit whose answer was lost is found out: one effect, one outcome, and the handler sees success")
    func answerLost() async throws {
        let options = TemporaryPostgres.Options(
            settings: [("synchronous_standby_names", "ghost"), ("synchronous_commit", "local")])
        let cluster = try await TemporaryPostgres.start(options)
        try await withEffects(cluster) { database, pool in
            let ids = try await pool.enqueue(5)
            let succeeded = Notes<Int>()
            let handler = ClosureHandler { jobs, lease in
                let ids = PostgresValue.int8Array(jobs.map(\.id))
                try await lease.transaction(settling: jobs) { connection in
                    _ = try await connection.query("SET LOCAL synchronous_commit = on")
                    _ = try await connection.query("INSERT INTO effect SELECT unnest(\(ids))")
                }
                succeeded.add(jobs.count)
            }
            try await pool.withWorker(handler) {
                try await pool.wait(
                    until: "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'", is: 1)
                try await database.administer(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
                try await pool.wait(until: "SELECT count(*) FROM queue.outcome", is: 5)
                try await pool.wait(until: "SELECT count(*) FROM queue.lease", is: 0)
            }
            #expect(succeeded.all.reduce(0, +) == ids.count)
            #expect(try await pool.int("SELECT count(*) FROM effect") == 5)
            #expect(try await pool.int("SELECT count(*) FROM queue.outcome WHERE state = 'succeeded'") == 5)
        }
    }

    @Test("A disk that is full charges no attempt: the job's only one is left when there is room")
    func diskFull() async throws {
        try await withEffects { _, pool in
            try await pool.enqueue(2, maxAttempts: 1)
            let attempts = Notes<Int16>()
            let handler = ClosureHandler { jobs, lease in
                attempts.add(jobs[0].attempt)
                if attempts.all.count == 1 {
                    let full = PostgresError(.server, "no space left", doing: "query", sqlstate: .diskFull)
                    return await lease.fail(jobs, JobFailure(full))
                }
                try await lease.settle(jobs)
            }
            try await pool.withWorker(handler) {
                try await pool.wait(until: "SELECT count(*) FROM queue.outcome WHERE state = 'succeeded'", is: 2)
            }
            #expect(attempts.all.count > 1 && Set(attempts.all) == [1])
            #expect(try await pool.int("SELECT count(*) FROM queue.outcome") == 2)
        }
    }

    /// Ended before it committed: nothing has remained, and the job is retried.
    @Test("A backend that is ended in the middle of the work: the attempt fails, the next one succeeds")
    func backendEnded() async throws {
        try await withEffects { database, pool in
            try await pool.enqueue(3)
            let attempts = Notes<Int16>()
            let handler = ClosureHandler { jobs, lease in
                attempts.add(jobs[0].attempt)
                try await lease.transaction(settling: jobs) { connection in
                    _ = try await connection.query("INSERT INTO effect VALUES (1)")
                    if jobs[0].attempt == 1 {
                        _ = try await connection.query("SELECT pg_terminate_backend(pg_backend_pid())")
                    }
                }
            }
            try await pool.withWorker(handler) {
                try await pool.wait(until: "SELECT count(*) FROM queue.outcome WHERE state = 'succeeded'", is: 3)
            }
            #expect(attempts.all.allSatisfy { $0 <= 2 })
            #expect(try await pool.int("SELECT count(*) FROM queue.outcome WHERE state = 'failed'") == 3)
        }
    }

    @Test("A worker declared lost cannot commit; it registers anew, and its jobs run again, alone")
    func declaredLost() async throws {
        try await withEffects { _, pool in
            try await pool.enqueue(3)
            let fenced = Notes<QueueError.Code>()
            let solos = Notes<Int>()
            let handler = ClosureHandler { jobs, lease in
                let ids = PostgresValue.int8Array(jobs.map(\.id))
                do {
                    try await lease.transaction(settling: jobs) { connection in
                        _ = try await connection.query("INSERT INTO effect SELECT unnest(\(ids))")
                        guard !lease.isSolo else { return }
                        // Whoever decides so, and however: the lease is taken away in the middle of the work.
                        // Its server process is not to be ended before.
                        try await pool.run("DELETE FROM queue.backend")
                        try await pool.run("UPDATE queue.worker SET lost_at = now()")
                        try await pool.wait(until: "SELECT count(*) FROM queue.lease", is: 0)
                    }
                    solos.add(jobs.count)
                } catch let error as QueueError {
                    fenced.add(error.code)
                    throw error
                }
            }
            try await pool.withWorker(handler) {
                try await pool.wait(until: "SELECT count(*) FROM queue.outcome WHERE state = 'succeeded'", is: 3)
            }
            #expect(fenced.all == [.leaseLost])
            #expect(solos.all == [1, 1, 1])
            #expect(try await pool.int("SELECT count(*) FROM effect") == 3)
            #expect(try await pool.int("SELECT count(*) FROM queue.outcome") == 3)
        }
    }

    @Test(
        "The database restarted, even hard: working again within 10 s",
        arguments: [TemporaryPostgres.StopMode.fast, .immediate])
    func restarted(_ mode: TemporaryPostgres.StopMode) async throws {
        let cluster = try await TemporaryPostgres.start(TemporaryPostgres.Options(fsync: true))
        try await withEffects(cluster) { _, pool in
            let handler = ClosureHandler { jobs, lease in
                let ids = PostgresValue.int8Array(jobs.map(\.id))
                try await lease.transaction(settling: jobs) { connection in
                    _ = try await connection.query("INSERT INTO effect SELECT unnest(\(ids))")
                }
            }
            try await pool.withWorker(handler, .quick(slots: 2, maxClaim: 5)) {
                try await pool.enqueue(500)
                try await pool.wait(until: "SELECT (count(*) > 20)::int FROM effect", is: 1)
                try await cluster.restart(mode)
                let back = ContinuousClock.now
                try await pool.wait(until: "SELECT (count(*) = 500)::int FROM effect", is: 1)
                #expect(ContinuousClock.now - back < .seconds(10))
                try await pool.wait(until: "SELECT count(*) FROM queue.outcome WHERE state = 'succeeded'", is: 500)
            }
            #expect(try await pool.int("SELECT count(DISTINCT job) FROM effect") == 500)
            #expect(try await pool.int("SELECT count(*) FROM effect") == 500)
            #expect(try await pool.int("SELECT count(*) FROM queue.lease") == 0)
        }
    }

    @Test("A NOTIFY wakes an idle worker at once; a lost one costs a poll, not the job")
    func notifications() async throws {
        try await withEffects { database, pool in
            var configuration = WorkerConfiguration.quick()
            configuration.pollInterval = .seconds(3)
            configuration.leader.renewal = .seconds(1)
            let wakeup = Wakeup(pool.configuration, loop: try TestLoops.shared().next(), logger: .silent)
            try await pool.withWorker(settle, configuration) {
                try await withRunningService(wakeup) {
                    try await pool.wait(
                        until: """
                            SELECT count(*) FROM pg_stat_activity
                            WHERE datname = \(.text(database.name)) AND query ILIKE 'LISTEN%'
                            """, is: 1)
                    for round in 1...3 {
                        try await pool.enqueue()
                        let sent = ContinuousClock.now
                        wakeup.notify("transform")
                        try await pool.wait(until: "SELECT count(*) FROM queue.outcome", is: round)
                        #expect(ContinuousClock.now - sent < .milliseconds(2_500), "sooner than by a poll")
                    }
                    try await pool.enqueue()
                    let enqueued = ContinuousClock.now
                    try await pool.wait(until: "SELECT count(*) FROM queue.outcome", is: 4)
                    #expect(ContinuousClock.now - enqueued < .seconds(6))
                }
            }
        }
    }

    @Test("At the shutdown what was not started goes back uncharged, what runs is finished, and the worker leaves")
    func shutdown() async throws {
        try await withEffects { _, pool in
            try await pool.enqueue(3)
            let started = ShutdownSignal()
            let goOn = ShutdownSignal()
            let handler = ClosureHandler { jobs, lease in
                started.request()
                await goOn.requested()
                try await lease.settle(jobs)
            }
            let stop = ShutdownSignal()
            let worker = Worker(
                queue: "transform", pool: pool, configuration: .quick(slots: 1, maxClaim: 1), handler: handler,
                logger: .silent, metrics: MetricsRegistry())
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await worker.run(until: stop) }
                await started.requested()
                // One runs, one waits for the slot.
                try await pool.wait(until: "SELECT count(*) FROM queue.lease", is: 2)
                stop.request()
                try await pool.wait(until: "SELECT count(*) FROM queue.ready WHERE attempt = 1", is: 2)
                goOn.request()
                try await group.waitForAll()
            }
            #expect(try await pool.int("SELECT count(*) FROM queue.outcome WHERE state = 'succeeded'") == 1)
            #expect(try await pool.int("SELECT count(*) FROM queue.lease") == 0)
            #expect(try await pool.int("SELECT count(*) FROM queue.worker") == 0)
        }
    }

    @Test("A lease that nobody knows of, left by a claim whose answer was lost, is given back")
    func unknownLease() async throws {
        try await withEffects { _, pool in
            try await pool.enqueue(4)
            let row = try #require(
                try await pool.withConnection {
                    try await $0.query(RegisterWorkerStatement(queue: "transform", name: "test")).first
                })
            try await pool.run(
                """
                SELECT FROM queue.claim(\(.int8(row.worker)), 0::int2, false, 2, '{0,0,0,0,0}', '{0,0,0,0,0}',
                    '{0,0,0,0,0}', false, '{}')
                """)
            let given = try await pool.withConnection {
                try await $0.query(ReconcileStatement(worker: row.worker, known: [])).first
            }
            #expect(given == 2)
            try await pool.withWorker(settle) {
                try await pool.wait(until: "SELECT count(*) FROM queue.outcome WHERE attempt = 1", is: 4)
            }
        }
    }

    @Test("Partitions are made ahead, and a second maker makes none")
    func partitions() async throws {
        try await withEffects { _, pool in
            try await pool.run("SELECT setval('queue.position', 8388608 * 3)")
            let made = try await pool.withConnection { try await $0.query(MakePartitionsStatement(ahead: 4)).first }
            #expect(made == 3)
            let again = try await pool.withConnection { try await $0.query(MakePartitionsStatement(ahead: 4)).first }
            #expect(again == 0)
            let id = try await pool.enqueue()[0]
            try await pool.withWorker(settle) {
                try await pool.wait(until: "SELECT count(*) FROM queue.outcome WHERE job = \(.int8(id))", is: 1)
            }
        }
    }
}
