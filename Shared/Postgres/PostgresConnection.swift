public import EventLoop

/// A connection to PostgreSQL, used by one task at a time.
///
/// It belongs to an event loop: a task on that loop uses it without a thread hop, one elsewhere hops there and back at
/// each call. When a task is cancelled, or a limit passes, the running statement is cancelled on the server and its
/// end awaited for a short time; then the error is thrown and the connection is usable again, or closed. An error of
/// the server leaves it usable.
public final class PostgresConnection: Sendable {
    let core: ConnectionCore

    init(_ core: ConnectionCore) {
        self.core = core
    }

    deinit {
        let core = self.core
        if core.loop.isCurrent { core.close() } else { core.loop.submit { core.close() } }
    }

    /// Opens a connection that belongs to no pool. Close it when done. Errors: `.unavailable`, `.cancelled`, `.server`.
    public static func connect(
        _ configuration: PostgresConfiguration, on loop: EventLoop
    ) async throws -> PostgresConnection {
        try await loop.run { PostgresConnection(try await ConnectionCore.connect(configuration, on: loop)) }
    }

    /// The loop it belongs to.
    public var loop: EventLoop { core.loop }

    /// The server process behind this connection, as `pg_stat_activity.pid` has it.
    public var backendPID: Int32 {
        get async { await core.loop.run { [core] in core.handle.backendPID } }
    }

    /// Whether a transaction block is open.
    public var isInTransaction: Bool {
        get async { await core.loop.run { [core] in core.isInTransaction } }
    }

    /// Executes a statement and decodes its rows. `timeout` bounds this execution, besides the configured limit.
    /// Errors: `.server`, `.decode`, `.timedOut`, `.cancelled`, `.connectionLost`, `.closed`, `.misuse`.
    public func query<S: PostgresStatement>(
        _ statement: S, timeout: Duration? = nil
    ) async throws(PostgresError) -> [S.Row] {
        try await one(BoundStatement(statement), timeout).decode(as: S.self)
    }

    /// Executes a statement for its effect; gives the number of rows affected. Errors as `query`.
    @discardableResult
    public func execute<S: PostgresStatement>(
        _ statement: S, timeout: Duration? = nil
    ) async throws(PostgresError) -> Int {
        try await one(BoundStatement(statement), timeout).affectedRows
    }

    /// Executes a statement whose text was put together; parsed each time. Errors as `query`.
    @discardableResult
    public func query(
        _ query: PostgresQuery, format: PostgresResult.Format = .binary, timeout: Duration? = nil
    ) async throws(PostgresError) -> PostgresResult {
        try await one(BoundStatement(query, format: format), timeout)
    }

    /// Executes several statements in one round trip; results in order.
    ///
    /// Outside a transaction block they are one transaction: all take effect or none. Errors as `query`, and
    /// `.commitUnknown` when the connection broke before the end was confirmed. The first error ends the pipeline.
    @discardableResult
    public func run(
        _ statements: [any PostgresStatement], timeout: Duration? = nil
    ) async throws(PostgresError) -> [PostgresResult] {
        let batch = statements.map { BoundStatement($0) }
        return try await onLoop("run a pipeline", timeout) { core in try await core.runPipeline(batch) }
    }

    /// Several statements in one round trip, as `run(_:timeout:)`, with their rows decoded.
    public func run<each S: PostgresStatement>(
        _ statement: repeat each S, timeout: Duration? = nil
    ) async throws(PostgresError) -> (repeat [(each S).Row]) {
        var batch: [BoundStatement] = []
        for bound in repeat BoundStatement(each statement) { batch.append(bound) }
        let sent = batch
        let results = try await onLoop("run a pipeline", timeout) { core in try await core.runPipeline(sent) }
        var index = -1
        func next() -> PostgresResult {
            index += 1
            return results[index]
        }
        return (repeat try next().decode(as: (each S).self))
    }

    /// Runs a script of one or several statements by the simple protocol: for migrations. The text is SQL as it is.
    public func execute(script sql: String, timeout: Duration? = nil) async throws(PostgresError) {
        _ = try await onLoop("run a script", timeout) { core in try await core.runScript(sql) }
    }

    /// Closes the connection, whatever it is doing.
    public func close() async {
        await core.loop.run { [core] in core.close() }
    }

    private func one(_ statement: BoundStatement, _ timeout: Duration?) async throws(PostgresError) -> PostgresResult {
        let results = try await onLoop("query", timeout) { core in try await core.runPipeline([statement]) }
        guard let result = results.first else {
            throw PostgresError(.misuse, "the statement gave no result", doing: "query")
        }
        return result
    }

    /// Runs an operation on the connection's loop, without a hop if the caller is there.
    func onLoop<T: Sendable>(
        _ doing: String, _ timeout: Duration?, _ body: @Sendable (ConnectionCore) async throws -> T
    ) async throws(PostgresError) -> T {
        let core = self.core
        let limit = timeout ?? core.configuration.statementLimit
        do {
            if core.loop.isCurrent {
                return try await core.perform(doing, limit: limit) { try await body(core) }
            }
            return try await core.loop.run {
                try await core.perform(doing, limit: limit) { try await body(core) }
            }
        } catch {
            throw error as? PostgresError ?? PostgresError(.misuse, "\(error)", doing: doing)
        }
    }
}
