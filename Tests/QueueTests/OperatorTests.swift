import EventLoop
import JSON
import Lifecycle
import Observability
import Postgres
import TestSupport
import Testing

@testable import Queue

/// What operators and handlers do with single jobs: cancel, pause, time out, results, progress, fairness, lists.
@Suite("Queue: jobs one by one")
struct OperatorTests {
    private func withPool(_ body: @Sendable (PostgresPool) async throws -> Void) async throws {
        let database = try await QueueDatabase.make()
        try await database.withPool(size: 8) { pool in
            try await pool.run("CREATE TABLE effect (job int8)")
            try await body(pool)
        }
    }

    private let succeeded: PostgresQuery = "SELECT count(*) FROM queue.outcome WHERE state = 'succeeded'"

    @Test("A job cancelled while it runs cannot commit; its neighbours go back uncharged and succeed")
    func cancelsRunning() async throws {
        try await withPool { pool in
            let ids = try await pool.enqueue(3)
            let inspector = QueueInspector(pool: pool)
            let handler = ClosureHandler { jobs, lease in
                try await lease.transaction(settling: jobs) { connection in
                    try await connection.query("INSERT INTO effect SELECT unnest(\(.int8Array(jobs.map(\.id))))")
                    if jobs.count == 3 { #expect(try await inspector.cancel(ids[1]) == .stopped) }
                }
            }
            try await pool.withWorker(handler) {
                try await pool.wait(until: succeeded, is: 2)
                try await pool.wait(until: "SELECT count(*) FROM queue.lease", is: 0)
            }
            #expect(try await pool.int("SELECT count(*) FROM effect") == 2)
            #expect(try await inspector.job(ids[1])?.state == .cancelled)
            #expect(try await inspector.outcomes(of: ids[1]).map(\.state) == ["cancelled"])
            #expect(try await inspector.outcomes(of: ids[0]).map(\.attempt) == [1])
        }
    }

    @Test("A redriven job is cancelled although the lease that buried it is still there")
    func cancelsRedriven() async throws {
        try await withPool { pool in
            let ids = try await pool.enqueue(2)
            let inspector = QueueInspector(pool: pool)
            let (buried, over) = (ShutdownSignal(), ShutdownSignal())
            let handler = ClosureHandler { jobs, lease in
                if jobs.count == 2 {
                    await lease.fail(jobs[0], JobFailure(code: "bad", message: "for good", isPermanent: true))
                    buried.request()
                }
                await over.requested()
                try await lease.settle(jobs.count == 2 ? [jobs[1]] : jobs)
            }
            try await pool.withWorker(handler) {
                await buried.requested()
                #expect(try await inspector.redrive("transform").jobs == [ids[0]])
                try await pool.wait(until: "SELECT count(*) FROM queue.lease", is: 2)
                #expect(try await inspector.job(ids[0])?.state == .running)
                #expect(try await inspector.cancel(ids[0]) == .stopped)
                over.request()
                try await pool.wait(until: "SELECT count(*) FROM queue.lease", is: 0)
            }
            #expect(try await inspector.job(ids[0])?.state == .cancelled)
            #expect(try await inspector.job(ids[1])?.state == .succeeded)
            #expect(try await inspector.outcomes(of: ids[0]).map(\.state).sorted() == ["cancelled", "dead"])
        }
    }

    @Test("A redriven job is cancelled while it is ready, although the lease that buried it is still there")
    func cancelsRedrivenReady() async throws {
        try await withPool { pool in
            let ids = try await pool.enqueue(2)
            let inspector = QueueInspector(pool: pool)
            let (buried, over) = (ShutdownSignal(), ShutdownSignal())
            let handler = ClosureHandler { jobs, lease in
                await lease.fail(jobs[0], JobFailure(code: "bad", message: "for good", isPermanent: true))
                buried.request()
                await over.requested()
                try await lease.settle([jobs[1]])
            }
            try await pool.withWorker(handler) {
                await buried.requested()
                #expect(try await inspector.setPaused("transform", true))
                #expect(try await inspector.redrive("transform").jobs == [ids[0]])
                #expect(try await inspector.job(ids[0])?.state == .ready)
                #expect(try await inspector.cancel(ids[0]) == .cancelled)
                over.request()
                try await pool.wait(until: "SELECT count(*) FROM queue.lease", is: 0)
            }
            #expect(try await pool.int("SELECT count(*) FROM queue.ready") == 0)
            #expect(try await inspector.job(ids[0])?.state == .cancelled)
            #expect(try await inspector.outcomes(of: ids[0]).map(\.state).sorted() == ["cancelled", "dead"])
        }
    }

    @Test("The handler of a cancelled job is told within a second, by the cancellation of its task")
    func tellsHandler() async throws {
        try await withPool { pool in
            let id = try await pool.enqueue()[0]
            let wakeup = Wakeup(pool.configuration, loop: try TestLoops.shared().next(), logger: .silent)
            let took = Notes<Duration>()
            let asked = Notes<ContinuousClock.Instant>()
            let handler = ClosureHandler { jobs, lease in
                try? await Task.sleep(for: .seconds(60))
                #expect(lease.isCancelled(jobs[0]))
                took.add(ContinuousClock.now - (asked.all.first ?? .now))
                await lease.fail(jobs, JobFailure(code: "ended", message: "early"))
            }
            try await pool.withWorker(handler) {
                try await withRunningService(wakeup) {
                    try await pool.wait(
                        until: """
                            SELECT count(*) FROM pg_stat_activity
                            WHERE query ILIKE \'LISTEN%\' AND datname = current_database()
                            """, is: 1)
                    try await pool.wait(until: "SELECT count(*) FROM queue.lease", is: 1)
                    asked.add(.now)
                    #expect(try await QueueInspector(pool: pool).cancel(id) == .stopped)
                    wakeup.cancelled(id, of: "transform")
                    try await pool.wait(until: "SELECT count(*) FROM queue.lease", is: 0)
                }
            }
            #expect(try #require(took.all.first) < .seconds(1))
            #expect(try await pool.texts("SELECT state FROM queue.outcome") == ["cancelled"])
        }
    }

    @Test("A paused queue's workers give back within a second what they have not started; what runs goes on")
    func pauses() async throws {
        try await withPool { pool in
            try await pool.enqueue(3)
            let wakeup = Wakeup(pool.configuration, loop: try TestLoops.shared().next(), logger: .silent)
            let hold = ShutdownSignal()
            let handler = ClosureHandler { jobs, lease in
                await hold.requested()
                try await lease.settle(jobs)
            }
            let inspector = QueueInspector(pool: pool)
            try await pool.withWorker(handler, .quick(slots: 1, maxClaim: 1)) {
                try await withRunningService(wakeup) {
                    try await pool.wait(until: "SELECT count(*) FROM queue.lease", is: 2)
                    try await pool.wait(
                        until: """
                            SELECT count(*) FROM pg_stat_activity
                            WHERE query ILIKE \'LISTEN%\' AND datname = current_database()
                            """, is: 1)
                    let asked = ContinuousClock.now
                    #expect(try await inspector.setPaused("transform", true))
                    wakeup.paused("transform")
                    try await pool.wait(until: "SELECT count(*) FROM queue.lease", is: 1)
                    #expect(ContinuousClock.now - asked < .seconds(1))
                    hold.request()
                    try await pool.wait(until: succeeded, is: 1)
                    #expect(try await pool.int("SELECT count(*) FROM queue.ready WHERE attempt = 1") == 2)
                    #expect(try await inspector.setPaused("transform", false))
                    wakeup.notify("transform")
                    try await pool.wait(until: succeeded, is: 3)
                }
            }
        }
    }

    @Test(
        "A handler that takes longer than its kind allows is cancelled, settles nothing, and its jobs are tried again")
    func timesOut() async throws {
        try await withPool { pool in
            try await pool.enqueue(maxAttempts: 2)
            var configuration = WorkerConfiguration.quick()
            configuration.kinds["test.job"] = KindPolicy(
                timeout: .milliseconds(100), backoff: Backoff(base: .milliseconds(1), cap: .milliseconds(1)))
            let codes = Notes<QueueError.Code>()
            let handler = ClosureHandler { jobs, lease in
                if jobs[0].attempt == 2 { return try await lease.settle(jobs) }
                try? await Task.sleep(for: .seconds(60))
                do {
                    try await lease.settle(jobs)
                } catch let error as QueueError {
                    codes.add(error.code)
                    throw error
                }
            }
            try await pool.withWorker(handler, configuration) {
                try await pool.wait(until: succeeded, is: 1)
            }
            #expect(codes.all == [.timedOut])
            let errors = try await pool.texts("SELECT error FROM queue.outcome WHERE state = 'failed'")
            #expect(errors == ["timed_out: the time for handling the job was over"])
        }
    }

    @Test("Results and progress are kept and shown; a result that is too large is refused")
    func results() async throws {
        try await withPool { pool in
            let id = try await pool.enqueue()[0]
            let inspector = QueueInspector(pool: pool)
            let handler = ClosureHandler { jobs, lease in
                await lease.report(0.25, note: "a quarter", of: jobs[0])
                await lease.report(0.5, note: "too soon after", of: jobs[0])
                let during = try #require(try await inspector.job(jobs[0].id))
                #expect(during.state == .running && during.progress?.fraction == 0.25)
                #expect(during.progress?.note == "a quarter")
                #expect(throws: QueueError.self) {
                    try lease.setResult(Array(repeating: 32, count: Lease.maximumResult + 1), of: jobs[0])
                }
                try lease.setResult(Array(#"{"rows": 3}"#.utf8), of: jobs[0])
                try await lease.settle(jobs)
            }
            try await pool.withWorker(handler) { try await pool.wait(until: succeeded, is: 1) }
            let result = try #require(try await inspector.job(id)?.result)
            #expect(try JSONValue.parse(result) == ["rows": 3])
        }
    }

    @Test("A workspace with few jobs is served beside one with many, and lower priorities come after all of both")
    func isFair() async throws {
        try await withPool { pool in
            func requests(_ workspace: Int64, _ count: Int, priority: Int16 = 0) -> [JobRequest] {
                let request = JobRequest(
                    queue: "transform", kind: "test.job", arguments: Array("{}".utf8), workspace: workspace,
                    priority: priority)
                return Array(repeating: request, count: count)
            }
            try await pool.enqueue(requests(1, 3_000))
            try await pool.enqueue(requests(2, 60) + requests(3, 60) + requests(4, 20, priority: -1))
            let order = Notes<Int64>()
            let handler = ClosureHandler { jobs, lease in
                for job in jobs { order.add(job.workspace) }
                try await lease.settle(jobs)
            }
            try await pool.withWorker(handler, .quick(slots: 1, maxClaim: 10)) {
                try await pool.wait(until: succeeded, is: 3_140)
            }
            let all = order.all
            let last = try #require(all.lastIndex { $0 == 2 || $0 == 3 })
            // Of each claim a third: the 120 are done with some 60 of the many, and what went before the first look.
            #expect(last < 1_000, "the last of the few came at \(last)")
            #expect(try #require(all.firstIndex(of: 4)) > 3_000)
        }
    }

    @Test("Of 10,000 dead letters redriven none is lost")
    func redrivesMany() async throws {
        try await withPool { pool in
            let ids = try await pool.enqueue(10_000, maxAttempts: 1)
            let isMended = Notes<Bool>()
            let handler = ClosureHandler { jobs, lease in
                if isMended.all.isEmpty {
                    return await lease.fail(jobs, JobFailure(code: "bad", message: "", isPermanent: true))
                }
                try await lease.settle(jobs)
            }
            // As a worker would leave them; one transaction each would only take longer.
            try await pool.run(
                """
                WITH gone AS (DELETE FROM queue.ready RETURNING job, priority)
                INSERT INTO queue.dead (job, at, queue, priority, attempt, error)
                SELECT job, now(), 0, priority, 1, 'bad: ' FROM gone
                """)
            isMended.add(true)
            let inspector = QueueInspector(pool: pool)
            #expect(try await inspector.redrive("transform", limit: 4_000).jobs.count == 4_000)
            #expect(try await inspector.redrive("transform", limit: 10_000).jobs.count == 6_000)
            try await pool.withWorker(handler, .quick(slots: 4, maxClaim: 500)) {
                try await pool.wait(until: succeeded, is: ids.count)
            }
            #expect(try await pool.int("SELECT count(DISTINCT job) FROM queue.outcome") == ids.count)
        }
    }

    @Test("Jobs are listed by state, kind, queue and workspace, page by page, each once")
    func lists() async throws {
        try await withPool { pool in
            try await pool.enqueue(25, kind: "a.job")
            try await pool.enqueue(5, kind: "b.job", delay: .seconds(100))
            try await pool.enqueue(3, queue: "store", kind: "a.job")
            let inspector = QueueInspector(pool: pool)
            var seen: [Int64] = []
            var before = Int64.max
            while true {
                let page = try await inspector.jobs(JobFilter(kind: "a.job", state: .ready), before: before, limit: 10)
                seen += page.jobs.map(\.id)
                guard let next = page.next else { break }
                before = next
            }
            #expect(seen.count == 28 && seen == seen.sorted(by: >) && Set(seen).count == 28)
            #expect(try await inspector.jobs(JobFilter(state: .deferred)).jobs.count == 5)
            #expect(try await inspector.jobs(JobFilter(queue: "store")).jobs.count == 3)
            #expect(try await inspector.jobs(JobFilter(workspace: 2)).jobs.isEmpty)
        }
    }
}
