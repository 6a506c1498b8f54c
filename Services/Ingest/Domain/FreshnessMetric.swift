import Observability
import Platform
import Postgres

/// The age of each source's oldest record that is not stored yet, as a metric, out of the ledger. Of more than
/// `sources` those that wait longest are shown, however many have nothing that waits.
struct FreshnessMetric: Sendable {
    static let sources: Int32 = 500

    private let gauges: StatementGauges<ListFreshness>

    init(pool: PostgresPool, metrics: MetricsRegistry, logger: Logger) {
        gauges = StatementGauges(ListFreshness(limit: Self.sources), pool: pool, logger: logger)
        gauges.show(
            "millrace_source_freshness_seconds", help: "Age of a source's oldest record that is not stored yet.",
            in: metrics
        ) { row, since in
            .init(
                labels: [("workspace", row.workspace), ("source", row.source)], value: row.age.map { $0 + since } ?? 0)
        }
    }

    /// Reads the ledger when that is due.
    func refresh() async { await gauges.refresh() }
}
