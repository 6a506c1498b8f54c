import EventLoop
import Foundation
import Lifecycle
import Observability
import Postgres
import Queue
import Synchronization

/// Real workers with a handler that does nothing, until SIGTERM.
///
/// Options: `queues` (transform; several by commas), `workers` (1 a queue), `claim` (64), `slots` (2), `buffer` (1),
/// `loops` (2), `fail` (0: percent of first attempts), `interval` (1000: milliseconds between reports),
/// `statements` (named, or unnamed for a transaction pooler).
struct WorkMode {
    let options: Options

    init(_ options: Options) {
        self.options = options
    }

    func run() async throws {
        let logger = options.logger
        let metrics = MetricsRegistry()
        let slots = options.int("slots", 2)
        let copies = options.int("workers", 1)
        let queues = options.text("queues", "transform").split(separator: ",").map(String.init)
        let pool = PostgresPool(
            try options.database(poolSize: slots * copies * queues.count + 4), loops: try options.loops(),
            logger: logger, metrics: metrics)
        var settings = WorkerConfiguration(slots: slots, maxClaim: options.int("claim", 64), name: "bench")
        settings.buffer = options.int("buffer", 1)
        let tally = Tally()
        let handler = IdleHandler(tally: tally, failing: Int64(options.int("fail", 0)))
        let workers: [any Service] = queues.flatMap { queue in
            (0..<copies).map { _ in
                Worker(
                    queue: queue, pool: pool, configuration: settings, handler: handler, logger: logger,
                    metrics: metrics)
            }
        }
        let began = Report.time
        Report.line([("start", began)])
        let reporter = Reporter(tally: tally, interval: .milliseconds(options.int("interval", 1000)))
        try await ServiceGroup(services: [pool] + workers + [reporter], logger: logger).run()
        reporter.report()
        let reading = tally.total
        Report.line([
            ("start", began), ("done", reading.done), ("groups", reading.groups), ("last", reading.last),
            ("processor_s", Report.processorTime),
        ])
    }
}

/// Settles what it is given; of first attempts it fails those whose id is below `failing` modulo 100.
struct IdleHandler: JobHandler {
    let tally: Tally
    let failing: Int64

    func handle(_ jobs: [Job], lease: Lease) async {
        tally.started(jobs, at: Report.time)
        do {
            if failing == 0 {
                try await lease.settle(jobs)
                return tally.ended(jobs.count, at: Report.time)
            }
            let failed = jobs.filter { $0.attempt == 1 && $0.id % 100 < failing }
            let rest = jobs.filter { $0.attempt > 1 || $0.id % 100 >= failing }
            if !failed.isEmpty { await lease.fail(failed, JobFailure(code: "planned", message: "one of a hundred")) }
            if !rest.isEmpty { try await lease.settle(rest) }
            tally.ended(rest.count, at: Report.time)
        } catch {
            await lease.fail(jobs, JobFailure(error))
        }
    }
}

/// What was done, by all handlers of the process.
final class Tally: Sendable {
    struct Total {
        var done = 0
        var groups = 0
        /// When the last of them was settled.
        var last = 0.0
    }

    private struct State {
        var total = Total()
        var latencies = Latencies()
    }

    /// Jobs of this kind stand for the time from enqueueing to the start; retries and delayed jobs do not.
    static let timedKind = "bench.job"

    private let state = Mutex(State())

    func started(_ jobs: [Job], at time: Double) {
        // Microseconds since 2000.
        let now = Int64((time - 946_684_800) * 1e6)
        state.withLock { state in
            for job in jobs where job.attempt == 1 && job.kind == Self.timedKind {
                state.latencies.add(microseconds: now - job.enqueuedAt)
            }
        }
    }

    func ended(_ count: Int, at time: Double) {
        state.withLock { state in
            state.total.done += count
            state.total.groups += 1
            state.total.last = max(state.total.last, time)
        }
    }

    var total: Total { state.withLock(\.total) }

    func takeLatencies() -> Latencies {
        state.withLock { state in
            defer { state.latencies = Latencies() }
            return state.latencies
        }
    }
}

/// Prints the tally at an interval.
struct Reporter: Service {
    let name = "reporter"
    let tally: Tally
    let interval: Duration

    func run(until shutdown: ShutdownSignal) async throws {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await shutdown.requested() }
            group.addTask {
                while (try? await Task.sleep(for: interval)) != nil { report() }
            }
            await group.next()
            group.cancelAll()
        }
    }

    func report() {
        let total = tally.total
        Report.line([
            ("at", Report.time), ("done", total.done), ("last", total.last), ("latency", tally.takeLatencies().json),
        ])
    }
}
