extension PostgresConnection {
    /// The columns of the rows that a statement would give, found out by the server without running it.
    ///
    /// Names and types are looked up as the connection's role and search path have them; the rights to relations are
    /// not, since they are checked when a statement runs. `$1`, `$2`, … stand for parameters without values, of the
    /// types that the statement gives them. Errors as `query`.
    public func describe(
        _ query: PostgresQuery, timeout: Duration? = nil
    ) async throws(PostgresError) -> [PostgresColumn] {
        try await onLoop("describe a statement", timeout) { core in try await core.describe(query.sql) }
    }
}

extension ConnectionCore {
    /// By the unnamed statement, which the next one takes the place of.
    fileprivate func describe(_ sql: String) async throws(PostgresError) -> [PostgresColumn] {
        if pendingBegin != nil { _ = try await runPipeline([]) }
        guard handle.prepare("", sql, types: []) else { throw refused() }
        try await flush()
        _ = try await onlyResult()
        guard handle.describe("") else { throw refused() }
        try await flush()
        return try await onlyResult()?.columns ?? []
    }

    private func onlyResult() async throws(PostgresError) -> PostgresResult? {
        var found: PostgresResult?
        var failure: PostgresError?
        while true {
            switch try await nextEvent() {
            case .end:
                if let failure { throw failure }
                return found
            case .result(let result): found = result
            case .failed(let error): failure = error
            case .copyIn, .copyOut, .skipped, .synced: throw lost("unexpected answer to a description")
            }
        }
    }
}
