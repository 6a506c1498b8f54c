import EventLoop

extension PostgresConnection {
    /// How much a transaction sees of others (PostgreSQL manual, 13.2).
    public enum Isolation: Sendable {
        case readCommitted, repeatableRead, serializable
    }

    /// Runs `body` in a transaction, and commits when it returns.
    ///
    /// When it throws, or the task was cancelled meanwhile, the transaction is rolled back before that error goes on.
    /// COMMIT is awaited even by a cancelled task. BEGIN travels with the first statement and costs no round trip.
    /// Errors besides those of `body`: `.commitUnknown`, when the connection broke before COMMIT was answered.
    @discardableResult
    public func transaction<T: Sendable>(
        isolation: Isolation? = nil, readOnly: Bool = false,
        _ body: @Sendable (PostgresConnection) async throws -> T
    ) async throws -> T {
        let begin = Self.begin(isolation, readOnly)
        if core.loop.isCurrent { return try await transactionHere(begin, body) }
        return try await core.loop.run { try await self.transactionHere(begin, body) }
    }

    private func transactionHere<T: Sendable>(
        _ begin: String, _ body: @Sendable (PostgresConnection) async throws -> T
    ) async throws -> T {
        try core.beginTransaction(begin)
        let value: T
        do {
            value = try await body(self)
            if Task.isCancelled { throw PostgresError(.cancelled, "the task was cancelled", doing: "commit") }
        } catch {
            await core.rollbackTransaction()
            throw error
        }
        try await core.commitTransaction()
        return value
    }

    private static func begin(_ isolation: Isolation?, _ readOnly: Bool) -> String {
        let level =
            switch isolation {
            case .readCommitted: " ISOLATION LEVEL READ COMMITTED"
            case .repeatableRead: " ISOLATION LEVEL REPEATABLE READ"
            case .serializable: " ISOLATION LEVEL SERIALIZABLE"
            case nil: ""
            }
        return "BEGIN" + level + (readOnly ? " READ ONLY" : "")
    }
}
