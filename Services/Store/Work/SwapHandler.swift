import JSON
import Observability
import Postgres
import Queue

/// Does the jobs of kind `swap`: `{"run": id}`. What a run has filled takes the place of a dataset's table, with the
/// ledger and the quarantine of all that it has read again, in one transaction. Readers wait for a moment, those who
/// read already are waited for, no longer than `lockTimeout` at a time.
struct SwapHandler: JobHandler {
    static let lockTimeout = Duration.seconds(2)
    static let tries = 5

    let pool: PostgresPool
    let tables: DatasetTables
    let wakeup: Wakeup
    let logger: Logger
    private let runs = RebuildLedger()

    init(pool: PostgresPool, tables: DatasetTables, wakeup: Wakeup, logger: Logger) {
        self.pool = pool
        self.tables = tables
        self.wakeup = wakeup
        self.logger = logger
    }

    func handle(_ jobs: [Job], lease: Lease) async {
        for job in jobs {
            do {
                guard let run = Self.run(job) else {
                    throw JobFailure(code: "invalid_arguments", message: "no run is named", isPermanent: true)
                }
                try await prepare(run, job)
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

    /// Where there was nothing to load, nobody has made the table yet.
    private func prepare(_ run: Int64, _ job: Job) async throws {
        let found = try await pool.withTransaction { try await $0.query(LockRebuild(run: run)).first }
        guard let rebuild = found, !rebuild.isMade else { return }
        let answer = try await tables.table(
            rebuild.datasetID, columns: [], types: [], attempt: Int(job.attempt))
        switch answer {
        case .table(let table): _ = try await tables.shadow(of: table, run: run)
        case .locked(let pause): throw JobFailure.tableLocked(pause)
        case .unfit, .gone: break
        }
    }

    private func swap(_ run: Int64, _ job: Job, _ lease: Lease) async throws {
        var pause = Duration.milliseconds(200)
        for attempt in 1... {
            do {
                return try await lease.transaction(settling: [job]) { try await self.swap(run, $0) }
            } catch let error as PostgresError
                where error.sqlstate == .lockNotAvailable || error.sqlstate?.classCode == "40"
            {
                if attempt >= Self.tries { throw error }
            }
            try await Task.sleep(for: pause)
            pause *= 2
        }
    }

    private func swap(_ run: Int64, _ connection: PostgresConnection) async throws {
        guard let rebuild = try await connection.query(LockRebuild(run: run)).first, rebuild.isMade else {
            throw JobFailure.rebuildOutdated
        }
        let outputs = try await connection.query(CountPartOutputs(run: run)).first ?? 0
        try await connection.execute(EnsurePartOutputs(run: run))
        let replace = ReplacePartOutputs(run: run, datasetID: rebuild.datasetID)
        guard try await connection.execute(replace) == Int(outputs) else { throw JobFailure.rebuildOutdated }
        try await connection.execute(DeletePartQuarantine(run: run))
        try await connection.execute(MovePartQuarantine(run: run, datasetID: rebuild.datasetID))
        try await connection.query("set local lock_timeout = \(literal: "\(Self.lockTimeout.milliseconds)ms")")
        guard let shape = try await connection.query(LockDatasetShape(datasetID: rebuild.datasetID)).first else {
            throw JobFailure.rebuildOutdated
        }
        // A step of one holds it, and then needs the table.
        try await connection.execute(LockRollups(datasetID: rebuild.datasetID))
        try await exchange(shape, connection)
        try await DatasetChanges(datasetID: rebuild.datasetID).tableMade(connection)
        try await connection.execute(EndExchange(run: run, error: nil, job: nil))
        try await connection.execute(ForgetParts(run: run))
        try await connection.execute(TouchDataset(datasetID: rebuild.datasetID, endsRebuild: false))
        try await runs.advance([run], connection)
    }

    private func exchange(_ shape: DatasetShape, _ connection: PostgresConnection) async throws {
        try await connection.query(
            "lock table \(identifier: shape.schema, shape.name) in access exclusive mode")
        let names = [(shape.name, shape.shadow.name, ["key", "batch"])]
        let deleted = [
            (DatasetTable.deletedName(shape.name), DatasetTable.deletedName(shape.shadow.name), ["key", "at"])
        ]
        try await connection.query(TableDefinition.grant(shape.shadow))
        for (old, new, indexes) in names + (shape.keepsDeletions ? deleted : []) {
            try await connection.query("drop table \(identifier: shape.schema, old)")
            try await connection.query("alter table \(identifier: shape.schema, new) rename to \(identifier: old)")
            for index in indexes {
                try await connection.query(
                    """
                    alter index \(identifier: shape.schema, "\(new).\(index)")
                    rename to \(identifier: "\(old).\(index)")
                    """)
            }
            try await TimePartitions.rename(in: shape.schema, of: old, from: new, connection)
        }
    }
}
