import JSON
import Observability
import Postgres
import Queue

/// Does the jobs of kind `transform`: a batch under a pipeline.
///
/// The jobs of a claim are worked on in groups of bounded size; each group ends in one transaction that writes chunks,
/// quarantine, ledger and the next jobs, and settles the group's jobs. A group that fails is tried job by job, so that
/// one bad batch does not hold up its neighbours.
struct TransformHandler: JobHandler {
    /// What a group may hold, in raw bytes of its batches.
    static let groupBytes: Int64 = 8 << 20

    let pool: PostgresPool
    let pipelines: PipelineCache
    let transformer: BatchTransformer
    let wakeup: Wakeup
    let logger: Logger
    let metrics: TransformMetrics

    private struct Work: Sendable {
        var job: Job
        var input: TransformInput
    }

    func handle(_ jobs: [Job], lease: Lease) async {
        do {
            for group in Self.grouped(try await lookUp(jobs, lease), by: \.input.rawBytes) {
                await handle(group, lease)
            }
        } catch {
            await lease.fail(jobs, JobFailure(error))
        }
    }

    func died(_ job: Job, error: JobFailure, on connection: PostgresConnection) async throws {
        guard let arguments = TransformArguments(job) else { return }
        try await connection.execute(
            FailApplication(
                batchID: arguments.batch, pipelineID: arguments.pipeline, error: "\(error)"))
        wakeup.notify(Topic.stored)
    }

    /// What the jobs work on. Those with nothing to do any more are settled at once.
    private func lookUp(_ jobs: [Job], _ lease: Lease) async throws -> [Work] {
        let arguments = jobs.map(TransformArguments.init)
        let known = zip(jobs, arguments).compactMap { job, arguments in arguments.map { (job, $0) } }
        let statement = FindTransformInputs(batches: known.map(\.1.batch), pipelines: known.map(\.1.pipeline))
        let found = try await pool.withConnection { try await $0.query(statement) }
        let inputs = Dictionary(
            found.map { (TransformArguments(batch: $0.batchID, pipeline: $0.pipelineID), $0) },
            uniquingKeysWith: { first, _ in first })
        var work: [Work] = []
        var done: [Job] = []
        for (job, arguments) in zip(jobs, arguments) {
            guard let arguments else {
                await lease.fail(job, JobFailure(code: "invalid_arguments", message: "no batch", isPermanent: true))
                continue
            }
            if let input = inputs[arguments], input.isOpen {
                work.append(Work(job: job, input: input))
            } else {
                done.append(job)
            }
        }
        if !done.isEmpty { try await lease.settle(done) }
        return work
    }

    /// Cuts items into groups of at most ``groupBytes``, or of one.
    static func grouped<Item>(_ items: [Item], by rawBytes: (Item) -> Int64) -> [[Item]] {
        var groups: [[Item]] = []
        var bytes: Int64 = 0
        for item in items {
            if groups.isEmpty || bytes + rawBytes(item) > groupBytes {
                groups.append([])
                bytes = 0
            }
            groups[groups.count - 1].append(item)
            bytes += rawBytes(item)
        }
        return groups
    }

    private func handle(_ group: [Work], _ lease: Lease) async {
        do {
            try await transform(group, lease)
        } catch let error as QueueError where error.code == .leaseLost {
            logger.warning("transform.lease_lost", ["jobs": .int(group.count)])
        } catch  where group.count > 1 {
            for item in group { await handle([item], lease) }
        } catch {
            for item in group { await lease.fail(item.job, JobFailure(error)) }
        }
    }

    private func transform(_ group: [Work], _ lease: Lease) async throws {
        let began = ContinuousClock.now
        let statement = FindPayloads(batches: group.map(\.input.batchID))
        let rows = try await pool.withConnection { try await $0.query(statement) }
        let payloads = Dictionary(rows, uniquingKeysWith: { first, _ in first })
        var results: [TransformedBatch] = []
        for item in group {
            guard let payload = payloads[item.input.batchID] else {
                throw JobFailure(code: "raw_expired", message: "the batch's raw bytes have expired", isPermanent: true)
            }
            let pipeline = try await pipelines.pipeline(item.input)
            guard !item.input.isRepeated || !pipeline.hasLookups || pipeline.outputs.count == 1 else {
                throw Self.repeatedLookup(item.input.batchID)
            }
            var result = try await transformer.transform(item.input, pipeline, payload: payload)
            let trace = item.job.recordedTrace
            for place in result.outputs.indices { result.outputs[place].chunk?.trace = trace }
            results.append(result)
        }
        let transformed = results
        try await lease.transaction(settling: group.map(\.job)) { connection in
            try await Self.enter(transformed, connection)
            var statements: [any PostgresStatement] = []
            let quarantined = transformed.flatMap(\.quarantined)
            if !quarantined.isEmpty { statements.append(InsertQuarantine(records: quarantined)) }
            statements += InsertChunks.grouped(transformed.flatMap(\.outputs).compactMap(\.chunk))
            try await connection.run(statements)
        }
        let outputs = transformed.flatMap(\.outputs)
        if outputs.contains(where: { $0.chunk != nil }) { wakeup.notify("store") }
        if outputs.contains(where: \.application.isFinished) { wakeup.notify(Topic.stored) }
        metrics.transformed(transformed)
        metrics.worked(.now - began, on: group.map(\.input.rawBytes))
    }

    /// A record may go elsewhere this time, and rows of the first time be stored still: it would be lost or come twice.
    private static func repeatedLookup(_ batch: Int64) -> JobFailure {
        JobFailure(
            code: "lookup_repeated",
            message: "the batch was transformed before, and its lookups may find other rows now: replay batch \(batch)",
            isPermanent: true)
    }

    /// Writes the outputs into the ledger; nobody else writes those of these batches until the transaction has ended.
    /// Each batch's first output is locked first, as a replay does.
    private static func enter(_ batches: [TransformedBatch], _ connection: PostgresConnection) async throws {
        let standing = batches.compactMap(\.standing)
        if !standing.isEmpty {
            try check(try await connection.execute(HoldOutputs(outputs: standing)), standing.count)
        }
        let updates = batches.flatMap(\.outputs).map(\.application)
        let first = updates.filter { $0.output == 0 }
        if !first.isEmpty { try check(try await connection.execute(UpdateApplications(updates: first)), first.count) }
        let repeated = batches.filter(\.isRepeated)
        if !repeated.isEmpty { try await connection.execute(ForgetOutputs(batches: repeated)) }
        let others = updates.filter { $0.output > 0 }
        if !others.isEmpty {
            try check(try await connection.execute(InsertApplications(updates: others)), others.count)
        }
    }

    private static func check(_ affected: Int, _ expected: Int) throws(JobFailure) {
        guard affected == expected else {
            throw JobFailure(code: "overtaken", message: "an output was made meanwhile", retryAfter: .milliseconds(50))
        }
    }
}

/// What wake-ups are named that are not a queue's.
enum Topic {
    /// Outputs have been stored or have failed: receipts may be finished.
    static let stored = "stored"
}

/// A transform job's arguments.
struct TransformArguments: Hashable, Sendable {
    var batch: Int64
    var pipeline: Int64

    init(batch: Int64, pipeline: Int64) {
        self.batch = batch
        self.pipeline = pipeline
    }

    /// Nil when the job's arguments are not those of a transform job.
    init?(_ job: Job) {
        guard let value = try? JSONValue.parse(job.arguments), let batch = value["batch"]?.int,
            let pipeline = value["pipeline"]?.int
        else { return nil }
        self.init(batch: Int64(batch), pipeline: Int64(pipeline))
    }
}
