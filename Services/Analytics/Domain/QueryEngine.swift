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

    /// The pieces of a longer answer.
    static let pieceSize = 64 * 1024

    private let sessions: QuerySessions
    private let isolation: IsolationMonitor
    private let catalog: ServerCatalog
    private let memory: QueryMemory
    private let metrics: QueryMetrics
    private let limits: Limits

    init(
        sessions: QuerySessions, isolation: IsolationMonitor, catalog: ServerCatalog, memory: QueryMemory,
        metrics: QueryMetrics, limits: Limits
    ) {
        self.sessions = sessions
        self.isolation = isolation
        self.catalog = catalog
        self.memory = memory
        self.metrics = metrics
        self.limits = limits
    }

    /// Runs a query until its answer is complete or large.
    ///
    /// Errors: `QueryGuard.Refusal`, `AmbiguousColumn`, `TooManyQueries`, `ClientGone`, `PostgresError`, and the
    /// problem `query_unavailable`.
    func run(_ query: UserQuery, for principal: Principal, until deadline: QueryDeadline) async throws -> Answer {
        try await check(query.sql, parameters: query.parameters.count)
        do {
            return try await memory.watching { ticket in
                try await deadline.bound(ticket) { try await start(query, principal, deadline, ticket) }
            }
        } catch {
            metrics.failedQuery()
            throw error
        }
    }

    /// The columns that a statement's answer would have: guarded as `run` does it, and looked up by the server as the
    /// workspace's role, but not run. Errors as `run`.
    func columns(
        of sql: String, for principal: Principal, until deadline: QueryDeadline
    ) async throws -> [ResultColumn] {
        try await check(sql, parameters: nil)
        return try await memory.watching { ticket in
            try await deadline.bound(ticket) { try await describe(sql, principal, deadline, ticket) }
        }
    }

    private func describe(
        _ sql: String, _ principal: Principal, _ deadline: QueryDeadline, _ ticket: QueryMemory.Ticket
    ) async throws -> [ResultColumn] {
        let workspace = try await isolation.workspace(of: principal)
        let lease = try await sessions.begin(workspace, timeout: deadline.left)
        ticket.runs(in: await lease.connection.backendPID)
        let columns = try await catalog.describe(lease.describe(sql, timeout: deadline.left))
        try Self.checkNames(columns)
        return columns
    }

    /// Refuses a statement that may not be sent, whatever the tables are. `parameters`: how many there are; nil where
    /// that is not known yet. Errors: `QueryGuard.Refusal` and `PostgresError`.
    func check(_ sql: String, parameters: Int?) async throws {
        do {
            try await catalog.queryGuard().check(sql, parameters: parameters)
        } catch let refusal as QueryGuard.Refusal {
            metrics.refusedQuery()
            throw refusal
        }
    }

    private func start(
        _ query: UserQuery, _ principal: Principal, _ deadline: QueryDeadline, _ ticket: QueryMemory.Ticket
    ) async throws -> Answer {
        let started = ContinuousClock.now
        let workspace = try await isolation.workspace(of: principal)
        let lease = try await sessions.begin(workspace, timeout: deadline.left)
        ticket.runs(in: await lease.connection.backendPID)
        // The guard has parsed this very text, and the extended protocol takes one statement only.
        let statement = PostgresQuery(unsafeText: query.sql, query.parameters)
        let open = try await lease.open(
            statement, timeout: deadline.left + QueryDeadline.grace, maximumRowBytes: limits.rowBytes)
        let columns = try await catalog.describe(open.columns)
        if query.layout.hasKeys { try Self.checkNames(columns) }
        let writer = ResultWriter(query.layout, columns, query.numbers)
        var running = RunningQuery(
            lease, open, writer, rowLimit: query.limit, limits: limits, started: started)
        let first = try await running.nextPiece(query.wholeSize) ?? []
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
            try await memory.watching { ticket in
                ticket.runs(in: await running.connection.backendPID)
                try await deadline.bound(ticket) {
                    var running = running
                    try await write(first)
                    while let piece = try await running.nextPiece(Self.pieceSize) {
                        try await write(piece)
                        // A client as fast as the server would let nobody else have the loop.
                        await Task.yield()
                    }
                    metrics.answered(rows: running.rowCount, in: running.elapsed)
                }
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
