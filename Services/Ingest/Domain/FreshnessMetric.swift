import Observability
import Postgres
import Synchronization

/// The age of each source's oldest record that is not stored yet, as a metric.
///
/// Read from the ledger when the metrics are asked for, at most every `interval`: at rest, and where nobody asks, it
/// costs no query. Every process shows all sources, so take the greatest. Of more than `sources` those that wait
/// longest are shown, however many have nothing that waits.
final class FreshnessMetric: Sendable {
    static let interval = Duration.seconds(10)
    static let sources: Int32 = 500

    private struct State {
        var rows: [ListFreshness.Row] = []
        var readAt: ContinuousClock.Instant?
        var askedAt: ContinuousClock.Instant?
    }

    private let pool: PostgresPool
    private let logger: Logger
    private let state = Mutex(State())

    init(pool: PostgresPool, metrics: MetricsRegistry, logger: Logger) {
        self.pool = pool
        self.logger = logger
        metrics.gauges(
            "millrace_source_freshness_seconds", help: "Age of a source's oldest record that is not stored yet."
        ) { [weak self] in self?.series() ?? [] }
    }

    /// Reads the ledger when that is due. What was read before stays when it fails.
    func refresh() async {
        let isDue = state.withLock { state in
            if let askedAt = state.askedAt, .now - askedAt < Self.interval { return false }
            state.askedAt = .now
            return true
        }
        guard isDue else { return }
        do {
            let statement = ListFreshness(limit: Self.sources)
            let rows = try await pool.withConnection { try await $0.query(statement, timeout: .seconds(5)) }
            state.withLock { state in
                state.rows = rows
                state.readAt = .now
            }
        } catch {
            logger.warning("the sources' freshness could not be read", ["error": .describing(error)])
        }
    }

    private func series() -> [MetricsRegistry.Reading] {
        state.withLock { state in
            guard let readAt = state.readAt else { return [] }
            let since = readAt.duration(to: .now) / .seconds(1)
            return state.rows.map { row in
                .init(
                    labels: [("workspace", row.workspace), ("source", row.source)],
                    value: row.age.map { $0 + since } ?? 0)
            }
        }
    }
}
