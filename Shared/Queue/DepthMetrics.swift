import Observability
import Synchronization

/// How much stands in each queue, as the leader last saw it; no process but the leader's knows, and others show zero.
final class DepthMetrics: Sendable {
    private struct Gauges {
        let ready: Gauge
        let oldestAge: Gauge
        let deferred: Gauge
        let blocked: Gauge
        let waiting: Gauge
        let dead: Gauge
        let running: Gauge
        let paused: Gauge

        var all: [Gauge] { [ready, oldestAge, deferred, blocked, waiting, dead, running, paused] }
    }

    /// More than any installation has.
    private static let maximumQueues = 200

    private let registry: MetricsRegistry
    private let gauges = Mutex<[String: Gauges]>([:])

    init(_ registry: MetricsRegistry) {
        self.registry = registry
    }

    func show(_ rows: [InspectAllStatement.Row]) {
        for row in rows.prefix(Self.maximumQueues) {
            let gauges = gauges(of: row.queue)
            gauges.ready.set(Double(row.status.ready))
            gauges.oldestAge.set(row.status.oldestAge ?? 0)
            gauges.deferred.set(Double(row.status.deferred))
            gauges.blocked.set(Double(row.status.blocked))
            gauges.waiting.set(Double(row.status.waiting))
            gauges.dead.set(Double(row.status.dead))
            gauges.running.set(Double(row.status.running))
            gauges.paused.set(row.status.isPaused ? 1 : 0)
        }
    }

    /// Another process leads: what was seen here is old.
    func clear() {
        for gauges in gauges.withLock({ Array($0.values) }) {
            for gauge in gauges.all { gauge.set(0) }
        }
    }

    private func gauges(of queue: String) -> Gauges {
        gauges.withLock { all in
            if let known = all[queue] { return known }
            func gauge(_ name: String, _ help: String) -> Gauge {
                registry.gauge("millrace_queue_\(name)", help: help, labels: [("queue", queue)])
            }
            let made = Gauges(
                ready: gauge("depth", "Jobs ready: exact up to 10,000 a priority, an estimate beyond."),
                oldestAge: gauge("oldest_age_seconds", "The time since the oldest ready job was enqueued."),
                deferred: gauge("deferred", "Jobs that wait for their time, counted up to 10,000."),
                blocked: gauge(
                    "blocked", "Jobs at their key's limit, or before its gate, counted as the ready and deferred are."),
                waiting: gauge("waiting", "Jobs that wait for other jobs, counted up to 10,000."),
                dead: gauge("dead_letters", "Dead letters, counted up to 10,000."),
                running: gauge("leased", "Jobs under a lease in all processes."),
                paused: gauge("paused", "1 while the queue is paused: its jobs are ready, and nobody takes them."))
            all[queue] = made
            return made
        }
    }
}
