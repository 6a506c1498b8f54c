import Observability
import Postgres
import TestSupport
import Testing

@testable import Queue

@Suite("Queue: jobs as spans")
struct JobSpanTests {
    private func context(_ sampler: TraceSampler = .all) -> TraceContext {
        var numbers = UniqueNumbers()
        return .generate(&numbers, by: sampler)
    }

    private func request(_ kind: String, _ trace: TraceContext?, attempts: Int16 = 20) -> JobRequest {
        JobRequest(
            queue: "transform", kind: kind, arguments: Array(#"{"n": 1}"#.utf8), workspace: 1, maxAttempts: attempts,
            trace: trace?.traceparent)
    }

    @Test("A job whose trace is recorded is a span below who enqueued it, and above what it enqueues")
    func hops() async throws {
        let tracer = Tracer(sampler: .none, metrics: MetricsRegistry())
        let (recorded, passed) = (context(), context(.none))
        let seen = Notes<(String, String?)>()
        let handler = ClosureHandler { jobs, lease in
            for job in jobs { seen.add((job.kind, job.trace)) }
            let first = jobs.filter { $0.kind == "first" }
            try await lease.transaction(settling: first) { connection in
                let next = first.map {
                    JobRequest(
                        queue: "transform", kind: "second", arguments: [0x7B, 0x7D], workspace: 1,
                        trace: $0.recordedTrace)
                }
                _ = try await connection.query(try Enqueue.statement(next))
            }
            try await lease.settle(jobs.filter { $0.kind != "first" })
        }
        let database = try await QueueDatabase.make()
        try await database.withPool(size: 6) { pool in
            try await pool.withWorker(handler, tracer: tracer) {
                try await pool.enqueue([
                    request("first", recorded), request("first", passed), request("first", nil),
                ])
                try await pool.wait(
                    until: "SELECT count(*) FROM queue.outcome o JOIN queue.job j ON j.id = o.job", is: 6)
            }
        }
        let spans = tracer.take(.max)
        #expect(spans.map(\.name).sorted() == ["first", "second"])
        let first = try #require(spans.first { $0.name == "first" })
        let second = try #require(spans.first { $0.name == "second" })
        #expect(first.parent == recorded.spanID && first.context.traceID == recorded.traceID)
        #expect(second.parent == first.context.spanID && second.context.traceID == recorded.traceID)
        #expect(first.kind == .consumer && first.status == .unset && first.start <= first.end)
        #expect(first.attributes.contains { $0.key == "millrace.job.arguments" && $0.value == #"{"n": 1}"# })
        // The handler sees its own place; what is not recorded is as it came.
        let given = seen.all.filter { $0.0 == "first" }.map(\.1)
        #expect(Set(given) == [first.context.traceparent, passed.traceparent, nil])
    }

    @Test("What a transaction's statements enqueue follows from its job, or from who began it")
    func transactions() async throws {
        let tracer = Tracer(sampler: .none, metrics: MetricsRegistry())
        let (outer, unrecorded) = (context(), context(.none))
        let handler = ClosureHandler { jobs, lease in
            for job in jobs where job.kind == "first" {
                try await lease.transaction(settling: [job]) { connection in
                    try await connection.query(
                        "select queue.enqueue('transform', 'plain', 1, array['{}'::jsonb])")
                    var limited = JobRequest(queue: "transform", kind: "linked", arguments: [0x7B, 0x7D], workspace: 1)
                    limited.isJoinable = true
                    _ = try await connection.query(try Enqueue.statement([limited]))
                }
            }
            try await lease.settle(jobs.filter { $0.kind != "first" })
        }
        let database = try await QueueDatabase.make()
        try await database.withPool(size: 6) { pool in
            for (kind, trace) in [("first", outer), ("ignored", unrecorded)] {
                try await pool.withTransaction { connection in
                    try await connection.follow(trace)
                    _ = try await connection.query(
                        "select queue.enqueue('transform', \(.text(kind)), 1, array['{}'::jsonb])")
                }
            }
            // The next transaction of the same connection follows from nothing.
            try await pool.enqueue(1, kind: "alone")
            try await pool.withWorker(handler, tracer: tracer) {
                try await pool.wait(until: "SELECT count(*) FROM queue.outcome", is: 5)
            }
        }
        let spans = tracer.take(.max)
        #expect(spans.map(\.name).sorted() == ["first", "linked", "plain"])
        let first = try #require(spans.first { $0.name == "first" })
        #expect(first.parent == outer.spanID)
        #expect(spans.filter { $0.name != "first" }.allSatisfy { $0.parent == first.context.spanID })
    }

    @Test("Each attempt is a span, and says how it failed")
    func failures() async throws {
        let tracer = Tracer(sampler: .none, metrics: MetricsRegistry())
        let trace = context()
        let handler = ClosureHandler { jobs, lease in
            throw JobFailure(code: "no_luck", message: "attempt \(jobs[0].attempt)")
        }
        let database = try await QueueDatabase.make()
        try await database.withPool(size: 6) { pool in
            try await pool.withWorker(handler, tracer: tracer) {
                try await pool.enqueue([request("doomed", trace, attempts: 2)])
                try await pool.wait(until: "SELECT count(*) FROM queue.dead", is: 1)
            }
        }
        let spans = tracer.take(.max)
        #expect(spans.map(\.status) == [.failed("no_luck"), .failed("no_luck")])
        #expect(spans.allSatisfy { $0.parent == trace.spanID } && spans[0].context != spans[1].context)
    }

    @Test("The time from enqueueing to the first attempt is measured once a job")
    func waiting() async throws {
        let metrics = MetricsRegistry()
        let handler = ClosureHandler { jobs, lease in
            if jobs[0].attempt == 1 { throw QueueTestError.planned }
            try await lease.settle(jobs)
        }
        let database = try await QueueDatabase.make()
        try await database.withPool(size: 6) { pool in
            try await pool.enqueue(3)
            try await pool.withWorker(handler, metrics: metrics) {
                try await pool.wait(until: "SELECT count(*) FROM queue.outcome WHERE state = 'succeeded'", is: 3)
            }
        }
        let text = String(decoding: metrics.render(), as: UTF8.self)
        #expect(text.contains("\nmillrace_queue_wait_seconds_count{queue=\"transform\"} 3\n"))
    }
}
