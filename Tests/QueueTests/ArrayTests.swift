import EventLoop
import Lifecycle
import Observability
import Postgres
import TestSupport
import Testing

@testable import Queue

@Suite("Queue: job arrays")
struct ArrayTests {
    private func withPool(_ body: @Sendable (PostgresPool) async throws -> Void) async throws {
        let database = try await QueueDatabase.make()
        try await database.withPool(size: 8) { pool in
            try await pool.run("CREATE TABLE effect (item int4)")
            try await body(pool)
        }
    }

    private func array(_ items: Int32, slice: Int32? = nil, maxAttempts: Int16 = 20) -> JobRequest {
        var request = JobRequest(
            queue: "transform", kind: "array", arguments: Array("{}".utf8), workspace: 1, maxAttempts: maxAttempts)
        request.items = items
        request.slice = slice
        return request
    }

    /// Writes each item of a slice, in the slice's transaction.
    private func writer(
        _ refuse: @escaping @Sendable (Job) throws -> Void = { _ in }
    ) -> ClosureHandler {
        ClosureHandler { jobs, lease in
            for job in jobs {
                let items = try #require(job.items)
                do {
                    try refuse(job)
                    try await lease.transaction(settling: [job]) { connection in
                        let (first, last) = (Int64(items.lowerBound), Int64(items.upperBound) - 1)
                        try await connection.query(
                            "INSERT INTO effect SELECT generate_series(\(.int8(first)), \(.int8(last)))")
                    }
                } catch let failure as JobFailure {
                    await lease.fail(job, failure)
                }
            }
        }
    }

    /// A poll is further away than the test waits.
    @Test("The slices of an array follow one another without a NOTIFY and without a poll")
    func followOneAnother() async throws {
        try await withPool { pool in
            try await pool.enqueue([array(1_000)])
            var configuration = WorkerConfiguration.quick(slots: 1, maxClaim: 10)
            configuration.pollInterval = .seconds(3600)
            try await pool.withWorker(writer(), configuration) {
                try await pool.wait(until: "SELECT remaining FROM queue.array", is: 0)
            }
        }
    }

    @Test("Each item is done once, by slices, and the array succeeds when the last has")
    func succeeds() async throws {
        try await withPool { pool in
            let id = try await pool.enqueue([array(1_000)])[0].id
            let inspector = QueueInspector(pool: pool)
            try await pool.withWorker(writer(), .quick(slots: 3, maxClaim: 64)) {
                try await pool.wait(until: "SELECT remaining FROM queue.array", is: 0)
            }
            #expect(try await pool.int("SELECT count(*) FROM effect") == 1_000)
            #expect(try await pool.int("SELECT count(DISTINCT item) FROM effect") == 1_000)
            #expect(try await pool.int("SELECT sum(items) FROM queue.outcome WHERE state = 'succeeded'") == 1_000)
            let report = try #require(try await inspector.job(id))
            #expect(report.state == .succeeded)
            #expect(report.array == JobReport.Array(items: 1_000, remaining: 0, failed: 0))
            #expect(try await pool.int("SELECT count(*) FROM queue.lease") == 0)
            #expect(try await pool.int("SELECT count(*) FROM queue.outcome") < 40)
        }
    }

    @Test("A slice that fails comes back in halves until the bad item stands alone, and dies; redriven it succeeds")
    func bisects() async throws {
        try await withPool { pool in
            let id = try await pool.enqueue([array(64, maxAttempts: 2)])[0].id
            let isMended = Notes<Bool>()
            let handler = writer { job in
                guard isMended.all.isEmpty, job.items?.contains(37) == true else { return }
                throw JobFailure(code: "bad", message: "item 37")
            }
            let inspector = QueueInspector(pool: pool)
            try await pool.withWorker(handler, .quick(slots: 2, maxClaim: 64)) {
                try await pool.wait(until: "SELECT count(*) FROM queue.dead", is: 1)
                try await pool.wait(until: "SELECT remaining FROM queue.array", is: 0)
                #expect(try await pool.int("SELECT count(*) FROM effect") == 63)
                #expect(try await pool.int("SELECT first * 1000 + items FROM queue.dead") == 37_001)
                #expect(try await inspector.job(id)?.state == .dead)
                #expect(try await inspector.job(id)?.array?.failed == 1)
                isMended.add(true)
                #expect(try await inspector.redrive("transform").jobs == [id])
                try await pool.wait(until: "SELECT count(*) FROM effect", is: 64)
                try await pool.wait(until: "SELECT remaining + failed FROM queue.array", is: 0)
            }
            #expect(try await inspector.job(id)?.state == .succeeded)
        }
    }

    @Test("Who waits for an array waits for its last item; another array's slices take turns with its own")
    func fansIn() async throws {
        try await withPool { pool in
            var child = JobRequest(queue: "transform", kind: "child", arguments: Array("{}".utf8), workspace: 1)
            child.after = [.request(0)]
            let order = Notes<(kind: String, job: Int64)>()
            let handler = ClosureHandler { jobs, lease in
                for job in jobs { order.add((job.kind, job.id)) }
                try await lease.settle(jobs)
            }
            try await pool.enqueue([array(200, slice: 10), child, array(200, slice: 10)])
            try await pool.withWorker(handler, .quick(slots: 2, maxClaim: 10)) {
                try await pool.wait(until: "SELECT count(*) FROM queue.array WHERE remaining = 0", is: 2)
                try await pool.wait(
                    until: "SELECT count(*) FROM queue.outcome WHERE state = 'succeeded' AND items = 0", is: 1)
            }
            let kinds = order.all.map(\.kind)
            #expect(kinds.count { $0 == "child" } == 1 && kinds.count { $0 == "array" } >= 40)
            let half = order.all.filter { $0.kind == "array" }.prefix(20).map(\.job)
            #expect(Set(half).count == 2, "the second array did not wait for the first")
        }
    }

    @Test("A cancelled array: nothing of it begins any more, what runs cannot commit, and its child is cancelled")
    func cancels() async throws {
        try await withPool { pool in
            var child = JobRequest(queue: "transform", kind: "child", arguments: Array("{}".utf8), workspace: 1)
            child.after = [.request(0)]
            let ids = try await pool.enqueue([array(1_000, slice: 10), child]).map(\.id)
            let inspector = QueueInspector(pool: pool)
            let codes = Notes<QueueError.Code>()
            let began = ShutdownSignal()
            let goOn = ShutdownSignal()
            let handler = ClosureHandler { jobs, lease in
                began.request()
                await goOn.requested()
                do {
                    try await lease.transaction(settling: jobs) { connection in
                        try await connection.query("INSERT INTO effect VALUES (1)")
                    }
                } catch let error as QueueError {
                    codes.add(error.code)
                    throw error
                }
            }
            try await pool.withWorker(handler) {
                await began.requested()
                #expect(try await inspector.cancel(ids[0]) == .stopped)
                #expect(try await inspector.cancel(ids[0]) == .finished)
                goOn.request()
                try await pool.wait(until: "SELECT count(*) FROM queue.lease", is: 0)
                try await pool.wait(until: "SELECT count(*) FROM queue.ready", is: 0)
            }
            #expect(!codes.all.isEmpty && codes.all.allSatisfy { $0 == .cancelled })
            #expect(try await pool.int("SELECT count(*) FROM effect") == 0)
            #expect(try await inspector.job(ids[0])?.state == .cancelled)
            #expect(try await inspector.job(ids[1])?.state == .cancelled)
        }
    }

    /// An array of four items that dies, with a child that waits for it.
    private func dead(_ pool: PostgresPool) async throws -> (array: Int64, child: Int64) {
        var child = JobRequest(queue: "transform", kind: "child", arguments: Array("{}".utf8), workspace: 1)
        child.after = [.request(0)]
        let ids = try await pool.enqueue([array(4, slice: 2), child]).map(\.id)
        let handler = ClosureHandler { jobs, lease in
            await lease.fail(jobs, JobFailure(code: "bad", message: "", isPermanent: true))
        }
        try await pool.withWorker(handler) {
            try await pool.wait(until: "SELECT remaining FROM queue.array WHERE job = \(.int8(ids[0]))", is: 0)
        }
        return (ids[0], ids[1])
    }

    @Test("A dead array is cancelled: it cannot be redriven any more, and its child is cancelled")
    func cancelsDead() async throws {
        try await withPool { pool in
            let (array, child) = try await dead(pool)
            let inspector = QueueInspector(pool: pool)
            #expect(try await inspector.job(array)?.state == .dead)
            #expect(try await inspector.job(child)?.state == .waiting)
            #expect(try await inspector.cancel(array) == .cancelled)
            #expect(try await inspector.cancel(array) == .finished)
            #expect(try await inspector.job(array)?.state == .cancelled)
            #expect(try await inspector.job(child)?.state == .cancelled)
            #expect(try await inspector.redrive("transform").jobs.isEmpty)
            #expect(try await pool.int("SELECT count(*) FROM queue.dead") == 0)
        }
    }

    @Test("A workspace's jobs are stopped also where one is an array that is dead, or came back when it was cancelled")
    func stopsDead() async throws {
        try await withPool { pool in
            _ = try await dead(pool)
            let stop: PostgresQuery = "SELECT held * 1000 + jobs FROM millrace.stop_jobs(1, 100)"
            // The child goes with the array, or before it.
            #expect(try await pool.int(stop) > 0)
            #expect(try await pool.int(stop) == 0)
            // As a holder gives slices back that it had begun to give back before.
            let id = try await pool.enqueue([array(4)])[0].id
            #expect(try await QueueInspector(pool: pool).cancel(id) == .cancelled)
            try await pool.run(
                """
                INSERT INTO queue.ready (position, job, lane, priority, attempt, last, flow, items)
                SELECT nextval('queue.position'), \(.int8(id)), 0, 0, 1, 20, queue.flow_of(0::int2, 0::int2, 1), 4
                """)
            #expect(try await pool.int(stop) == 1001)
            #expect(try await pool.int(stop) == 0)
        }
    }

    @Test("A claim is full although slices of a cancelled array stand before what it takes", arguments: [false, true])
    func claimsBehindCancelled(isSwept: Bool) async throws {
        try await withPool { pool in
            let id = try await pool.enqueue([array(6)])[0].id
            #expect(try await QueueInspector(pool: pool).cancel(id) == .cancelled)
            // As holders give slices back that they had begun to give back before.
            try await pool.run(
                """
                INSERT INTO queue.ready (position, job, lane, priority, attempt, last, flow, first, items)
                SELECT nextval('queue.position'), \(.int8(id)), 0, 0, 1, 20, queue.flow_of(0::int2, 0::int2, 1),
                    2 * n, 2 FROM generate_series(0, 2) n
                """)
            let behind = try await pool.enqueue(3) + pool.enqueue([array(9)]).map(\.id) + pool.enqueue(1)
            let registration = RegisterWorkerStatement(queue: "transform", name: "test")
            let rows = try await pool.withConnection { connection in
                let worker = try #require(try await connection.query(registration).first)
                return try await connection.query(
                    ClaimStatement(
                        worker: worker.worker, queue: worker.queue, solo: false, limit: 4, marks: .zero,
                        soloLow: Marks.Bounds.zero.low, gateLow: 0, sweep: isSwept, done: [], flows: []))
            }
            let jobs = rows.compactMap { if case .job(let job) = $0 { job } else { nil } }
            #expect(jobs.map(\.id) == Array(behind[..<4]))
            #expect(try await pool.int("SELECT sum(items) FROM queue.ready") + (jobs.last?.items?.count ?? 0) == 9)
        }
    }

    @Test("Who runs anyway waits for an array until all of it has ended; for a cancelled one nobody can wait")
    func waitsForArray() async throws {
        try await withPool { pool in
            var request = array(4, slice: 2)
            request.isJoinable = true
            let parent = try await pool.enqueue([request])[0].id
            var child = JobRequest(queue: "transform", kind: "child", arguments: Array("{}".utf8), workspace: 1)
            child.after = [.job(parent)]
            let anyway = {
                var anyway = child
                anyway.runsAnyway = true
                return anyway
            }()
            let inspector = QueueInspector(pool: pool)
            let (isHalfDead, goOn) = (ShutdownSignal(), ShutdownSignal())
            let handler = ClosureHandler { jobs, lease in
                guard let first = jobs.first?.items?.lowerBound else { return try await lease.settle(jobs) }
                if first == 0 {
                    await lease.fail(jobs, JobFailure(code: "bad", message: "", isPermanent: true))
                    isHalfDead.request()
                } else {
                    await goOn.requested()
                    try await lease.settle(jobs)
                }
            }
            try await pool.withWorker(handler, .quick(slots: 2, maxClaim: 2)) {
                await isHalfDead.requested()
                let early = try await pool.enqueue([anyway])[0].id
                #expect(try await inspector.job(early)?.state == .waiting)
                goOn.request()
                try await pool.wait(until: "SELECT remaining FROM queue.array", is: 0)
                let late = try await pool.enqueue([anyway])[0].id
                for id in [early, late] {
                    try await pool.wait(until: "SELECT count(*) FROM queue.outcome WHERE job = \(.int8(id))", is: 1)
                }
            }
            #expect(try await inspector.cancel(parent) == .cancelled)
            await #expect(throws: PostgresError.self) { try await pool.enqueue([child]) }
            #expect(try await inspector.job(try await pool.enqueue([anyway])[0].id)?.state == .ready)
        }
    }
}
