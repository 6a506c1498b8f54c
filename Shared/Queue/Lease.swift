import Observability
public import Postgres

/// The right to do the jobs of one claim, and the fence around what is done.
///
/// Whatever is to happen exactly once happens in `transaction`: its commit is refused when the lease was taken over.
/// A lease does not run out while the process lives and reaches the database.
public struct Lease: Sendable {
    let core: LeaseCore

    /// The jobs run alone in their process, because a process that held them ended.
    public var isSolo: Bool { core.isSolo }

    /// Runs `body` and settles `jobs` in one transaction. `body` runs on the connection's event loop: what is heavy is
    /// done before, or leaves the loop.
    ///
    /// If `body` throws, the lease is lost (`QueueError.leaseLost`), a job was cancelled (`.cancelled`) or the time is
    /// over (`.timedOut`), all of it is rolled back and the jobs stay open. A commit whose answer was lost is looked up
    /// before this returns or throws. Several transactions of a lease may run at the same time with different jobs.
    ///
    /// What `body` enqueues without a trace of its own follows from the first of `jobs` whose trace is recorded; where
    /// it settles none, of the lease's.
    @discardableResult
    public func transaction<T: Sendable>(
        settling jobs: [Job], _ body: @escaping @Sendable (PostgresConnection) async throws -> T
    ) async throws -> T {
        let trace = core.spans?.trace(of: jobs)
        let value = try await core.close(jobs, byHandler: true) { connection in
            if let trace { try await connection.follow(trace) }
            return try await body(connection)
        } statement: { [core] _, finish in
            core.settlement(of: jobs, finish: finish)
        }
        core.succeeded(jobs)
        return value
    }

    /// The most a result may hold, in bytes of JSON.
    public static let maximumResult = 64 * 1024

    /// What the job, or the slice of an array, leaves behind once it is settled: JSON in UTF-8.
    /// Errors: `.invalidRequest` when it exceeds `maximumResult`.
    public func setResult(_ result: [UInt8], of job: Job) throws(QueueError) {
        guard result.count <= Self.maximumResult else {
            throw QueueError(
                .invalidRequest, "a result of \(result.count) bytes exceeds \(Self.maximumResult)", doing: "settle")
        }
        core.setResult(result, of: job)
    }

    /// Says how far a job is, from 0 to 1, with up to 1,000 bytes of text. Kept once a second at most: what comes
    /// sooner is dropped, as is what cannot be written.
    public func report(_ fraction: Double, note: String? = nil, of job: Job) async {
        guard core.mayReportProgress(of: job, at: .now) else { return }
        let statement = ProgressStatement(job: job.id, fraction: min(max(fraction, 0), 1), note: note)
        do {
            try await core.context.pool.withConnection { _ = try await $0.execute(statement) }
        } catch {
            core.context.logger.debug("progress could not be kept", ["error": .describing(error)])
        }
    }

    /// Whether the job was cancelled: it cannot be settled any more, and what is done for it is lost.
    public func isCancelled(_ job: Job) -> Bool { core.isCancelled(job) }

    /// Settles jobs that have no work to commit.
    public func settle(_ jobs: [Job]) async throws {
        try await core.settle(jobs)
        core.succeeded(jobs)
    }

    /// Ends an attempt that failed: the job is tried again after its backoff, or becomes a dead letter when the
    /// failure is permanent or no attempt is left. Returns once that is durable, or the lease is lost.
    public func fail(_ job: Job, _ failure: JobFailure) async {
        await core.fail([(job, failure)])
    }

    /// The same for several jobs in one transaction.
    public func fail(_ jobs: [Job], _ failure: JobFailure) async {
        await core.fail(jobs.map { ($0, failure) })
    }
}
