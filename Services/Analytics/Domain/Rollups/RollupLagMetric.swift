import Observability
import Platform
import Postgres

/// How far each rollup is behind its dataset, as metrics. Of more than `rollups` those that wait longest are shown.
struct RollupLagMetric: Sendable {
    static let rollups: Int32 = 500

    private let gauges: StatementGauges<ListRollupLag>

    init(pool: PostgresPool, metrics: MetricsRegistry, logger: Logger) {
        gauges = StatementGauges(ListRollupLag(limit: Self.rollups), pool: pool, logger: logger)
        gauges.show(
            "millrace_rollup_lag_seconds",
            help: "How long the oldest change of a rollup's dataset has waited to be in the rollup.", in: metrics
        ) { row, since in
            .init(labels: Self.labels(row), value: row.lag.map { $0 + since } ?? 0)
        }
        gauges.show(
            "millrace_rollup_waiting_batches", help: "Batches that wait to be added to a rollup, counted up to 10,000.",
            in: metrics
        ) { row, _ in .init(labels: Self.labels(row), value: Double(row.batches)) }
    }

    /// Reads what waits when that is due.
    func refresh() async { await gauges.refresh() }

    private static func labels(_ row: ListRollupLag.Row) -> [(String, String)] {
        [("workspace", row.workspace), ("rollup", row.rollup)]
    }
}
