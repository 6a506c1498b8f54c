import EventLoop

extension PostgresConnection {
    /// COPY … FROM STDIN: `body` writes the data, in the format the statement names. Gives the number of rows.
    ///
    /// The statement takes no parameters: quote what goes into it with `PostgresQuery`'s labels. If `body` throws, the
    /// COPY fails on the server and that error is thrown. Errors as `query`.
    @discardableResult
    public func copyIn(
        _ statement: PostgresQuery, timeout: Duration? = nil, _ body: @Sendable (CopyWriter) async throws -> Void
    ) async throws -> Int {
        try await anywhere("COPY FROM", timeout) { core in try await core.copyIn(statement.sql, body) }
    }

    /// COPY … TO STDOUT: `body` gets the data in pieces of about 64 KiB, cut at rows. Gives the number of rows.
    /// If `body` throws, the COPY is cancelled. Errors as `query`.
    @discardableResult
    public func copyOut(
        _ statement: PostgresQuery, timeout: Duration? = nil, _ body: @Sendable ([UInt8]) async throws -> Void
    ) async throws -> Int {
        try await anywhere("COPY TO", timeout) { core in try await core.copyOut(statement.sql, body) }
    }

    /// Executes a query and lets `body` pull its rows, one by one. When `body` ends before the rows do, the query is
    /// cancelled. `timeout` bounds the whole. Values come in text format unless asked otherwise. Errors as `query`.
    @discardableResult
    public func stream<T: Sendable>(
        _ query: PostgresQuery, format: PostgresResult.Format = .text, timeout: Duration? = nil,
        _ body: @Sendable (PostgresRowStream) async throws -> T
    ) async throws -> T {
        try await anywhere("stream a query", timeout) { core in try await core.stream(query, format, body) }
    }

    /// Asks the server to cancel what this connection is running; may be called from any task. The statement then ends
    /// with `.server` 57014, unless it had ended before.
    public func cancel() async {
        await core.loop.run { [core] in core.cancelFromElsewhere() }
    }

    private func anywhere<T: Sendable>(
        _ doing: String, _ timeout: Duration?, _ body: @Sendable (ConnectionCore) async throws -> T
    ) async throws -> T {
        let core = self.core
        if core.loop.isCurrent {
            return try await core.perform(doing, limit: timeout) { try await body(core) }
        }
        return try await core.loop.run {
            try await core.perform(doing, limit: timeout) { try await body(core) }
        }
    }
}
