import EventLoop
import Lifecycle
import Observability
import Postgres
import TestSupport
import Testing

@testable import Queue

/// What jobs have to do with each other: keys, limits, dependencies.
@Suite("Queue: linked jobs")
struct LinkedJobTests {
    private let settle = ClosureHandler { jobs, lease in try await lease.settle(jobs) }

    private func withPool(_ body: @Sendable (PostgresPool) async throws -> Void) async throws {
        let database = try await QueueDatabase.make()
        try await database.withPool(size: 8) { try await body($0) }
    }

    private func request(_ kind: String = "test.job", _ change: (inout JobRequest) -> Void = { _ in }) -> JobRequest {
        var request = JobRequest(queue: "transform", kind: kind, arguments: Array("{}".utf8), workspace: 1)
        change(&request)
        return request
    }

    private let succeeded: PostgresQuery = "SELECT count(*) FROM queue.outcome WHERE state = 'succeeded'"

    // MARK: Unique keys

    @Test("Of one key one job is there: enqueued twice, from two transactions at once, in one call; free at its end")
    func uniqueUntilFinished() async throws {
        try await withPool { pool in
            let wanted = request { $0.unique = JobRequest.UniqueKey("daily") }
            let first = try await pool.enqueue([wanted, wanted])
            #expect(first[0].isNew && !first[1].isNew && first[0].id == first[1].id)
            let all = try await withThrowingTaskGroup(of: [EnqueuedJob].self) { group in
                let other = request { $0.unique = JobRequest.UniqueKey("race") }
                for _ in 0..<6 { group.addTask { try await pool.enqueue([other]) } }
                return try await group.reduce(into: [EnqueuedJob]()) { $0 += $1 }
            }
            #expect(all.count { $0.isNew } == 1 && Set(all.map(\.id)).count == 1)
            try await pool.withWorker(settle) { try await pool.wait(until: succeeded, is: 2) }
            #expect(try await pool.int("SELECT count(*) FROM queue.unique_key") == 0)
            #expect(try await pool.enqueue([wanted])[0].isNew)
        }
    }

    @Test("A key can be held until the start: what is enqueued while the job runs is a job of its own")
    func uniqueUntilStarted() async throws {
        try await withPool { pool in
            let wanted = request { $0.unique = JobRequest.UniqueKey("refresh", until: .started) }
            let during = Notes<EnqueuedJob>()
            let first = try await pool.enqueue([wanted, wanted])
            #expect(first.map(\.isNew) == [true, false])
            let handler = ClosureHandler { jobs, lease in
                if jobs[0].id == first[0].id {
                    for job in try await pool.enqueue([wanted, wanted]) { during.add(job) }
                }
                try await lease.settle(jobs)
            }
            try await pool.withWorker(handler) { try await pool.wait(until: succeeded, is: 2) }
            #expect(during.all.map(\.isNew) == [true, false])
        }
    }

    @Test("A key can be held for a time, whatever becomes of the job")
    func uniqueForATime() async throws {
        try await withPool { pool in
            let wanted = request { $0.unique = JobRequest.UniqueKey("hourly", until: .time(.seconds(3600))) }
            let id = try await pool.enqueue([wanted])[0].id
            try await pool.withWorker(settle) { try await pool.wait(until: succeeded, is: 1) }
            #expect(try await pool.enqueue([wanted]) == [EnqueuedJob(id: id, isNew: false)])
            try await pool.run("UPDATE queue.unique_key SET expires_at = expires_at - interval '2 hours'")
            #expect(try await pool.enqueue([wanted])[0].isNew)
        }
    }

    // MARK: Limits

    @Test("At most so many jobs of a key run at a time, and all run in the end; other keys are not held up")
    func concurrency() async throws {
        try await withPool { pool in
            try await QueueLimits(pool: pool).set(QueueLimit(concurrency: 2), named: "host", of: "transform")
            let running = Notes<Int>()
            let handler = ClosureHandler { jobs, lease in
                for job in jobs {
                    running.add(try await pool.int("SELECT count(*) FROM queue.permit WHERE limit_id = 1"))
                    if job.attempt == 1, job.id % 7 == 0 {
                        await lease.fail(job, JobFailure(code: "again", message: "", retryAfter: .milliseconds(1)))
                    } else {
                        try await lease.settle([job])
                    }
                }
            }
            let limited = Array(repeating: request { $0.limitKey = "host:a" }, count: 40)
            try await pool.enqueue(limited)
            try await pool.enqueue([request { $0.limitKey = "host:b" }, request()])
            try await pool.withWorker(handler, .quick(slots: 4, maxClaim: 4)) {
                try await pool.wait(until: succeeded, is: 42)
            }
            #expect(running.all.allSatisfy { $0 <= 2 } && running.all.contains(2), "\(running.all)")
            #expect(try await pool.int("SELECT count(*) FROM queue.permit") == 0)
            #expect(try await pool.int("SELECT sum(held) FROM queue.limit_key") == 0)
            #expect(try await pool.int("SELECT count(*) FROM queue.blocked") == 0)
        }
    }

    @Test("Whom the end of a job lets through starts at once, not at the next poll")
    func handsOver() async throws {
        try await withPool { pool in
            try await QueueLimits(pool: pool).set(QueueLimit(concurrency: 1), named: "host", of: "transform")
            try await pool.enqueue(Array(repeating: request { $0.limitKey = "host:a" }, count: 40))
            var configuration = WorkerConfiguration.quick()
            configuration.pollInterval = .seconds(3600)
            let began = ContinuousClock.now
            try await pool.withWorker(settle, configuration) { try await pool.wait(until: succeeded, is: 40) }
            #expect(ContinuousClock.now - began < .seconds(20))
        }
    }

    @Test("At most so many of a key start a period; the bucket fills again")
    func rate() async throws {
        try await withPool { pool in
            let limit = QueueLimit(rate: QueueLimit.Rate(3, per: .seconds(3600)))
            try await QueueLimits(pool: pool).set(limit, named: "mail", of: "transform")
            try await pool.enqueue(Array(repeating: request { $0.limitKey = "mail" }, count: 8))
            try await pool.withWorker(settle) {
                try await pool.wait(until: succeeded, is: 3)
                try await pool.wait(until: "SELECT count(*) FROM queue.blocked", is: 5)
                #expect(try await QueueInspector(pool: pool).status(of: "transform")?.blocked == 5)
                // An hour passes.
                try await pool.run(
                    "UPDATE queue.limit_key SET refilled_at = refilled_at - interval '1 h', due_at = now()")
                try await pool.wait(until: succeeded, is: 6)
            }
        }
    }

    @Test("A limit that does not exist is refused by name; a blocked job can be cancelled and gives its place away")
    func limitsAtTheEdge() async throws {
        try await withPool { pool in
            let limited = request { $0.limitKey = "no:x" }
            await #expect(throws: PostgresError.self) { try await pool.enqueue([limited]) }
            try await QueueLimits(pool: pool).set(QueueLimit(concurrency: 1), named: "no", of: "transform")
            let ids = try await pool.enqueue([limited, limited, limited]).map(\.id)
            let inspector = QueueInspector(pool: pool)
            let hold = ShutdownSignal()
            let handler = ClosureHandler { jobs, lease in
                await hold.requested()
                try await lease.settle(jobs)
            }
            try await pool.withWorker(handler) {
                try await pool.wait(until: "SELECT count(*) FROM queue.lease", is: 1)
                #expect(try await inspector.job(ids[1])?.state == .blocked)
                #expect(try await inspector.cancel(ids[1]) == .cancelled)
                #expect(try await inspector.cancel(ids[0]) == .stopped)
                hold.request()
                try await pool.wait(until: succeeded, is: 1)
            }
            #expect(try await inspector.job(ids[2])?.state == .succeeded)
            #expect(try await pool.int("SELECT held FROM queue.limit_key") == 0)
        }
    }

    @Test("20,000 jobs at their limit stand before nobody: a job that comes after them is claimed first, and at once")
    func blockedAhead() async throws {
        try await withPool { pool in
            try await QueueLimits(pool: pool).set(QueueLimit(concurrency: 1), named: "slow", of: "transform")
            for _ in 0..<2 {
                try await pool.enqueue(Array(repeating: request { $0.limitKey = "slow" }, count: 10_000))
            }
            let plain = try await pool.enqueue([request("plain")])[0].id
            let first = Notes<Int64>()
            let handler = ClosureHandler { jobs, lease in
                if let job = jobs.first { first.add(job.id) }
                try await lease.settle(jobs)
            }
            try await pool.withWorker(handler) {
                try await pool.wait(until: "SELECT count(*) FROM queue.outcome WHERE job = \(.int8(plain))", is: 1)
                // They go on one after the other, each with the permit of the one before.
                try await pool.wait(until: "SELECT (count(*) > 50)::int FROM queue.outcome", is: 1)
                #expect(try await pool.int("SELECT held FROM queue.limit_key") <= 1)
            }
            #expect(first.all.prefix(3).contains(plain))
        }
    }

    // MARK: Dependencies

    @Test("A child runs once, after all of its parents, even when the last two end at the same time")
    func fanIn() async throws {
        try await withPool { pool in
            let order = Notes<String>()
            let handler = ClosureHandler { jobs, lease in
                for job in jobs { order.add(job.kind) }
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for job in jobs { group.addTask { try await lease.settle([job]) } }
                    try await group.waitForAll()
                }
            }
            for _ in 0..<20 {
                var requests = (0..<4).map { _ in request("parent") }
                requests.append(request("child") { $0.after = (0..<4).map { .request($0) } })
                requests.append(request("grandchild") { $0.after = [.request(4)] })
                try await pool.enqueue(requests)
            }
            try await pool.withWorker(handler, .quick(slots: 4, maxClaim: 7)) {
                try await pool.wait(until: succeeded, is: 120)
            }
            #expect(order.all.count { $0 == "child" } == 20 && order.all.count { $0 == "grandchild" } == 20)
            #expect(try await pool.int("SELECT count(*) FROM queue.waiting") == 0)
            #expect(try await pool.int("SELECT count(*) FROM queue.dependency") == 0)
            let early = """
                SELECT count(*) FROM queue.job c JOIN queue.outcome o ON o.job = c.id
                JOIN queue.job p ON p.kind = 'parent' AND p.id BETWEEN c.id - 4 AND c.id - 1
                JOIN queue.outcome q ON q.job = p.id WHERE c.kind = 'child' AND q.at > o.at
                """
            #expect(try await pool.int("\(unsafeText: early)") == 0)
        }
    }

    @Test("A dead parent keeps its child waiting until it is redriven; one that runs anyway does not wait")
    func deadParent() async throws {
        try await withPool { pool in
            let mayPass = Notes<Bool>()
            let handler = ClosureHandler { jobs, lease in
                for job in jobs {
                    if job.kind == "parent", mayPass.all.isEmpty {
                        await lease.fail(job, JobFailure(code: "bad", message: "", isPermanent: true))
                    } else {
                        try await lease.settle([job])
                    }
                }
            }
            let ids = try await pool.enqueue([
                request("parent"), request { $0.after = [.request(0)] },
                request {
                    $0.after = [.request(0)]
                    $0.runsAnyway = true
                },
            ]).map(\.id)
            let inspector = QueueInspector(pool: pool)
            try await pool.withWorker(handler) {
                try await pool.wait(until: succeeded, is: 1)
                #expect(try await inspector.job(ids[2])?.state == .succeeded)
                let waiting = try #require(try await inspector.job(ids[1]))
                #expect(waiting.state == .waiting && waiting.waitsFor == [ids[0]])
                mayPass.add(true)
                #expect(try await inspector.redrive("transform").jobs == [ids[0]])
                try await pool.wait(until: succeeded, is: 3)
            }
        }
    }

    @Test("With a cancelled parent its descendants are cancelled; later children find what became of their parents")
    func cancelledParent() async throws {
        try await withPool { pool in
            let ids = try await pool.enqueue([
                request("parent"), request { $0.after = [.request(0)] }, request { $0.after = [.request(1)] },
                request("other") { $0.isJoinable = true },
            ]).map(\.id)
            let inspector = QueueInspector(pool: pool)
            #expect(try await inspector.cancel(ids[0]) == .cancelled)
            for id in ids[0...2] { #expect(try await inspector.job(id)?.state == .cancelled) }
            try await pool.withWorker(settle) {
                try await pool.wait(until: succeeded, is: 1)
                // It has ended already: nothing to wait for.
                try await pool.enqueue([request { $0.after = [.job(ids[3])] }])
                try await pool.wait(until: succeeded, is: 2)
            }
            await #expect(throws: PostgresError.self) {
                try await pool.enqueue([request { $0.after = [.job(ids[0])] }])
            }
            #expect(throws: QueueError.self) { _ = try Enqueue.statement([request { $0.after = [.request(0)] }]) }
        }
    }

    @Test("A child that is enqueued while its parent ends waits for it or finds it ended, never neither")
    func lateChild() async throws {
        try await withPool { pool in
            let parent = try await pool.enqueue([request("parent") { $0.isJoinable = true }])[0].id
            let child = request("child") { $0.after = [.job(parent)] }
            let enqueued = ShutdownSignal()
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    try await pool.withConnection { connection in
                        try await connection.transaction { connection in
                            _ = try await connection.query(try Enqueue.statement([child]))
                            enqueued.request()
                            // The parent's end has to wait for this commit.
                            try await pool.wait(
                                until: "SELECT (count(*) > 0)::int FROM pg_locks WHERE NOT granted", is: 1)
                        }
                    }
                }
                await enqueued.requested()
                try await pool.withWorker(settle) { try await pool.wait(until: succeeded, is: 2) }
                try await group.waitForAll()
            }
        }
    }
}
