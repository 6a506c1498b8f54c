import JSON
import Observability
import Postgres
import Queue
import Records

/// Does the jobs of kind `run.replace`: puts a run's rows in the place of all that a dataset holds.
///
/// One transaction makes a new table, loads every chunk of the run into it, writes quarantine and ledger, drops the old
/// table, gives the new one its name, ends the run and settles the job. Readers see the old rows until it commits, and
/// wait at most ``lockTimeout`` at a time while it is about to, and so does who changes the dataset's definition: its
/// row is locked for the end only. Where the definition is another one by then, all begins anew. Whatever breaks it off
/// leaves nothing behind.
struct TableReplacement: JobHandler {
    static let changed = JobFailure(
        code: "dataset_changed", message: "the dataset has changed since the rows were made: start another run",
        isPermanent: true)
    static let unsettled = JobFailure(
        code: "dataset_changing", message: "the dataset was changed each time while its rows were loaded",
        retryAfter: .seconds(10))
    /// How often a table is made anew because the dataset has changed.
    static let beginnings = 3
    /// How long readers wait behind one attempt to lock the old table; and how often that is attempted, with as long a
    /// pause between.
    static let lockTimeout = Duration.milliseconds(500)
    static let lockAttempts = 240

    let pool: PostgresPool
    let tables: DatasetTables
    let wakeup: Wakeup
    let groupBytes: Int
    let metrics: LoadMetrics
    let logger: Logger

    func handle(_ jobs: [Job], lease: Lease) async {
        for job in jobs {
            do {
                guard let run = Self.run(job) else {
                    throw JobFailure(code: "invalid_arguments", message: "no run is named", isPermanent: true)
                }
                try await replace(run, job, lease)
            } catch let error as QueueError where error.code == .leaseLost {
                return
            } catch is RunsEnded {
                try? await lease.settle([job])
            } catch {
                let failure = JobFailure(error)
                logger.warning("a run could not replace a dataset", ["error": .describing(failure)])
                await lease.fail(job, failure)
            }
        }
        wakeup.notify("stored")
        wakeup.notify(DatasetChanges.queue)
    }

    func died(_ job: Job, error: JobFailure, on connection: PostgresConnection) async throws {
        guard let run = Self.run(job) else { return }
        try await connection.execute(GiveUpRun(run: run, error: error.description, job: job.id))
    }

    private static func run(_ job: Job) -> Int64? {
        (try? JSONValue.parse(job.arguments))?["run"]?.int.map(Int64.init)
    }

    private func replace(_ run: Int64, _ job: Job, _ lease: Lease) async throws {
        let find = FindReplacingRun(run: run)
        guard let replacing = try await pool.withConnection({ try await $0.query(find).first }) else {
            return try await lease.settle([job])
        }
        guard let datasetID = replacing.datasetID else { return try await end(run, job, lease) }
        let began = ContinuousClock.now
        for _ in 0..<Self.beginnings {
            do {
                let outcome = try await lease.transaction(settling: [job]) { connection in
                    try await self.replace(run, replacing, datasetID, job, lease, connection)
                }
                tables.forget(datasetID)
                metrics.loaded(outcome.loaded, chunks: outcome.chunks, bytes: outcome.bytes)
                metrics.seconds.observe(.now - began)
                return
            } catch is DefinitionMoved {
                logger.info(
                    "a dataset was changed while its rows were loaded: they are loaded again",
                    ["dataset": .string(replacing.dataset), "run.id": .int(Int(run))])
            }
        }
        throw Self.unsettled
    }

    /// Ends a run whose dataset is not there: none was made for the rows of a source that had none.
    private func end(_ run: Int64, _ job: Job, _ lease: Lease) async throws {
        try await lease.transaction(settling: [job]) { connection in
            guard try await connection.query(FindRunChunks(run: run)).isEmpty else { throw Self.changed }
            try await SliceLedger().finish([], run: run, connection)
        }
    }

    /// The dataset is not defined as the new table was made.
    private struct DefinitionMoved: Error {}

    private struct Outcome: Sendable {
        var loaded = GroupLoader.Outcome()
        var chunks = 0
        var bytes = 0
    }

    private func replace(
        _ run: Int64, _ replacing: ReplacingRun, _ datasetID: Int64, _ job: Job, _ lease: Lease,
        _ connection: PostgresConnection
    ) async throws -> Outcome {
        guard let target = try await Target(datasetID, locked: false, connection) else { throw Self.changed }
        try await checkObstacles(run, replacing, connection)
        let (shape, columns) = (target.shape, target.columns)
        let chunks = try await connection.query(FindRunChunks(run: run))
        var made = shape
        // No dataset's name holds a dot.
        made.name = "run.\(run)"
        for statement in TableDefinition.create(made, columns: columns) + [TableDefinition.grant(made)] {
            try await connection.query(statement)
        }
        let table = DatasetTable(
            datasetID: datasetID, schema: made.schema, name: made.name,
            applied: Dictionary(columns.map { ($0.name, $0.type) }, uniquingKeysWith: { first, _ in first }),
            keepsDeletions: false)
        let ledger = SliceLedger()
        guard chunks.allSatisfy({ $0.datasetID == datasetID }) else { throw Self.changed }
        if !chunks.isEmpty { try await ledger.begin(chunks, connection) }
        var outcome = Outcome()
        for group in ChunkGroup.groups(of: chunks.map { ChunkLoad(job: job, chunks: [$0]) }, limit: groupBytes) {
            for part in group.parts {
                guard table.takes(columns: part.key.columns, types: part.key.types) else { throw Self.changed }
                try await load(part, into: table, made, &outcome.loaded, connection)
            }
            outcome.chunks += group.chunks.count
            outcome.bytes += group.bytes
            await lease.report(Double(outcome.chunks) / Double(chunks.count), of: job)
        }
        try await connection.execute(
            DeleteEarlierQuarantine(datasetID: datasetID, pipelineID: replacing.pipelineID, run: run))
        let old = try await lock(target, connection)
        try await checkObstacles(run, replacing, connection)
        try await swap(old, for: made, connection)
        try await connection.execute(
            SetColumnStates(datasetID: datasetID, names: columns.map(\.name), state: .applied))
        try await connection.execute(MarkTableCreated(datasetID: datasetID))
        try await DatasetChanges(datasetID: datasetID).tableMade(connection)
        try await connection.execute(TouchDataset(datasetID: datasetID, endsRebuild: true))
        try await ledger.finish(chunks, run: run, connection)
        return outcome
    }

    private func load(
        _ part: ChunkGroup.Part, into table: DatasetTable, _ shape: DatasetShape,
        _ outcome: inout GroupLoader.Outcome, _ connection: PostgresConnection
    ) async throws {
        var rows = try await GroupRows(of: part.chunks, connection)
        if let rule = shape.partitioning {
            let places = try await GivenRows(part: part, rows: rows, rule: rule).places(rule)
            let made = try await TimePartitions.make(places.starts, of: shape, rule, connection)
            rows = await rows.sent(by: places, made.available)
        }
        let ready = GroupLoader.Part(table: table, key: part.key, chunks: part.chunks, rows: rows)
        let loader = GroupLoader(raws: RawRecords(), ledger: SliceLedger(), touchesDataset: false)
        try await loader.load(ready, &outcome, within: connection)
    }

    private func checkObstacles(
        _ run: Int64, _ replacing: ReplacingRun, _ connection: PostgresConnection
    ) async throws {
        let obstacle = FindReplacingObstacle(run: run, replacing: replacing)
        guard let reason = try await connection.query(obstacle).first else { return }
        throw JobFailure(code: "superseded", message: reason, isPermanent: true)
    }

    /// Locks the dataset's row, its rollups and its table until the transaction's end; gives the dataset as it is. All
    /// are let go and tried for again and again, so that nobody waits behind them for long. A rollup's step holds the
    /// rollup, and then needs the table: so who swaps has the rollups before the table, too. Throws ``DefinitionMoved``
    /// where the dataset is not what it was.
    private func lock(_ target: Target, _ connection: PostgresConnection) async throws -> DatasetShape {
        let timeout = Self.lockTimeout.milliseconds
        try await connection.query("set local lock_timeout = \(literal: "\(timeout)ms")")
        for attempt in 1...Self.lockAttempts {
            try await connection.query("savepoint swap")
            do {
                guard let found = try await Target(target.shape.id, locked: true, connection) else {
                    throw Self.changed
                }
                guard found.takes(rowsFor: target) else { throw DefinitionMoved() }
                try await connection.execute(LockRollups(datasetIDs: [found.shape.id]))
                if found.shape.hasTable {
                    // Each partition has a lock of its own: all are waited for no longer than one.
                    try await connection.query(
                        """
                        lock table \(identifier: found.shape.schema, found.shape.name) in access exclusive mode
                        """, timeout: Self.lockTimeout)
                }
                return found.shape
            } catch let error as PostgresError
                where (error.sqlstate == .lockNotAvailable || error.code == .timedOut) && attempt < Self.lockAttempts
            {
                try await connection.query("rollback to savepoint swap")
            }
            try await Task.sleep(for: Self.lockTimeout)
        }
        throw Self.unsettled
    }

    /// Puts the new table in the place of the old one. Both are locked.
    private func swap(_ old: DatasetShape, for made: DatasetShape, _ connection: PostgresConnection) async throws {
        if old.hasTable { try await connection.query("drop table \(identifier: old.schema, old.name)") }
        let deleted = DatasetTable.deletedName(old.name)
        try await connection.query("drop table if exists \(identifier: old.schema, deleted)")
        try await connection.execute(ForgetDeletions(datasetID: old.id))
        for statement in TableDefinition.rename(made, to: old.name) { try await connection.query(statement) }
        try await TimePartitions.rename(in: old.schema, of: old.name, from: made.name, connection)
    }
}

/// A dataset as a table is made for it.
private struct Target: Sendable {
    var shape: DatasetShape
    /// Those that a table has, or is to have.
    var columns: [CatalogColumn]

    /// Nil where the dataset was removed. Where it is `locked`, it stays so until the transaction's end.
    init?(_ datasetID: Int64, locked: Bool, _ connection: PostgresConnection) async throws {
        let found =
            locked
            ? try await connection.query(LockDatasetShape(datasetID: datasetID))
            : try await connection.query(FindDatasetShape(datasetID: datasetID))
        guard let shape = found.first else { return nil }
        self.shape = shape
        columns = try await connection.query(ListColumns(datasetID: datasetID)).filter { $0.state != .extra }
    }

    /// Whether a table that was made for `other` can be this dataset's.
    func takes(rowsFor other: Target) -> Bool {
        shape.schema == other.shape.schema && shape.name == other.shape.name
            && shape.primaryKey == other.shape.primaryKey
            && shape.partitioning?.column == other.shape.partitioning?.column
            && shape.partitioning?.grain == other.shape.partitioning?.grain
            && columns.map(\.form) == other.columns.map(\.form)
    }
}

extension CatalogColumn {
    /// What of a column a table shows.
    fileprivate var form: CatalogColumn {
        var form = self
        form.isDeclared = false
        form.state = .applied
        return form
    }
}
