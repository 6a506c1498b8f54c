import Observability
private import Synchronization

/// What a pool tells the metrics.
struct PoolMetrics: Sendable {
    let opened: Counter
    let openFailures: Counter
    private let away: Counter
    private let exhausted: Counter
    private let wait: Histogram

    init(_ registry: MetricsRegistry, pool: String) {
        let labels = [("pool", pool)]
        opened = registry.counter(
            "millrace_postgres_connections_opened_total", help: "Connections opened.", labels: labels)
        openFailures = registry.counter(
            "millrace_postgres_connection_failures_total", help: "Attempts to connect that failed.", labels: labels)
        func refused(_ reason: String) -> Counter {
            registry.counter(
                "millrace_postgres_refused_total", help: "Tasks that got no connection, by reason.",
                labels: labels + [("reason", reason)])
        }
        away = refused("unavailable")
        exhausted = refused("exhausted")
        wait = registry.histogram(
            "millrace_postgres_wait_seconds", help: "Time tasks waited for a connection that was not idle.",
            labels: labels)
    }

    /// A task got no connection.
    func refused(_ code: PostgresError.Code) {
        if code == .unavailable { away.add() }
        if code == .poolExhausted { exhausted.add() }
    }

    func waited(_ duration: Duration) {
        wait.observe(duration)
    }
}

extension PostgresPool {
    /// Numbers that are read from the state when the metrics are rendered.
    func registerReadings(_ registry: MetricsRegistry) {
        func gauge(_ name: String, _ help: String, _ read: @escaping @Sendable (PoolState) -> Int) {
            registry.gauge("millrace_postgres_" + name, help: help, labels: [("pool", self.name)]) { [weak self] in
                guard let self else { return 0 }
                return Double(self.guarded.withLock { read($0.state) })
            }
        }
        gauge("connections_in_use", "Connections leased to a task.") { $0.inUse }
        gauge("connections_idle", "Connections nobody uses.") { $0.idleCount }
        gauge("connections_max", "Connections that there may be.") { $0.limits.connections }
        gauge("waiters", "Tasks that wait for a connection.") { $0.waiters.count }
        gauge("available", "1 unless the database is away.") { $0.isAway ? 0 : 1 }
    }
}
