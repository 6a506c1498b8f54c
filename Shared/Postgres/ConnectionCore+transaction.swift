extension ConnectionCore {
    private static let commit = BoundStatement(CommitStatement())
    private static let rollback = BoundStatement(RollbackStatement())

    private struct CommitStatement: PostgresStatement {
        static let sql = "COMMIT"
    }

    private struct RollbackStatement: PostgresStatement {
        static let sql = "ROLLBACK"
    }

    /// Whether a transaction block is open, or will be opened by the next statement.
    var isInTransaction: Bool {
        guard phase != .closed else { return false }
        return pendingBegin != nil || handle.transactionStatus != .idle
    }

    /// Opens a transaction block; BEGIN travels with the first statement.
    func beginTransaction(_ sql: String) throws(PostgresError) {
        guard phase == .idle else { throw PostgresError(.closed, "the connection is closed", doing: "begin") }
        guard !isInTransaction else {
            throw PostgresError(.misuse, "the connection is in a transaction already", doing: "begin")
        }
        pendingBegin = sql
    }

    /// Commits, and waits for the answer even if the task is cancelled. Errors: `.commitUnknown` when the connection
    /// breaks before it comes, `.server` with 25P02 when an earlier error had ended the transaction.
    func commitTransaction() async throws {
        if pendingBegin != nil {
            pendingBegin = nil
            return
        }
        guard phase != .closed else {
            throw PostgresError(.connectionLost, "the connection was lost before COMMIT", doing: "commit")
        }
        try await perform("commit", limit: configuration.commitTimeout, shielded: true) {
            lossCode = .commitUnknown
            let results = try await runPipeline([Self.commit])
            guard results.first?.commandTag == "COMMIT" else {
                throw PostgresError(
                    .server, "the transaction had failed and was rolled back", doing: doing,
                    sqlstate: .inFailedTransaction)
            }
        }
    }

    /// Undoes the transaction, and waits for that even if the task is cancelled; a connection on which it fails is
    /// closed, which undoes it too.
    func rollbackTransaction() async {
        pendingBegin = nil
        guard phase == .idle, isInTransaction else { return }
        do {
            _ = try await perform("rollback", limit: configuration.answerGrace, shielded: true) {
                try await runPipeline([Self.rollback])
            }
        } catch {
            close()
        }
    }
}
