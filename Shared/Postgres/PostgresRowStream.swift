import EventLoop

/// The rows of a running query, one by one as the server sends them. What is not asked for is not read, so a slow
/// reader slows the server and memory stays at about one row.
public struct PostgresRowStream: Sendable {
    let core: ConnectionCore
    /// The result's columns; known before the first row.
    public let columns: [PostgresColumn]

    /// The next row, or nil after the last. Errors: the server's, also in the middle of the rows.
    public func next() async throws(PostgresError) -> PostgresRow? {
        try await core.nextStreamedRow()
    }
}

extension ConnectionCore {
    /// What a stream has read ahead and where it ended.
    struct StreamState {
        var first: PostgresResult?
        /// What came behind the rows that were ready.
        var pending: ConnectionHandle.Event?
        var ended = false
        /// The most bytes that may come before a row is complete, rows read ahead with it among them; nil for any.
        var maximumRowBytes: Int?
        var rowBytes = 0
    }

    /// Runs a query whose rows `body` pulls. When `body` returns or throws early, the query is cancelled.
    func stream<T>(
        _ query: PostgresQuery, _ format: PostgresResult.Format, _ body: (PostgresRowStream) async throws -> T
    ) async throws -> T {
        let columns = try await startStream(query, format)
        do {
            let value = try await body(PostgresRowStream(core: self, columns: columns))
            try await endStream()
            return value
        } catch {
            try? await endStream()
            throw error
        }
    }

    /// Sends a query and waits for its first answer.
    func startStream(
        _ query: PostgresQuery, _ format: PostgresResult.Format, maximumRowBytes: Int? = nil
    ) async throws(PostgresError) -> [PostgresColumn] {
        if pendingBegin != nil { _ = try await runPipeline([]) }
        guard handle.execute(.sql(query.sql), query.parameters, &parameterBuffer, format), handle.singleRows() else {
            throw refused()
        }
        followsStream = true
        try await flush()
        streaming = StreamState(maximumRowBytes: maximumRowBytes)
        return try await firstStreamedResult()
    }

    /// The first answer has the columns, whether it has a row or is the end.
    private func firstStreamedResult() async throws(PostgresError) -> [PostgresColumn] {
        guard let result = try await nextStreamedResult() else { return [] }
        if result.rowCount > 0 { streaming.first = result }
        return result.columns
    }

    func nextStreamedRow() async throws(PostgresError) -> PostgresRow? {
        precondition(loop.isCurrent, "a stream is read on its connection's loop")
        if let first = streaming.first.take() { return first[0] }
        guard let result = try await nextStreamedResult(), result.rowCount > 0 else { return nil }
        return result[0]
    }

    /// The next row if it has come whole; nil where it has to be waited for, or there is none.
    func readyStreamedRow() throws(PostgresError) -> PostgresRow? {
        guard streaming.pending == nil, !streaming.ended, !handle.isBusy else { return nil }
        let event = handle.nextEvent(doing: doing)
        guard case .result(let result) = event, result.rowCount > 0 else {
            streaming.pending = event
            return nil
        }
        return try measured(result)[0]
    }

    /// libpq may have read more at once than was announced before.
    private func measured(_ result: PostgresResult) throws(PostgresError) -> PostgresResult {
        if let limit = streaming.maximumRowBytes, result.byteCount > limit {
            close()
            throw PostgresError(.rowTooLarge, "a row has more than \(limit) bytes", doing: doing)
        }
        streaming.rowBytes = 0
        return result
    }

    private func nextStreamedResult() async throws(PostgresError) -> PostgresResult? {
        guard !streaming.ended else { return nil }
        let event: ConnectionHandle.Event
        if let pending = streaming.pending.take() {
            event = try judge(pending)
        } else {
            event = try await nextEvent()
        }
        switch event {
        case .result(let result): return try measured(result)
        case .end:
            streaming.ended = true
            return nil
        case .failed(let error):
            streaming.ended = true
            try await drain()
            throw error
        case .copyIn, .copyOut, .skipped, .synced:
            throw lost("unexpected answer to a query")
        }
    }

    func endStream() async throws(PostgresError) {
        streaming.first = nil
        streaming.maximumRowBytes = nil
        guard !streaming.ended, phase == .busy else { return }
        if let pending = streaming.pending.take(), case .end = pending { return }
        // The rows may have been read to their last, with only the end left: then there is nothing to cancel.
        if !handle.isBusy, case .end = handle.nextEvent(doing: doing) { return }
        if interruption == nil { try interrupt(.cancelled, "the reader stopped") }
        try await drain()
    }
}
