import JSON
import Observability
import Postgres
import Queue
import Records

/// Into what a run cuts its table.
struct TableRunLimits: Sendable {
    /// About what a slice holds, in bytes of the table.
    var sliceBytes: Int64 = 8 << 20
    /// The most slices that a run begins with; of a larger table they are larger.
    var slices: Int64 = 100_000
    /// What a slice may hold, in bytes as COPY sends them, before it is cut again.
    var readBytes = 64 << 20
}

/// Does the jobs of kind `run.begin`: takes the snapshot that a run reads by, and cuts the table into slices.
struct TableBeginHandler: JobHandler {
    let pool: PostgresPool
    let wakeup: Wakeup
    let logger: Logger
    let limits: TableRunLimits

    func handle(_ jobs: [Job], lease: Lease) async {
        for job in jobs {
            do {
                try await begin(job, lease)
            } catch let error as QueueError where error.code == .leaseLost {
                return logger.warning("transform.lease_lost", ["jobs": .int(jobs.count)])
            } catch let refusal as TableRunRefusal {
                await lease.fail(
                    job, JobFailure(code: "refused", message: refusal.description, isPermanent: true))
            } catch {
                await lease.fail(job, JobFailure(error))
            }
        }
        wakeup.notify("transform")
        wakeup.notify("store")
    }

    func died(_ job: Job, error: JobFailure, on connection: PostgresConnection) async throws {
        guard let arguments = TableRunArguments(job) else { return }
        try await connection.execute(FailTableRun(run: arguments.run, error: error.description))
    }

    private func begin(_ job: Job, _ lease: Lease) async throws {
        guard let arguments = TableRunArguments(job) else { throw ReplayArguments.invalid }
        let find = FindTableRun(run: arguments.run)
        guard let run = try await pool.withConnection({ try await $0.query(find).first }),
            run.epoch == arguments.epoch, run.reading == nil
        else { return try await lease.settle([job]) }
        let definition = try PipelineDefinition.decode(JSONValue.parse(run.definition))
        guard case .dataset(let name) = definition.source else { throw TableRunRefusal.noPipeline }
        let pin = try await SnapshotPin.make(pool)
        do {
            let begun = try await lease.transaction(settling: [job]) { connection -> Bool in
                let hold = HoldSourceDataset(workspaceID: run.workspaceID, name: name)
                guard let dataset = try await connection.query(hold).first else {
                    throw TableRunRefusal.noDataset(name)
                }
                try await dataset.check(definition, workspaceID: run.workspaceID, connection)
                let begin = BeginTableRun(
                    run: run, table: dataset.table, columns: dataset.columns, pin: pin,
                    sliceBytes: limits.sliceBytes, sliceLimit: limits.slices)
                return try await connection.query(begin).first.flatMap(\.self) != nil
            }
            if !begun { await end(pin) }
        } catch {
            await end(pin)
            throw error
        }
    }

    private func end(_ pin: SnapshotPin) async {
        // If this fails, the pin ends by itself.
        _ = try? await pool.withConnection { try await $0.execute(EndPin(pin: pin)) }
    }
}

/// Does the jobs of kind `run.slice`: reads slices of a run's table and transforms them. What they become waits in
/// chunks, which store gets once every slice is read; nothing that anybody sees changes before.
///
/// A job works for about ``turn`` and puts back what it has not got to, so that all workers take part, and what comes
/// in does not wait behind it.
struct TableSliceHandler: JobHandler {
    static let turn = Duration.seconds(1)
    /// Into how many parts a slice is cut that holds too much.
    static let parts: Int32 = 8

    let pool: PostgresPool
    let pipelines: PipelineCache
    let transformer: BatchTransformer
    let wakeup: Wakeup
    let logger: Logger
    let metrics: TransformMetrics
    let limits: TableRunLimits

    func handle(_ jobs: [Job], lease: Lease) async {
        for job in jobs {
            do {
                guard let arguments = TableRunArguments(job), let ordinals = arguments.ordinals else {
                    throw ReplayArguments.invalid
                }
                try await work(arguments, ordinals, job, lease)
            } catch let error as QueueError where error.code == .leaseLost {
                return logger.warning("transform.lease_lost", ["jobs": .int(jobs.count)])
            } catch {
                await lease.fail(job, JobFailure(error))
            }
        }
    }

    func died(_ job: Job, error: JobFailure, on connection: PostgresConnection) async throws {
        guard let arguments = TableRunArguments(job), let ordinals = arguments.ordinals else { return }
        let find = FindTableRun(run: arguments.run)
        guard try await connection.query(find).first?.epoch == arguments.epoch else { return }
        try await connection.execute(
            GiveUpTransforming(run: arguments.run, ordinals: ordinals, error: error.description, job: job.id))
        _ = try await connection.query(AdvanceRuns(runs: [arguments.run]))
    }

    private func work(_ arguments: TableRunArguments, _ ordinals: Range<Int32>, _ job: Job, _ lease: Lease) async throws
    {
        let until = ContinuousClock.now + Self.turn
        let find = FindTableRun(run: arguments.run)
        let slices = FindSlices(run: arguments.run, ordinals: ordinals)
        let (found, waiting) = try await pool.withConnection { connection in
            (try await connection.query(find).first, try await connection.query(slices))
        }
        guard let run = found, run.epoch == arguments.epoch, var reading = run.reading else {
            try await pool.withConnection { _ = try await $0.execute(ExpireRun(run: arguments.run)) }
            return try await lease.settle([job])
        }
        var failures: [any Error] = []
        var firstFailed: Int32?
        for (place, slice) in waiting.enumerated() {
            // What is read of these is not read again.
            let rest = (firstFailed ?? slice.ordinal)..<ordinals.upperBound
            if place > 0, failures.isEmpty, ContinuousClock.now >= until {
                return try await putBack(rest, run, job, lease)
            }
            do {
                reading = try await keep(reading, run)
                try await read(slice, run, reading, lease)
            } catch let error as QueueError where error.code == .leaseLost {
                throw error
            } catch is SnapshotPin.Lost {
                return try await beginAnew(rest, run, reading.pin, job, lease)
            } catch is TableReader.TooMuch {
                let split = SplitSlice(run: run.id, slice: slice, parts: Self.parts)
                _ = try await lease.transaction(settling: []) { try await $0.query(split) }
                return try await putBack(rest, run, job, lease)
            } catch {
                firstFailed = firstFailed ?? slice.ordinal
                failures.append(error)
            }
        }
        // What can be tried again decides: only when nothing is left of that is the job given up.
        if let error = failures.first(where: { ($0 as? JobFailure)?.isPermanent != true }) ?? failures.first {
            throw error
        }
        try await lease.settle([job])
    }

    private func putBack(_ rest: Range<Int32>, _ run: TableRun, _ job: Job, _ lease: Lease) async throws {
        let statement = PutBackSlices(run: run.id, epoch: run.epoch, ordinals: rest)
        try await lease.transaction(settling: [job]) { _ = try await $0.query(statement) }
        wakeup.notify("transform")
    }

    /// Begins the run anew; only where another worker has moved the snapshot meanwhile are the slices put back.
    private func beginAnew(
        _ rest: Range<Int32>, _ run: TableRun, _ pin: SnapshotPin, _ job: Job, _ lease: Lease
    ) async throws {
        let restart = RestartTableRun(run: run.id, epoch: run.epoch, pin: pin)
        let putBack = PutBackSlices(run: run.id, epoch: run.epoch, ordinals: rest)
        let isLost = try await lease.transaction(settling: [job]) { connection in
            let isLost = try await connection.query(restart).first ?? true
            if !isLost { _ = try await connection.query(putBack) }
            return isLost
        }
        if isLost { logger.warning("a run's snapshot is lost: it begins anew", ["run.id": .int(Int(run.id))]) }
        wakeup.notify("transform")
    }

    /// The run's snapshot, which is given to another process to keep when the time of the one that has it is running
    /// out. Errors: ``SnapshotPin/Lost``, also where another worker does so at the same time.
    private func keep(_ reading: TableReading, _ run: TableRun) async throws -> TableReading {
        guard reading.isDue else { return reading }
        let pin = try await SnapshotPin.make(keeping: reading.pin, pool)
        let move = MovePin(run: run.id, epoch: run.epoch, old: reading.pin, new: pin)
        let moved = try await pool.withConnection { connection -> Bool in
            let moved = try await connection.execute(move) == 1
            try await connection.execute(EndPin(pin: moved ? reading.pin : pin))
            return moved
        }
        guard moved else { throw SnapshotPin.Lost() }
        return TableReading(columns: reading.columns, pin: pin, isDue: false)
    }

    private func read(_ slice: TableSlice, _ run: TableRun, _ reading: TableReading, _ lease: Lease) async throws {
        var input = TransformInput(
            batchID: slice.batchID, pipelineID: run.pipelineID, pipeline: "", workspaceID: run.workspaceID, source: "",
            version: run.version, definition: run.definition, receiptEnds: [], rawBytes: 0,
            receivedAt: run.createdAt, isOpen: true)
        let pipeline = try await pipelines.pipeline(input, over: reading.columns)
        let rows = try await TableReader(pool: pool, byteLimit: limits.readBytes).read(
            slice, reading, keepsBytes: try await transformer.mayBeRefused(by: pipeline, input.workspaceID))
        input.rawBytes = Int64(rows.bytes)
        let batch = try await transformer.transform(input, pipeline, rows.batch, count: rows.batch.rowCount) { row in
            var text: [UInt8] = []
            TableRecord.append(rows.batch, Int(row), into: &text)
            return text
        }
        // A pipeline that reads a dataset has one.
        guard let output = batch.outputs.first else {
            throw JobFailure(code: "no_output", message: "the pipeline has no output", isPermanent: true)
        }
        let nothing = try Zstd.compress([])
        let source = output.chunk == nil ? nil : try rows.copied.map { try Zstd.compress($0) }
        try await lease.transaction(settling: []) { connection in
            let chunk = try await connection.query(NextChunkIDs(count: 1))[0]
            let mark = MarkRead(
                run: run.id, slice: slice, chunk: chunk, readBytes: Int64(rows.bytes), ledger: output.application)
            guard try await connection.execute(mark) == 1 else {
                throw JobFailure(
                    code: "overtaken", message: "a slice was read meanwhile", retryAfter: .milliseconds(50))
            }
            try await connection.execute(
                InsertReplacement(
                    id: chunk, run: run.id, ordinal: slice.ordinal, output: output, faults: batch.quarantined,
                    tried: nil, source: source, emptyBody: nothing))
            let ended = try await connection.query(AdvanceRuns(runs: [run.id])).first ?? []
            guard ended.isEmpty else {
                throw JobFailure(code: "ended", message: "the run has ended", retryAfter: .milliseconds(50))
            }
        }
        wakeup.notify("store")
        metrics.transformed([batch])
    }
}

/// What a job of a run from table to table is about.
struct TableRunArguments: Sendable {
    var run: Int64
    var epoch: Int32
    /// Of a job over slices.
    var ordinals: Range<Int32>?

    /// Nil when the job's arguments are not those of such a run.
    init?(_ job: Job) {
        guard let value = try? JSONValue.parse(job.arguments), let run = value["run"]?.int,
            let epoch = value["epoch"]?.int.flatMap(Int32.init(exactly:))
        else { return nil }
        self.run = Int64(run)
        self.epoch = epoch
        guard let items = job.items, let first = value["first"]?.int.flatMap(Int32.init(exactly:)),
            case (let low, false) = first.addingReportingOverflow(items.lowerBound),
            case (let high, false) = first.addingReportingOverflow(items.upperBound)
        else { return }
        ordinals = low..<high
    }
}
