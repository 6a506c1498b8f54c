import EventLoop
import Foundation
import Lifecycle
import Observability
import Postgres
import Queue

/// How long an idle queue takes from the call that enqueues a job to the start of its handler, one job after another.
///
/// Options: `count` (500), `gap` (60: milliseconds of rest before each, and up to a half more).
struct PickupMode {
    let options: Options

    init(_ options: Options) {
        self.options = options
    }

    func run() async throws {
        let loops = try options.loops()
        let pools = try [8, 2].map { size in
            PostgresPool(
                try options.database(poolSize: size), loops: loops, logger: options.logger, metrics: MetricsRegistry())
        }
        let (starts, sink) = AsyncStream<ContinuousClock.Instant>.makeStream()
        let worker = Worker(
            queue: "transform", pool: pools[0], handler: NotingHandler(sink: sink), logger: options.logger,
            metrics: MetricsRegistry())
        let wakeup = Wakeup(try options.database(poolSize: 1), loop: loops.next(), logger: options.logger)
        try await withService(pools[0]) {
            try await withService(pools[1]) {
                try await withService(wakeup) {
                    try await withService(worker) { try await measure(pools[1], wakeup, starts) }
                }
            }
        }
    }

    private func measure(
        _ pool: PostgresPool, _ wakeup: Wakeup, _ starts: AsyncStream<ContinuousClock.Instant>
    ) async throws {
        let request = JobRequest(queue: "transform", kind: "bench.job", arguments: Array("{}".utf8), workspace: 1)
        let gap = options.int("gap", 60)
        var times: [Double] = []
        var afterCommit: [Double] = []
        var iterator = starts.makeAsyncIterator()
        // The first ones connect and prepare.
        for round in -20..<options.int("count", 500) {
            try await Task.sleep(for: .milliseconds(Double(gap) * .random(in: 1...1.5)))
            let called = ContinuousClock.now
            _ = try await pool.withConnection { try await $0.query(try Enqueue.statement([request])) }
            let committed = ContinuousClock.now
            wakeup.notify("transform")
            guard let started = await iterator.next() else { break }
            guard round >= 0 else { continue }
            times.append((started - called).inSeconds * 1000)
            afterCommit.append((started - committed).inSeconds * 1000)
        }
        times.sort()
        afterCommit.sort()
        func quantile(_ sorted: [Double], _ share: Double) -> Double { sorted[Int(Double(sorted.count - 1) * share)] }
        Report.line([
            ("count", times.count), ("median_ms", quantile(times, 0.5)), ("p99_ms", quantile(times, 0.99)),
            ("after_commit_median_ms", quantile(afterCommit, 0.5)),
            ("after_commit_p99_ms", quantile(afterCommit, 0.99)),
        ])
    }
}

/// Tells when it was called.
struct NotingHandler: JobHandler {
    let sink: AsyncStream<ContinuousClock.Instant>.Continuation

    func handle(_ jobs: [Job], lease: Lease) async {
        sink.yield(.now)
        do { try await lease.settle(jobs) } catch { await lease.fail(jobs, JobFailure(error)) }
    }
}
