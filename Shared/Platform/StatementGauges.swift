public import Observability
public import Postgres
import Synchronization

/// Gauges of what a statement finds in the database, a series a row.
///
/// Read when the metrics are asked for, at most every `interval`: at rest, and where nobody asks, they cost no query.
/// Every process shows all rows, so take the greatest.
public final class StatementGauges<Statement: PostgresStatement>: Sendable {
    static var interval: Duration { .seconds(10) }
    static var patience: Duration { .seconds(5) }

    private struct State {
        var rows: [Statement.Row] = []
        var readAt: ContinuousClock.Instant?
        var askedAt: ContinuousClock.Instant?
    }

    private let statement: Statement
    private let pool: PostgresPool
    private let logger: Logger
    private let state = Mutex(State())

    public init(_ statement: Statement, pool: PostgresPool, logger: Logger) {
        self.statement = statement
        self.pool = pool
        self.logger = logger
    }

    /// Adds a family to `metrics`. `reading` makes a row's series; its second argument is how many seconds ago the row
    /// was read, which ages have to be grown by.
    public func show(
        _ name: String, help: String, in metrics: MetricsRegistry,
        reading: @escaping @Sendable (Statement.Row, Double) -> MetricsRegistry.Reading
    ) {
        metrics.gauges(name, help: help) { [weak self] in self?.series(reading) ?? [] }
    }

    /// Reads the rows when that is due. What was read before stays when it fails.
    public func refresh() async {
        let isDue = state.withLock { state in
            if let askedAt = state.askedAt, .now - askedAt < Self.interval { return false }
            state.askedAt = .now
            return true
        }
        guard isDue else { return }
        do {
            let statement = statement
            let rows = try await pool.withConnection { try await $0.query(statement, timeout: Self.patience) }
            state.withLock { state in
                state.rows = rows
                state.readAt = .now
            }
        } catch {
            logger.warning(
                "metrics could not be read from the database",
                ["metrics.statement": .string("\(Statement.self)"), "error": .describing(error)])
        }
    }

    private func series(
        _ reading: (Statement.Row, Double) -> MetricsRegistry.Reading
    ) -> [MetricsRegistry.Reading] {
        state.withLock { state in
            guard let readAt = state.readAt else { return [] }
            let since = readAt.duration(to: .now) / .seconds(1)
            return state.rows.map { reading($0, since) }
        }
    }
}
