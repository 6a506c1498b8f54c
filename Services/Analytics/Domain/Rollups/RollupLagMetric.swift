import Observability
import Postgres
import Synchronization

/// How far each rollup is behind its dataset, as metrics.
///
/// Read when the metrics are asked for, at most every `interval`: at rest, and where nobody asks, it costs no query.
/// Every process shows all rollups, so take the greatest. Of more than `rollups` those that wait longest are shown.
final class RollupLagMetric: Sendable {
    static let interval = Duration.seconds(10)
    static let rollups: Int32 = 500

    private struct State {
        var rows: [ListRollupLag.Row] = []
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
            "millrace_rollup_lag_seconds",
            help: "How long the oldest change of a rollup's dataset has waited to be in the rollup."
        ) { [weak self] in
            self?.series { row, since in row.lag.map { $0 + since } ?? 0 } ?? []
        }
        metrics.gauges(
            "millrace_rollup_waiting_batches", help: "Batches that wait to be added to a rollup, counted up to 10,000."
        ) { [weak self] in
            self?.series { row, _ in Double(row.batches) } ?? []
        }
    }

    /// Reads what waits when that is due. What was read before stays when it fails.
    func refresh() async {
        let isDue = state.withLock { state in
            if let askedAt = state.askedAt, .now - askedAt < Self.interval { return false }
            state.askedAt = .now
            return true
        }
        guard isDue else { return }
        do {
            let statement = ListRollupLag(limit: Self.rollups)
            let rows = try await pool.withConnection { try await $0.query(statement, timeout: .seconds(5)) }
            state.withLock { state in
                state.rows = rows
                state.readAt = .now
            }
        } catch {
            logger.warning("what rollups wait for could not be read", ["error": .describing(error)])
        }
    }

    private func series(_ value: (ListRollupLag.Row, Double) -> Double) -> [MetricsRegistry.Reading] {
        state.withLock { state in
            guard let readAt = state.readAt else { return [] }
            let since = readAt.duration(to: .now) / .seconds(1)
            return state.rows.map { row in
                .init(labels: [("workspace", row.workspace), ("rollup", row.rollup)], value: value(row, since))
            }
        }
    }
}
