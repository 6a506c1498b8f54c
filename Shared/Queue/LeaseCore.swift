import Observability
import Postgres
import Synchronization

/// One lease as its holder keeps it: the state of its jobs, and the transactions that close them.
final class LeaseCore: Sendable {
    /// The limit for finding out what became of a commit.
    static let resolveLimit: Duration = .seconds(60)
    /// A connection that does not answer a settle for so long is given up, and what became of it is found out: its
    /// peer may be gone.
    static let closeLimit: Duration = .seconds(10)

    let id: Int64
    let jobs: [Job]
    let isSolo: Bool
    let context: LeaseContext
    private let backends: BackendRegistry
    private let settler: Settler
    private let book: LeaseBook
    private let state: Mutex<LeaseState>
    private let reports = Mutex(Reports())
    /// Nil where traces are not recorded.
    let spans: JobSpans?
    /// Raised when nothing is left to do: every open job was cancelled.
    let interruption = WakeSignal()

    /// What the handler said of its jobs: results until they are settled, and when it last told how far it is.
    private struct Reports {
        var results: [Job.Key: [UInt8]] = [:]
        var progressAt: [Int64: ContinuousClock.Instant] = [:]
    }

    init(
        id: Int64, jobs: [Job], isSolo: Bool, context: LeaseContext, session: WorkerSession
    ) {
        self.id = id
        self.jobs = jobs
        self.isSolo = isSolo
        self.context = context
        backends = session.backends
        settler = session.settler
        book = session.book
        state = Mutex(LeaseState(jobs: jobs.map(\.key)))
        spans = context.tracer.map { JobSpans($0, queue: context.queue) }
    }

    var openJobs: [Job] {
        state.withLock { state in jobs.filter { state.isOpen($0.key) } }
    }

    func isCancelled(_ job: Job) -> Bool {
        state.withLock { $0.isCancelled(job.key) }
    }

    var isLost: Bool { state.withLock(\.isLost) }

    func lose() {
        state.withLock { $0.lose() }
    }

    /// The handler can begin nothing any more.
    func expire() {
        state.withLock { $0.expire() }
    }

    /// The job, or all that is here of the array, was cancelled.
    func cancel(_ job: Int64) {
        let keys = jobs.map(\.key).filter { $0.job == job }
        if !keys.isEmpty, state.withLock({ $0.cancel(keys) }) { interruption.raise() }
    }

    func setResult(_ result: [UInt8], of job: Job) {
        reports.withLock { $0.results[job.key] = result }
    }

    /// Whether it is time to say again how far a job is: once a second at most.
    func mayReportProgress(of job: Job, at now: ContinuousClock.Instant) -> Bool {
        reports.withLock { reports in
            if let last = reports.progressAt[job.id], now - last < .seconds(1) { return false }
            reports.progressAt[job.id] = now
            return true
        }
    }

    /// Jobs have been settled by their handler.
    func succeeded(_ settled: [Job]) {
        context.metrics.settled.add(settled.count)
        spans?.end(settled)
    }

    /// What records the success of jobs.
    func settlement(of settled: [Job], finish: Bool) -> any PostgresStatement {
        if isPlain(settled) { return SettleStatement(lease: id, jobs: settled, finish: finish) }
        return SettleAllStatement(
            lease: id, jobs: settled, results: reports.withLock(\.results), finish: finish)
    }

    /// Nothing is left to do after the end of these jobs.
    private func isPlain(_ settled: [Job]) -> Bool {
        reports.withLock(\.results.isEmpty) && !settled.contains { $0.traits.contains(.concludes) }
    }

    /// Settles jobs that have nothing else to commit; with those of other groups where both are small.
    func settle(_ settled: [Job]) async throws {
        guard settled.count <= Settler.maximumJobs, isPlain(settled) else {
            return try await close(settled, byHandler: true) { _, finish in
                self.settlement(of: settled, finish: finish)
            }
        }
        try await close(settled, byHandler: true) { attempt, finish in
            attempt.expect(())
            let group = Settler.Group(lease: self.id, jobs: settled, finish: finish) { attempt.use($0) }
            try await self.settler.settle(group)
        }
    }

    /// Closes jobs by one statement that is a transaction of its own.
    func close(
        _ closed: [Job], byHandler: Bool = false,
        statement: @escaping @Sendable (_ lease: Int64, _ finish: Bool) -> any PostgresStatement
    ) async throws {
        try await close(closed, byHandler: byHandler) { attempt, finish in
            attempt.expect(())
            try await self.onConnection(attempt) { connection in
                try await connection.execute(statement(self.id, finish), timeout: Self.closeLimit)
            }
        }
    }

    /// Runs `body` and the statement that closes the jobs in one transaction.
    func close<T: Sendable>(
        _ closed: [Job], byHandler: Bool = false, _ body: @escaping @Sendable (PostgresConnection) async throws -> T,
        statement: @escaping @Sendable (_ lease: Int64, _ finish: Bool) -> any PostgresStatement
    ) async throws -> T {
        try await close(closed, byHandler: byHandler) { attempt, finish in
            try await self.onConnection(attempt) { connection in
                try await connection.transaction { connection in
                    let value = try await body(connection)
                    try await connection.execute(statement(self.id, finish), timeout: Self.closeLimit)
                    attempt.expect(value)
                    return value
                }
            }
        }
    }

    /// Runs `body` on a connection of which rescue knows.
    private func onConnection<T: Sendable>(
        _ attempt: CommitAttempt<T>, _ body: @Sendable (PostgresConnection) async throws -> T
    ) async throws -> T {
        try await context.pool.withConnection { [backends] connection in
            attempt.use(try await backends.record(connection))
            return try await body(connection)
        }
    }

    private func close<T: Sendable>(
        _ closed: [Job], byHandler: Bool,
        by work: @Sendable (CommitAttempt<T>, _ finish: Bool) async throws -> T
    ) async throws -> T {
        let keys = closed.map(\.key)
        let finish = try state.withLock { state throws(QueueError) in try state.begin(keys, byHandler: byHandler) }
        let attempt = CommitAttempt<T>()
        do {
            let value: T
            do {
                value = try await work(attempt, finish)
            } catch let error as PostgresError where error.leavesCommitOpen {
                guard let found = try await resolve(attempt, closed) else { throw error }
                value = found
            }
            let isDone = state.withLock { $0.close(keys, finished: finish) }
            if isDone { book.addDone(id) }
            // Whom its end lets through, nobody else tells.
            if closed.contains(where: { $0.items == nil && $0.traits.contains(.concludes) }) {
                context.wakeup.notify(context.queue)
            }
            return value
        } catch {
            state.withLock { $0.reopen(keys) }
            if LeaseFence.mayBeCancelled(error), try await findCancelled(closed) {
                throw QueueError(.cancelled, "a job of the transaction was cancelled", doing: "settle")
            }
            guard LeaseFence.isLost(error) else { throw error }
            didLose()
            throw QueueError(.leaseLost, "the lease was taken over", doing: "settle")
        }
    }

    /// Looks for jobs that somebody else has ended; returns whether there are any.
    private func findCancelled(_ closed: [Job]) async throws -> Bool {
        let statement = EndedElsewhereStatement(jobs: closed)
        let ended = try await context.pool.withConnection { try await $0.query(statement) }
        if state.withLock({ $0.cancel(ended) }) { interruption.raise() }
        return !ended.isEmpty
    }

    /// Takes jobs as closed that were found to have their outcome.
    func noteClosed(_ closed: [Job]) {
        let isDone = state.withLock { $0.close(closed.map(\.key), finished: false) }
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
