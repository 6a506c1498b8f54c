public import Postgres

/// What does a queue's jobs.
public protocol JobHandler: Sendable {
    /// Does jobs that were claimed together, and settles each by `lease.transaction`, `lease.settle` or `lease.fail`;
    /// it may group them into transactions as it likes. Jobs left open when it returns have failed and are retried.
    /// Runs off the event loops, on several groups at a time.
    func handle(_ jobs: [Job], lease: Lease) async

    /// Called in the transaction that makes the job a dead letter. If it throws, the job is tried again later:
    /// this method only, not `handle`. May be called for a job whose process never came to handle it.
    func died(_ job: Job, error: JobFailure, on connection: PostgresConnection) async throws
}

extension JobHandler {
    public func died(_ job: Job, error: JobFailure, on connection: PostgresConnection) async throws {}
}
