import EventLoop
import Observability
import Postgres
import TestSupport
import Testing

@testable import Queue

@Suite("Queue: a worker's day")
struct WorkerTests {
    @Test("Jobs are claimed, handled with their arguments, and settled with their work")
    func settles() async throws {
        let database = try await QueueDatabase.make()
        try await database.withPool(size: 6) { pool in
            try await pool.run("CREATE TABLE effect (job int8 PRIMARY KEY)")
            let ids = try await pool.enqueue(500)
            let handler = ClosureHandler { jobs, lease in
                #expect(jobs.allSatisfy { $0.arguments == Array(#"{"n": 1}"#.utf8) && $0.attempt == 1 })
                try await lease.transaction(settling: jobs) { connection in
                    try await connection.query("INSERT INTO effect SELECT unnest(\(.int8Array(jobs.map(\.id))))")
                }
            }
            try await pool.withWorker(handler) {
                try await pool.wait(until: "SELECT count(*) FROM queue.outcome WHERE state = 'succeeded'", is: 500)
            }
            #expect(try await pool.int("SELECT count(*) FROM effect") == ids.count)
            #expect(try await pool.int("SELECT count(*) FROM queue.lease") == 0)
            #expect(try await pool.int("SELECT count(*) FROM queue.ready") == 0)
            #expect(try await pool.int("SELECT count(*) FROM queue.worker") == 0)
        }
    }

    @Test("A handler runs on no event loop, before and after it asked the database")
    func handlesOffTheLoops() async throws {
        let database = try await QueueDatabase.make()
        try await database.withPool { pool in
            try await pool.enqueue(8)
            let places = Notes<String?>()
            let handler = ClosureHandler { jobs, lease in
                places.add(EventLoop.current?.name)
                _ = try await pool.int("SELECT 1")
                places.add(EventLoop.current?.name)
                try await lease.transaction(settling: jobs) { connection in try await connection.query("SELECT 1") }
                places.add(EventLoop.current?.name)
            }
            try await pool.withWorker(handler) {
                try await pool.wait(until: "SELECT count(*) FROM queue.outcome WHERE state = 'succeeded'", is: 8)
            }
            #expect(places.all.count >= 3 && places.all.allSatisfy { $0 == nil }, "\(places.all)")
        }
    }

    @Test("Parts of a group are settled side by side and the lease is cleaned up")
    func settlesInParts() async throws {
        let database = try await QueueDatabase.make()
        try await database.withPool(size: 8) { pool in
            try await pool.enqueue(64)
            let handler = ClosureHandler { jobs, lease in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for job in jobs { group.addTask { try await lease.settle([job]) } }
                    try await group.waitForAll()
                }
            }
            try await pool.withWorker(handler) {
                try await pool.wait(until: "SELECT count(*) FROM queue.outcome", is: 64)
            }
            #expect(try await pool.int("SELECT count(*) FROM queue.lease") == 0)
        }
    }

    @Test("A handler that throws is retried with backoff until it succeeds; its work leaves nothing")
    func retries() async throws {
        let database = try await QueueDatabase.make()
        try await database.withPool { pool in
            try await pool.run("CREATE TABLE effect (job int8)")
            let id = try await pool.enqueue()[0]
            let attempts = Notes<Int16>()
            let handler = ClosureHandler { jobs, lease in
                attempts.add(jobs[0].attempt)
                try await lease.transaction(settling: jobs) { connection in
                    try await connection.query("INSERT INTO effect VALUES (1)")
                    if jobs[0].attempt < 4 { throw QueueTestError.planned }
                }
            }
            try await pool.withWorker(handler) {
                try await pool.wait(until: "SELECT count(*) FROM queue.outcome WHERE state = 'succeeded'", is: 1)
            }
            #expect(attempts.all == [1, 2, 3, 4])
            #expect(try await pool.int("SELECT count(*) FROM effect") == 1)
            let states = try await pool.texts(
                "SELECT state FROM queue.outcome WHERE job = \(.int8(id)) ORDER BY attempt")
            #expect(states == ["failed", "failed", "failed", "succeeded"])
        }
    }

    @Test("After the last attempt the job is a dead letter, in one transaction with died; redriven it runs again")
    func dies() async throws {
        let database = try await QueueDatabase.make()
        try await database.withPool { pool in
            try await pool.run("CREATE TABLE obituary (job int8, error text)")
            let id = try await pool.enqueue(maxAttempts: 2)[0]
            let succeeds = Notes<Bool>()
            var handler = ClosureHandler { jobs, lease in
                guard !succeeds.all.isEmpty else { throw JobFailure(code: "bad", message: "no") }
                try await lease.settle(jobs)
            }
            handler.dying = { job, error, connection in
                try await connection.query("INSERT INTO obituary VALUES (\(.int8(job.id)), \(.text(error.code)))")
            }
            try await pool.withWorker(handler) {
                try await pool.wait(until: "SELECT count(*) FROM queue.dead", is: 1)
                #expect(try await pool.texts("SELECT error FROM obituary") == ["bad"])
                let inspector = QueueInspector(pool: pool)
                let letters = try await inspector.jobs(JobFilter(queue: "transform", state: .dead)).jobs
                #expect(letters.map(\.id) == [id])
                #expect(letters.first?.error == "bad: no")
                #expect(try await inspector.outcomes(of: id).map(\.state) == ["failed", "dead"])
                #expect(try await inspector.job(id)?.state == .dead)
                succeeds.add(true)
                #expect(try await inspector.redrive("transform").jobs == [id])
                try await pool.wait(until: "SELECT count(*) FROM queue.outcome WHERE state = 'succeeded'", is: 1)
                #expect(try await pool.int("SELECT attempt FROM queue.outcome WHERE state = 'succeeded'") == 3)
            }
        }
    }

    @Test("A permanent failure needs one attempt; a died that throws is asked again")
    func diesPermanently() async throws {
        let database = try await QueueDatabase.make()
        try await database.withPool { pool in
            try await pool.enqueue()
            let asked = Notes<Int16>()
            let handled = Notes<Int16>()
            var handler = ClosureHandler { jobs, _ in
                handled.add(jobs[0].attempt)
                throw JobFailure(code: "bad", message: "no", isPermanent: true)
            }
            handler.dying = { job, error, _ in
                asked.add(job.attempt)
                #expect(error.code == "bad")
                if asked.all.count < 3 { throw QueueTestError.planned }
            }
            try await pool.withWorker(handler) {
                try await pool.wait(until: "SELECT count(*) FROM queue.dead", is: 1)
            }
            #expect(asked.all.count == 3)
            #expect(try await pool.texts("SELECT error FROM queue.dead") == ["bad: no"])
        }
    }

    @Test("Jobs left open by the handler are retried")
    func unsettled() async throws {
        let database = try await QueueDatabase.make()
        try await database.withPool { pool in
            try await pool.enqueue(2)
            let handler = ClosureHandler { jobs, lease in
                if jobs[0].attempt == 1 { return try await lease.settle([jobs[0]]) }
                try await lease.settle(jobs)
            }
            try await pool.withWorker(handler) {
                try await pool.wait(until: "SELECT count(*) FROM queue.outcome WHERE state = 'succeeded'", is: 2)
            }
            let errors = try await pool.texts("SELECT error FROM queue.outcome WHERE state = 'failed'")
            #expect(errors == ["unsettled: the handler returned without settling the job"])
            #expect(try await pool.int("SELECT count(*) FROM queue.lease") == 0)
        }
    }
}
