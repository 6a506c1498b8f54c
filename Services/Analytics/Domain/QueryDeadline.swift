import Postgres

/// The client has gone before its query was answered.
struct ClientGone: Error {}

/// The watchdog of a query: bounds work from outside of the SQL, and ends it when nobody waits for it any more.
struct QueryDeadline: Sendable {
    /// How long after the query's own timeout the server is given to end it by itself.
    static let grace = Duration.milliseconds(250)

    let instant: ContinuousClock.Instant
    /// Returns when the client has gone.
    let clientGone: @Sendable () async -> Void

    /// Until the query's own timeout; never negative.
    var left: Duration { max(.zero, ContinuousClock.now.duration(to: instant)) }

    /// Runs `work`, which is cancelled at the deadline or when the client goes: the statement with it, and its
    /// connection closed where the server does not obey. The same happens when `ticket` says that it takes too much
    /// memory. Errors besides those of `work`: `PostgresError` `.timedOut`, and `.server` 53200; `ClientGone`.
    func bound<T: Sendable>(
        _ ticket: QueryMemory.Ticket? = nil, _ work: @escaping @Sendable () async throws -> T
    ) async throws -> T {
        let end = instant + Self.grace
        return try await withThrowingTaskGroup(of: T.self) { group in
            group.addTask { try await work() }
            group.addTask {
                try await Task.sleep(until: end, clock: .continuous)
                throw PostgresError(.timedOut, "the time limit has passed", doing: "answer a query")
            }
            group.addTask { [clientGone] in
                await clientGone()
                try Task.checkCancellation()
                throw ClientGone()
            }
            if let ticket {
                group.addTask {
                    try await ticket.exceeded()
                    throw CancellationError()
                }
            }
            defer { group.cancelAll() }
            guard let value = try await group.next() else { throw CancellationError() }
            return value
        }
    }
}
