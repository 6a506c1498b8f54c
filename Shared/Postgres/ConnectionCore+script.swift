extension ConnectionCore {
    /// Runs one or several statements by the simple protocol and reads all answers. Results are thrown away
    /// but the last.
    @discardableResult
    func runScript(_ sql: String) async throws(PostgresError) -> PostgresResult? {
        guard handle.executeScript(takeBegin() + sql) else { throw lost(handle.errorMessage) }
        try await flush()
        var last: PostgresResult?
        var failure: PostgresError?
        while true {
            switch try await nextEvent() {
            case .end:
                if let failure { throw failure }
                return last
            case .result(let result): last = result
            case .failed(let error): failure = failure ?? error
            case .copyIn: _ = handle.putCopyEnd(failing: "COPY is not possible here")
            case .copyOut: try await discardCopy()
            case .skipped, .synced: break
            }
        }
    }

    /// The pending BEGIN, as text to put in front of a script.
    func takeBegin() -> String {
        guard let begin = pendingBegin else { return "" }
        pendingBegin = nil
        return begin + ";"
    }

    /// Reads and ignores what is left until the server is ready for the next statement.
    func drain() async throws(PostgresError) {
        while true {
            switch try await nextEvent() {
            case .end: return
            case .copyIn: _ = handle.putCopyEnd(failing: "not wanted")
            case .copyOut: try await discardCopy()
            case .result, .failed, .skipped, .synced: break
            }
        }
    }

    private func discardCopy() async throws(PostgresError) {
        while true {
            switch unsafe handle.getCopyData({ _ in }) {
            case .row: break
            case .wouldBlock: try await awaitInput()
            case .done, .failed: return
            }
        }
    }
}
