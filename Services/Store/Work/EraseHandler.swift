import Expressions
import JSON
import Observability
import Postgres
import Queue

/// Does the jobs of kind `erase`: batch by batch, each in one transaction, and at last the rows of which nothing else
/// is kept. A job that is repeated goes on where it stood.
struct EraseHandler: JobHandler {
    static let pause = Duration.seconds(1)

    let pool: PostgresPool
    let wakeup: Wakeup
    let logger: Logger

    func handle(_ jobs: [Job], lease: Lease) async {
        for job in jobs {
            do {
                guard let run = Self.run(job) else {
                    throw JobFailure(code: "invalid_arguments", message: "no run is named", isPermanent: true)
                }
                try await erase(run, job, lease)
            } catch is RunsEnded {
                try? await lease.settle([job])
            } catch let error as QueueError where error.code == .leaseLost {
                return
            } catch {
                // Never the condition: it names who is to be forgotten.
                logger.warning("an erasure could not go on", ["error": .describing(JobFailure(error).code)])
                await lease.fail(job, JobFailure(error))
            }
        }
        wakeup.notify("stored")
        wakeup.notify(DatasetChanges.queue)
    }

    func died(_ job: Job, error: JobFailure, on connection: PostgresConnection) async throws {
        guard let run = Self.run(job) else { return }
        try await connection.execute(GiveUpErasure(run: run, error: error.description, job: job.id))
        _ = try await connection.query(AdvanceRuns(runs: [run]))
    }

    private static func run(_ job: Job) -> Int64? {
        (try? JSONValue.parse(job.arguments))?["run"]?.int.map(Int64.init)
    }

    private struct Found: Sendable {
        var erasure: Erasure
        var columns: [CatalogColumn]
        var versions: [FindFeedingVersions.Version]
    }

    private func erase(_ run: Int64, _ job: Job, _ lease: Lease) async throws {
        let find = FindErasure(run: run)
        let found = try await pool.withConnection { connection -> Found? in
            guard let erasure = try await connection.query(find).first else { return nil }
            return Found(
                erasure: erasure, columns: try await connection.query(ListColumns(datasetID: erasure.datasetID)),
                versions: try await connection.query(FindFeedingVersions(datasetID: erasure.datasetID)))
        }
        guard let found else {
            return try await lease.transaction(settling: [job]) { _ = try await $0.execute(EndErasure(run: run)) }
        }
        let (erasure, all) = (found.erasure, found.columns)
        let condition: ErasureCondition
        do {
            condition = try ErasureCondition(
                erasure.condition, of: erasure.table == nil ? all : all.filter { $0.state == .applied })
        } catch {
            throw JobFailure(
                code: "invalid_expression", message: "the dataset has other columns now: start another erasure",
                isPermanent: true)
        }
        let names = FieldNames(found.versions, of: erasure.dataset, columns: condition.fields)
        let work = BatchErasure(erasure: erasure, condition: condition, names: names)
        if try await eraseBatches(work, lease) > 0 {
            throw JobFailure(
                code: "batches_in_use", message: "batches are still being worked on", retryAfter: Self.pause)
        }
        try await lease.transaction(settling: [job]) { connection in
            try await connection.query("set local timezone = 'UTC'")
            let counts = try await work.runRows(connection)
            let last = PostgresQuery(
                unsafeText: "select ordinal from millrace.run_batch where run = $1 and batch = 0", [.int8(run)])
            let ordinal = try await connection.query(last)[0].int4(0)
            try await connection.execute(CountErased(run: run, ordinal: ordinal, counts: counts))
            try await advance(run, connection)
            try await connection.execute(EndErasure(run: run))
        }
    }

    /// Gives how many batches have to wait.
    private func eraseBatches(_ work: BatchErasure, _ lease: Lease) async throws -> Int {
        let run = work.erasure.run
        var (after, waiting) = (Int32(-1), 0)
        while true {
            let next = FindErasureBatches(run: run, after: after)
            let batches = try await pool.withConnection { try await $0.query(next) }
            guard let last = batches.last else { return waiting }
            for batch in batches {
                let isDone = try await lease.transaction(settling: []) { connection in
                    try await connection.query("set local timezone = 'UTC'")
                    guard let counts = try await work.run(batch, connection) else { return false }
                    try await connection.execute(
                        CountErased(run: run, ordinal: batch.ordinal, counts: counts))
                    try await advance(run, connection)
                    return true
                }
                if !isDone { waiting += 1 }
            }
            after = last.ordinal
        }
    }

    private func advance(_ run: Int64, _ connection: PostgresConnection) async throws {
        let ended = try await connection.query(AdvanceRuns(runs: [run])).first ?? []
        guard ended.isEmpty else { throw RunsEnded(runs: ended) }
    }
}
