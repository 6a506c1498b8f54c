import JSON
import Lifecycle
import Postgres
import TestSupport
import Testing

@testable import Queue

/// What is told of a job that runs, and of an array's slices.
@Suite("Queue: reports of jobs")
struct JobReportTests {
    private func withPool(_ body: @Sendable (PostgresPool) async throws -> Void) async throws {
        let database = try await QueueDatabase.make()
        try await database.withPool(size: 8) { try await body($0) }
    }

    private func array(_ items: Int32, slice: Int32) -> JobRequest {
        var request = JobRequest(queue: "transform", kind: "array", arguments: Array("{}".utf8), workspace: 1)
        request.items = items
        request.slice = slice
        return request
    }

    @Test("Of a job that runs: which attempt, whose worker claimed it, and when; of one that does not, nothing")
    func running() async throws {
        try await withPool { pool in
            let inspector = QueueInspector(pool: pool)
            let before = try await pool.int(
                "SELECT (extract(epoch FROM now() - timestamptz '2000-01-01Z') * 1e6)::int8")
            let ids = try await pool.enqueue(2)
            #expect(try await inspector.attempts(of: ids[0]).isEmpty)
            let handler = ClosureHandler { jobs, lease in
                if jobs[0].attempt == 1 {
                    return await lease.fail(jobs, JobFailure(code: "again", message: "", retryAfter: .milliseconds(1)))
                }
                // The other one has ended, and the lease names it still.
                if jobs.count == 2 { try await lease.settle([jobs[1]]) }
                let found = try await inspector.attempts(of: jobs[0].id)
                #expect(found.map(\.attempt) == [2] && found.map(\.worker) == ["test"])
                #expect(found.allSatisfy { $0.claimedAt > before && $0.items == 0 })
                if jobs.count == 2 { #expect(try await inspector.attempts(of: jobs[1].id).isEmpty) }
                try await lease.settle([jobs[0]])
            }
            try await pool.withWorker(handler) {
                try await pool.wait(until: "SELECT count(*) FROM queue.outcome WHERE state = 'succeeded'", is: 2)
            }
            #expect(try await inspector.attempts(of: ids[0]).isEmpty)
        }
    }

    @Test("An array's slices run each by itself, and what each left behind is told in the order of items")
    func slices() async throws {
        try await withPool { pool in
            let inspector = QueueInspector(pool: pool)
            let id = try await pool.enqueue([array(10, slice: 3)])[0].id
            let hold = ShutdownSignal()
            let handler = ClosureHandler { jobs, lease in
                for job in jobs {
                    let first = try #require(job.items).lowerBound
                    if first == 3 { continue }
                    try lease.setResult(Array(#"{"first": \#(first)}"#.utf8), of: job)
                }
                await hold.requested()
                try await lease.settle(jobs)
            }
            try await pool.withWorker(handler, .quick(slots: 4, maxClaim: 3)) {
                try await pool.wait(until: "SELECT count(*) FROM queue.lease", is: 4)
                let running = try await inspector.attempts(of: id)
                #expect(running.map(\.first).sorted() == [0, 3, 6, 9])
                #expect(running.reduce(0) { $0 + $1.items } == 10)
                #expect(try await inspector.attempts(of: id, limit: 2).count == 2)
                hold.request()
                try await pool.wait(until: "SELECT remaining FROM queue.array", is: 0)
            }
            let (count, results) = try await inspector.results(of: id)
            #expect(count == 3)
            #expect(results.map(\.first) == [0, 6, 9] && results.map(\.items) == [3, 3, 1])
            #expect(try results.map { try JSONValue.parse($0.result) } == [["first": 0], ["first": 6], ["first": 9]])
            let (all, some) = try await inspector.results(of: id, limit: 2)
            #expect(all == 3 && some.map(\.first) == [0, 6])
        }
    }

    @Test("Large results are told as far as 1 MiB goes, the first always")
    func largeResults() async throws {
        try await withPool { pool in
            let id = try await pool.enqueue([array(40, slice: 1)])[0].id
            let large = Array(#""\#(String(repeating: "x", count: 60_000))""#.utf8)
            let handler = ClosureHandler { jobs, lease in
                for job in jobs { try lease.setResult(large, of: job) }
                try await lease.settle(jobs)
            }
            try await pool.withWorker(handler) {
                try await pool.wait(until: "SELECT remaining FROM queue.array", is: 0)
            }
            let inspector = QueueInspector(pool: pool)
            let (count, results) = try await inspector.results(of: id)
            #expect(count == 40)
            #expect(results.map(\.first) == (0..<17).map { Int32($0) })
            let bounded = SliceResultsStatement(job: id, limit: 100, bytes: 1)
            #expect(try await pool.withConnection { try await $0.query(bounded) }.count == 1)
        }
    }
}
