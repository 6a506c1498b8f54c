import Access
import Postgres

/// Runs users' SQL: guarded, as the workspace's own role, read only, bounded.
struct QueryEngine: Sendable {
    struct Limits: Sendable {
        /// Bytes of an answer in JSON.
        var answerBytes: Int
        /// Bytes of one row.
        var rowBytes: Int
    }

    /// An answer: whole, or so long that it is written while it comes.
    enum Answer: Sendable {
        case whole([UInt8])
        case stream(first: [UInt8], RunningQuery)
    }

    /// Two columns of one name, which an object cannot have.
    struct AmbiguousColumn: Error { let name: String }

    /// An answer up to this size is sent as a whole; pieces of a longer one have the second size.
    static let wholeSize = 256 * 1024
    static let pieceSize = 64 * 1024

    private let sessions: QuerySessions
    private let isolation: IsolationMonitor
    private let catalog: ServerCatalog
    private let metrics: QueryMetrics
    private let limits: Limits

    init(
        sessions: QuerySessions, isolation: IsolationMonitor, catalog: ServerCatalog, metrics: QueryMetrics,
        limits: Limits
    ) {
        self.sessions = sessions
        self.isolation = isolation
        self.catalog = catalog
        self.metrics = metrics
        self.limits = limits
    }

    /// Runs a query until its answer is complete or large.
    ///
    /// Errors: `QueryGuard.Refusal`, `AmbiguousColumn`, `TooManyQueries`, `ClientGone`, `PostgresError`, and the
    /// problem `query_unavailable`.
    func run(_ query: UserQuery, for principal: Principal, until deadline: QueryDeadline) async throws -> Answer {
        do {
            try await catalog.queryGuard().check(query.sql)
        } catch let refusal as QueryGuard.Refusal {
            metrics.refusedQuery()
            throw refusal
        }
        do {
            return try await deadline.bound { try await start(query, principal, deadline) }
        } catch {
            metrics.failedQuery()
            throw error
        }
    }

    private func start(
        _ query: UserQuery, _ principal: Principal, _ deadline: QueryDeadline
    ) async throws -> Answer {
        let started = ContinuousClock.now
        let workspace = try await isolation.workspace(of: principal)
        let lease = try await sessions.begin(workspace, timeout: deadline.left)
        // The guard has parsed this very text, and the extended protocol takes one statement only.
        let statement = PostgresQuery(unsafeText: query.sql, query.parameters)
        let open = try await lease.open(
            statement, timeout: deadline.left + QueryDeadline.grace, maximumRowBytes: limits.rowBytes)
        let columns = try await catalog.describe(open.columns)
        if query.format == .ndjson { try Self.checkNames(columns) }
        let writer = ResultWriter(query.format, columns, query.numbers)
        var running = RunningQuery(
            lease, open, writer, rowLimit: query.limit, limits: limits, started: started)
        let first = try await running.nextPiece(Self.wholeSize) ?? []
        guard running.isEnded else { return .stream(first: first, running) }
        metrics.answered(rows: running.rowCount, in: running.elapsed)
        return .whole(first)
    }

    /// Writes what is left of a long answer. Errors: `ClientGone`, `PostgresError`, and those of `write`.
    func finish(
        _ first: [UInt8], _ running: RunningQuery, until deadline: QueryDeadline,
        _ write: @escaping @Sendable ([UInt8]) async throws -> Void
    ) async throws {
        do {
            try await deadline.bound {
                var running = running
                try await write(first)
                while let piece = try await running.nextPiece(Self.pieceSize) {
                    try await write(piece)
                    // A client as fast as the server would let nobody else have the loop.
                    await Task.yield()
                }
                metrics.answered(rows: running.rowCount, in: running.elapsed)
            }
        } catch {
            metrics.failedQuery()
            throw error
        }
    }

    private static func checkNames(_ columns: [ResultColumn]) throws(AmbiguousColumn) {
        var seen: Set<String> = []
        for column in columns where !seen.insert(column.name).inserted { throw AmbiguousColumn(name: column.name) }
    }
}
