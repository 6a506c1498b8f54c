import JSON
import Observability
import Postgres
import Queue

/// Does the jobs of kind `swap`: `{"run": id}`. What a run has filled takes the place of datasets' tables, what it
/// appends to others that of their rows, with the ledger and the quarantine of all that it has read again, in one
/// transaction.
///
/// Locks in this order: the rebuild, outputs, the datasets' rows, their tables, the run. Whatever breaks it off leaves
/// all as it was.
struct SwapHandler: JobHandler {
    static let tries = 5

    let pool: PostgresPool
    let tables: DatasetTables
    let wakeup: Wakeup
    let groupBytes: Int
    let metrics: LoadMetrics
    let logger: Logger

    private let runs = RebuildLedger(fillsShadow: false)

    init(
        pool: PostgresPool, tables: DatasetTables, wakeup: Wakeup, groupBytes: Int, metrics: LoadMetrics,
        logger: Logger
    ) {
        self.pool = pool
        self.tables = tables
        self.wakeup = wakeup
        self.groupBytes = groupBytes
        self.metrics = metrics
        self.logger = logger
    }

    func handle(_ jobs: [Job], lease: Lease) async {
        for job in jobs {
            do {
                guard let run = Self.run(job) else {
                    throw JobFailure(code: "invalid_arguments", message: "no run is named", isPermanent: true)
                }
                try await swap(run, job, lease)
                wakeup.notify("stored")
                wakeup.notify(DatasetChanges.queue)
            } catch is RunsEnded {
                // It was cancelled, or its time is over: what it has filled is dropped later.
                try? await lease.settle([job])
            } catch let error as QueueError where error.code == .leaseLost {
                return
            } catch {
                logger.warning("tables could not change places", ["error": .describing(error)])
                await lease.fail(job, JobFailure(error))
            }
        }
    }

    func died(_ job: Job, error: JobFailure, on connection: PostgresConnection) async throws {
        guard let run = Self.run(job) else { return }
        try await connection.execute(EndExchange(run: run, error: error.description, job: job.id))
        _ = try await connection.query(AdvanceRuns(runs: [run]))
    }

    private static func run(_ job: Job) -> Int64? {
        (try? JSONValue.parse(job.arguments))?["run"]?.int.map(Int64.init)
    }

    /// Where there was nothing to load into a dataset, nobody has made the table yet.
    private func prepare(_ run: Int64, _ job: Job) async throws {
        for rebuild in try await pool.withTransaction({ try await $0.query(LockRebuild(run: run)) })
        where !rebuild.isMade {
            let answer = try await tables.table(rebuild.datasetID, columns: [], types: [], attempt: Int(job.attempt))
            switch answer {
            case .table(let table): _ = try await tables.shadow(of: table, run: run)
            case .locked(let pause): throw JobFailure.tableLocked(pause)
            case .unfit, .gone: break
            }
        }
    }

    private func swap(_ run: Int64, _ job: Job, _ lease: Lease) async throws {
        try await prepare(run, job)
        for attempt in 1... {
            let appended = try await AppendedParts(run: run, job: job, pool: pool, tables, limit: groupBytes)
            do {
                let outcome = try await lease.transaction(settling: [job]) { connection in
                    try await self.swap(run, appended, job, lease, connection)
                }
                if outcome.chunks > 0 {
                    metrics.loaded(outcome.loaded, chunks: outcome.chunks, bytes: outcome.bytes)
                }
                return
            } catch let error as PostgresError
                where LoadHandler.isStaleTable(error) || error.sqlstate?.classCode == "40"
            {
                if attempt >= Self.tries { throw error }
                for dataset in appended.datasetIDs { tables.forget(dataset) }
            }
        }
    }

    private func swap(
        _ run: Int64, _ appended: AppendedParts, _ job: Job, _ lease: Lease, _ connection: PostgresConnection
    ) async throws -> AppendedParts.Outcome {
        let rebuilds = try await connection.query(LockRebuild(run: run))
        let datasets = rebuilds.map(\.datasetID)
        guard let first = rebuilds.first, Int(first.targets) == rebuilds.count, rebuilds.allSatisfy(\.isMade) else {
            throw JobFailure.rebuildOutdated
        }
        _ = try await connection.query(LockPartOutputs(run: run))
        try await connection.execute(EnsurePartOutputs(run: run))
        let count = CountPartOutputs(run: run, datasetIDs: datasets)
        guard let (outputs, areAllThere) = try await connection.query(count).first, areAllThere else {
            throw JobFailure.rebuildOutdated
        }
        try await appended.takeOut(beside: datasets, connection)
        let replace = ReplacePartOutputs(run: run)
        guard try await connection.execute(replace) == Int(outputs) else { throw JobFailure.rebuildOutdated }
        try await connection.execute(DropPartOutputs(run: run))
        let outcome = try await appended.append(connection) { await lease.report($0, of: job) }
        if outcome.hasLost { try await connection.execute(replace) }
        try await connection.execute(DeletePartQuarantine(run: run))
        try await connection.execute(MovePartQuarantine(run: run))
        try await TableExchange(datasetIDs: datasets).run(connection)
        for dataset in datasets {
            try await connection.execute(TouchDataset(datasetID: dataset, endsRebuild: false))
        }
        for dataset in outcome.datasets.sorted() {
            try await connection.execute(TouchDataset(datasetID: dataset, endsRebuild: true))
        }
        try await connection.execute(EndExchange(run: run, error: nil, job: nil))
        try await connection.execute(ForgetParts(run: run))
        try await runs.advance([run], connection)
        return outcome
    }
}
