import Observability

/// The queue's instruments, labelled by queue.
struct QueueMetrics: Sendable {
    let claimed: Counter
    let settled: Counter
    let retried: Counter
    let dead: Counter
    let returned: Counter
    let timedOut: Counter
    let admitted: Counter
    let leasesLost: Counter
    let claimErrors: Counter
    let running: Gauge
    let handling: Histogram
    let claim: Histogram
    private let wait: Histogram

    init(_ registry: MetricsRegistry, queue: String) {
        func counter(_ name: String, _ help: String) -> Counter {
            registry.counter("millrace_queue_\(name)_total", help: help, labels: [("queue", queue)])
        }
        func histogram(_ name: String, _ help: String) -> Histogram {
            registry.histogram("millrace_queue_\(name)_seconds", help: help, labels: [("queue", queue)])
        }
        claimed = counter("claimed", "Jobs claimed by this process.")
        settled = counter("settled", "Jobs settled by this process.")
        retried = counter("retried", "Attempts that failed and will be repeated.")
        dead = counter("dead", "Jobs that became dead letters.")
        returned = counter("returned", "Jobs given back without an attempt charged.")
        timedOut = counter("timed_out", "Jobs whose handler took longer than their kind allows.")
        admitted = counter("admitted", "Jobs that this process let through a limit.")
        leasesLost = counter("leases_lost", "Leases that this process lost to a rescue.")
        claimErrors = counter("claim_errors", "Claims that failed.")
        running = registry.gauge(
            "millrace_queue_running", help: "Groups of jobs being handled.", labels: [("queue", queue)])
        handling = histogram("handling", "The time a handler takes for a group.")
        claim = histogram("claim", "The time a claim takes.")
        wait = histogram("wait", "From a job's enqueueing to its first attempt, by the clocks of both machines.")
    }

    /// Jobs begin to be handled.
    func starting(_ jobs: [Job]) {
        let now = Self.microsecondsSince2000
        var waited = HistogramTally()
        for job in jobs where job.attempt == 1 {
            wait.observe(Double(max(0, now - job.enqueuedAt)) * 1e-6, in: &waited)
        }
        wait.add(&waited)
    }

    /// Now, as PostgreSQL counts.
    private static var microsecondsSince2000: Int64 { Tracer.now() / 1000 - 946_684_800_000_000 }
}

/// What the leader sees of all queues.
struct LeaderMetrics: Sendable {
    let isLeader: Gauge
    let lostWorkers: Counter
    let rescued: Counter
    let charged: Counter
    let moved: Counter
    let dropped: Counter
    let scheduled: Counter

    init(_ registry: MetricsRegistry) {
        isLeader = registry.gauge("millrace_queue_leader", help: "1 while this process leads the queue.")
        lostWorkers = registry.counter("millrace_queue_lost_workers_total", help: "Workers declared lost.")
        rescued = registry.counter(
            "millrace_queue_rescued_total", help: "Jobs of lost workers given away without an attempt charged.")
        charged = registry.counter(
            "millrace_queue_rescued_charged_total", help: "Jobs that ran alone in a lost worker: an attempt charged.")
        dropped = registry.counter(
            "millrace_queue_partitions_dropped_total", help: "Partitions of finished jobs that were dropped.")
        moved = registry.counter("millrace_queue_deferred_moved_total", help: "Deferred jobs made ready.")
        scheduled = registry.counter("millrace_queue_scheduled_total", help: "Jobs that schedules started.")
    }
}
