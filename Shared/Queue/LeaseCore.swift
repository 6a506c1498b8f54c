import Observability
import Postgres
import Synchronization

/// One lease as its holder keeps it: the state of its jobs, and the transactions that close them.
final class LeaseCore: Sendable {
    /// The limit for finding out what became of a commit.
    static let resolveLimit: Duration = .seconds(60)
    /// A connection that does not answer a settle for so long is given up, and what became of it is found out: its
    /// peer may be gone.
    private static let closeLimit: Duration = .seconds(3)

    let id: Int64
    let jobs: [Job]
    let isSolo: Bool
    let context: LeaseContext
    private let backends: BackendRegistry
    private let book: LeaseBook
    private let state: Mutex<LeaseState>

    init(
        id: Int64, jobs: [Job], isSolo: Bool, context: LeaseContext, backends: BackendRegistry, book: LeaseBook
    ) {
        self.id = id
        self.jobs = jobs
        self.isSolo = isSolo
        self.context = context
        self.backends = backends
        self.book = book
        state = Mutex(LeaseState(jobs: jobs.map(\.id)))
    }

    var openJobs: [Job] {
        state.withLock { state in jobs.filter { state.isOpen($0.id) } }
    }

    var isLost: Bool { state.withLock(\.isLost) }

    func lose() {
        state.withLock { $0.lose() }
    }

    /// Closes jobs by one statement that is a transaction of its own.
    func close<S: PostgresStatement>(
        _ closed: [Job], statement: @escaping @Sendable (_ lease: Int64, _ finish: Bool) -> S
    ) async throws {
        try await close(closed) { connection, attempt, finish in
            attempt.expect(())
            try await connection.execute(statement(self.id, finish), timeout: Self.closeLimit)
        }
    }

    /// Runs `body` and the statement that closes the jobs in one transaction.
    func close<T: Sendable, S: PostgresStatement>(
        _ closed: [Job], _ body: @escaping @Sendable (PostgresConnection) async throws -> T,
        statement: @escaping @Sendable (_ lease: Int64, _ finish: Bool) -> S
    ) async throws -> T {
        try await close(closed) { connection, attempt, finish in
            try await connection.transaction { connection in
                let value = try await body(connection)
                try await connection.execute(statement(self.id, finish), timeout: Self.closeLimit)
                attempt.expect(value)
                return value
            }
        }
    }

    private func close<T: Sendable>(
        _ closed: [Job],
        by work: @escaping @Sendable (PostgresConnection, CommitAttempt<T>, _ finish: Bool) async throws -> T
    ) async throws -> T {
        let ids = closed.map(\.id)
        let finish = try state.withLock { state throws(QueueError) in try state.begin(ids) }
        let attempt = CommitAttempt<T>()
        do {
            let value: T
            do {
                value = try await context.pool.withConnection { [backends] connection in
                    attempt.use(try await backends.record(connection))
                    return try await work(connection, attempt, finish)
                }
            } catch let error as PostgresError where error.leavesCommitOpen {
                guard let found = try await resolve(attempt, closed) else { throw error }
                value = found
            }
            let isDone = state.withLock { $0.close(ids, finished: finish) }
            if isDone { book.addDone(id) }
            return value
        } catch {
            state.withLock { $0.reopen(ids) }
            guard LeaseFence.isLost(error) else { throw error }
            didLose()
            throw QueueError(.leaseLost, "the lease was taken over", doing: "settle")
        }
    }

    /// Takes jobs as closed that were found to have their outcome.
    func noteClosed(_ closed: [Job]) {
        let isDone = state.withLock { $0.close(closed.map(\.id), finished: false) }
        if isDone { book.addDone(id) }
    }

    private func didLose() {
        let isFirst = state.withLock { state in
            defer { state.lose() }
            return !state.isLost
        }
        guard isFirst else { return }
        context.metrics.leasesLost.add()
        context.logger.warning("a lease was lost", ["queue.name": .string(context.queue), "lease.id": .int(Int(id))])
    }

    /// Finds out what became of a commit whose answer was lost: ends its server process, then looks for the outcomes.
    /// Returns the body's value when it had committed, nil when nothing of it has remained.
    private func resolve<T: Sendable>(_ attempt: CommitAttempt<T>, _ closed: [Job]) async throws -> T? {
        guard let (pid, value) = attempt.committing else { return nil }
        let statement = ResolveStatement(worker: backends.worker, pid: pid, lease: id, jobs: closed)
        let deadline = ContinuousClock.now + Self.resolveLimit
        var pause = Duration.milliseconds(20)
        while ContinuousClock.now < deadline {
            let row = try? await context.pool.withConnection { try await $0.query(statement).first }
            if let row, !row.isAlive { return row.settled > 0 ? value : nil }
            try await Task.sleep(for: pause)
            pause = min(pause * 2, .seconds(1))
        }
        throw QueueError(.unresolved, "whether the commit took effect is not known", doing: "settle")
    }
}

/// What is known of a transaction on its way to the commit: the server process, and the value it will have made.
private final class CommitAttempt<T: Sendable>: Sendable {
    private struct State {
        var pid: Int32?
        var value: T?
    }

    private let state = Mutex(State())

    func use(_ pid: Int32) {
        state.withLock { $0 = State(pid: pid) }
    }

    func expect(_ value: T) {
        state.withLock { $0.value = value }
    }

    var committing: (pid: Int32, value: T)? {
        state.withLock { state in
            guard let pid = state.pid, let value = state.value else { return nil }
            return (pid, value)
        }
    }
}

extension PostgresError {
    /// A transaction may have committed all the same: the connection broke, or did not answer, while it or a statement
    /// that is a transaction of its own was under way.
    fileprivate var leavesCommitOpen: Bool {
        code == .commitUnknown || code == .connectionLost || code == .timedOut
    }
}
