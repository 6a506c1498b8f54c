import EventLoop

/// A query that runs on a connection and whose rows are pulled one by one, after the call that began it has returned.
///
/// What is not asked for is not read, so a slow reader slows the server, and memory stays at about one row. The
/// connection is in use until `close()`; one that is dropped without it is closed with its last reference. Used by one
/// task at a time.
public final class PostgresOpenQuery: Sendable {
    /// The connection it runs on.
    public let connection: PostgresConnection
    /// The result's columns.
    public let columns: [PostgresColumn]

    init(_ connection: PostgresConnection, _ columns: [PostgresColumn]) {
        self.connection = connection
        self.columns = columns
    }

    /// Waits for the next row, and gives `body` it and those that have come with it, until that returns false. False
    /// after the last row. To be called on the connection's loop. Errors: the server's, `.timedOut`, `.cancelled`,
    /// `.connectionLost`.
    public func next(_ body: (PostgresRow) -> Bool) async throws(PostgresError) -> Bool {
        let core = connection.core
        do throws(PostgresError) {
            guard let first = try await core.nextStreamedRow() else { return false }
            guard body(first) else { return true }
            // Asking asynchronously row by row takes longer than the rows do.
            while let row = try core.readyStreamedRow() {
                guard body(row) else { return true }
            }
            return true
        } catch {
            throw core.explain(error)
        }
    }

    /// Ends the query, cancelling it on the server if rows are left. The connection is usable afterwards, or closed.
    /// Again is harmless.
    public func close() async {
        await connection.core.loop.run { [connection] in await connection.core.closeStream() }
    }
}

extension PostgresConnection {
    /// Begins a query and waits for its first row or its end, so that what the server has against it is thrown here.
    ///
    /// `timeout` bounds the query up to its last row, whenever that is asked for. `maximumRowBytes` bounds the memory
    /// that a row takes: a larger one is `.rowTooLarge` and closes the connection. Errors as `query`, and then the
    /// connection is free again.
    public func open(
        _ query: PostgresQuery, format: PostgresResult.Format = .text, timeout: Duration? = nil,
        maximumRowBytes: Int? = nil
    ) async throws(PostgresError) -> PostgresOpenQuery {
        let core = self.core
        let columns: Result<[PostgresColumn], PostgresError> = await core.loop.run {
            do throws(PostgresError) {
                return .success(try await core.openStream(query, format, timeout, maximumRowBytes))
            } catch {
                return .failure(error)
            }
        }
        return PostgresOpenQuery(self, try columns.get())
    }
}

extension ConnectionCore {
    fileprivate func openStream(
        _ query: PostgresQuery, _ format: PostgresResult.Format, _ timeout: Duration?, _ maximumRowBytes: Int?
    ) async throws(PostgresError) -> [PostgresColumn] {
        try begin("stream a query", limit: timeout, shielded: false)
        do throws(PostgresError) {
            return try await startStream(query, format, maximumRowBytes: maximumRowBytes)
        } catch {
            streaming.maximumRowBytes = nil
            await end()
            throw explain(error)
        }
    }

    fileprivate func closeStream() async {
        guard phase == .busy else { return }
        try? await endStream()
        await end()
    }
}
