import EventLoop
import Foundation
import Lifecycle
import Observability
import Postgres
import Queue

/// Enqueues at a fixed rate whatever becomes of the jobs: a tenth in priority 1, and of each hundred one that is
/// delayed by one to five seconds.
///
/// Options: `rate` (10000 a second), `seconds` (60), `tick` (20 milliseconds), `stubborn` (0; 1 sends again what
/// failed, so that a commit whose answer was lost enqueues twice), `statements` (named, or unnamed).
struct OfferMode {
    let options: Options

    init(_ options: Options) {
        self.options = options
    }

    func run() async throws {
        let loops = try options.loops()
        let pool = PostgresPool(
            try options.database(poolSize: 2), loops: loops, logger: options.logger, metrics: MetricsRegistry())
        let wakeup = Wakeup(try options.database(poolSize: 1), loop: loops.next(), logger: options.logger)
        try await withService(pool) {
            try await withService(wakeup) { try await offer(pool, wakeup) }
        }
    }

    private func offer(_ pool: PostgresPool, _ wakeup: Wakeup) async throws {
        let rate = options.double("rate", 10_000)
        let tick = Duration.milliseconds(options.int("tick", 20))
        let began = ContinuousClock.now
        let end = began + .seconds(options.double("seconds", 60))
        var offered = 0
        var worst = 0.0
        var due = began
        var reportAt = began + .seconds(1)
        while due < end {
            due += tick
            try await Task.sleep(until: due)
            while true {
                let wanted = Int((min(due, end) - began).inSeconds * rate)
                let count = min(wanted - offered, Enqueue.maximumJobs)
                guard count > 0 else { break }
                let statement = try Enqueue.statement((offered..<offered + count).map(request))
                try await send(statement, pool)
                wakeup.notify("transform")
                offered += count
            }
            // Behind its time: the database took longer than a tick.
            worst = max(worst, (ContinuousClock.now - due).inSeconds)
            if ContinuousClock.now >= reportAt {
                Report.line([("at", Report.time), ("offered", offered), ("behind_s", worst)])
                worst = 0
                reportAt += .seconds(1)
            }
        }
        Report.line([("at", Report.time), ("offered", offered), ("behind_s", worst)])
    }

    private func send(_ statement: EnqueueStatement, _ pool: PostgresPool) async throws {
        while true {
            do {
                _ = try await pool.withConnection { try await $0.query(statement, timeout: .seconds(10)) }
                return
            } catch {
                guard options.int("stubborn", 0) == 1 else { throw error }
                try await Task.sleep(for: .milliseconds(100))
            }
        }
    }

    private func request(_ number: Int) -> JobRequest {
        let isDelayed = number % 100 == 50
        return JobRequest(
            queue: "transform", kind: isDelayed ? "bench.later" : "bench.job", arguments: Array("{}".utf8),
            workspace: 1, priority: number % 10 == 0 ? 1 : 0,
            delay: isDelayed ? .seconds(1 + number / 100 % 5) : nil)
    }
}
