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
    /// If `body` throws, or the lease is lost (`QueueError.leaseLost`), all of it is rolled back and the jobs stay
    /// open. A commit whose answer was lost is looked up before this returns or throws. Several transactions of a
    /// lease may run at the same time with different jobs.
    @discardableResult
    public func transaction<T: Sendable>(
        settling jobs: [Job], _ body: @escaping @Sendable (PostgresConnection) async throws -> T
    ) async throws -> T {
        let value = try await core.close(jobs, body) { lease, finish in
            SettleStatement(lease: lease, jobs: jobs, finish: finish)
        }
        core.context.metrics.settled.add(jobs.count)
        return value
    }

    /// Settles jobs that have no work to commit.
    public func settle(_ jobs: [Job]) async throws {
        try await core.close(jobs) { lease, finish in
            SettleStatement(lease: lease, jobs: jobs, finish: finish)
        }
        core.context.metrics.settled.add(jobs.count)
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
