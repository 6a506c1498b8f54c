import EventLoop
import Foundation
import Lifecycle
import Observability
import Postgres
import Queue

/// Job arrays from the call that enqueues them to the end of their last item, one worker.
///
/// Options: `items` (1000, of one array), `total` (100000, of all of them), `claim` (200), `slots` (2).
struct ArrayMode {
    let options: Options

    init(_ options: Options) {
        self.options = options
    }

    func run() async throws {
        let loops = try options.loops()
        let slots = options.int("slots", 2)
        let pool = PostgresPool(
            try options.database(poolSize: slots + 5), loops: loops, logger: options.logger,
            metrics: MetricsRegistry())
        let (ends, sink) = AsyncStream<Int>.makeStream()
        let worker = Worker(
            queue: "transform", pool: pool,
            configuration: WorkerConfiguration(slots: slots, maxClaim: options.int("claim", 200), name: "bench"),
            handler: SliceHandler(sink: sink), logger: options.logger, metrics: MetricsRegistry())
        let wakeup = Wakeup(try options.database(poolSize: 1), loop: loops.next(), logger: options.logger)
        try await withService(pool) {
            try await withService(wakeup) {
                try await withService(worker) { try await measure(pool, wakeup, ends) }
            }
        }
    }

    private func measure(_ pool: PostgresPool, _ wakeup: Wakeup, _ ends: AsyncStream<Int>) async throws {
        var iterator = ends.makeAsyncIterator()
        // The first one connects and prepares.
        _ = try await work(items: 1000, arrays: 1, pool, wakeup, &iterator)
        let items = options.int("items", 1000)
        let arrays = max(1, options.int("total", 100_000) / items)
        let processor = Report.processorTime
        let began = ContinuousClock.now
        let enqueued = try await work(items: items, arrays: arrays, pool, wakeup, &iterator)
        let seconds = (ContinuousClock.now - began).inSeconds
        Report.line([
            ("items", items), ("arrays", arrays), ("enqueue_s", (enqueued - began).inSeconds), ("seconds", seconds),
            ("us_per_item", seconds / Double(items * arrays) * 1e6), ("processor_s", Report.processorTime - processor),
        ])
    }

    /// Returns when they were enqueued.
    private func work(
        items: Int, arrays: Int, _ pool: PostgresPool, _ wakeup: Wakeup, _ ends: inout AsyncStream<Int>.AsyncIterator
    ) async throws -> ContinuousClock.Instant {
        var request = JobRequest(queue: "transform", kind: "bench.array", arguments: Array("{}".utf8), workspace: 1)
        request.items = Int32(items)
        let statement = try Enqueue.statement(Array(repeating: request, count: arrays))
        _ = try await pool.withConnection { try await $0.query(statement) }
        let enqueued = ContinuousClock.now
        wakeup.notify("transform")
        var left = items * arrays
        while left > 0, let count = await ends.next() { left -= count }
        return enqueued
    }
}

/// Settles slices and tells how many items they had.
struct SliceHandler: JobHandler {
    let sink: AsyncStream<Int>.Continuation

    func handle(_ jobs: [Job], lease: Lease) async {
        do {
            try await lease.settle(jobs)
            sink.yield(jobs.reduce(0) { $0 + ($1.items?.count ?? 1) })
        } catch {
            await lease.fail(jobs, JobFailure(error))
        }
    }
}
