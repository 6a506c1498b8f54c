public import Postgres

/// Gives each job of a claim to the handler of its kind; jobs of one kind stay together. A kind that nobody handles is
/// a dead letter at once: its message names it.
public struct KindDispatch: JobHandler {
    private let handlers: [String: any JobHandler]

    public init(_ handlers: [String: any JobHandler]) {
        self.handlers = handlers
    }

    public func handle(_ jobs: [Job], lease: Lease) async {
        var kinds: [(kind: String, jobs: [Job])] = []
        for job in jobs {
            if let place = kinds.firstIndex(where: { $0.kind == job.kind }) {
                kinds[place].jobs.append(job)
            } else {
                kinds.append((job.kind, [job]))
            }
        }
        for (kind, jobs) in kinds {
            if let handler = handlers[kind] {
                await handler.handle(jobs, lease: lease)
            } else {
                let message = "nobody here does jobs of kind \(kind)"
                await lease.fail(jobs, JobFailure(code: "unknown_kind", message: message, isPermanent: true))
            }
        }
    }

    public func died(_ job: Job, error: JobFailure, on connection: PostgresConnection) async throws {
        try await handlers[job.kind]?.died(job, error: error, on: connection)
    }
}
