import JSON
import Observability
import Postgres
import Queue
import Records

/// Does the jobs of kinds `run.replay` and `run.heal`: transforms a range of a run's batches again, or what is
/// quarantined of them, under the version that the run is bound to, and hands to store what became of them. Nothing
/// that anybody sees changes here. Of a dry run they are compared with what there is.
///
/// The batches of a job are worked on in groups of bounded size. What is done of a job that is then repeated is not
/// done again: a batch of the run moves on in the transaction that makes its chunk.
struct ReplayHandler: JobHandler {
    let pool: PostgresPool
    let kind: RunKind
    let pipelines: PipelineCache
    let transformer: BatchTransformer
    let wakeup: Wakeup
    let logger: Logger
    let metrics: TransformMetrics

    func handle(_ jobs: [Job], lease: Lease) async {
        for job in jobs {
            do {
                guard let arguments = ReplayArguments(job) else { throw ReplayArguments.invalid }
                try await replay(arguments, job, lease)
            } catch is RunEnded {
                try? await lease.settle([job])
            } catch let error as QueueError where error.code == .leaseLost {
                return logger.warning("transform.lease_lost", ["jobs": .int(jobs.count)])
            } catch {
                await lease.fail(job, JobFailure(error))
                wakeup.notify(Topic.stored)
            }
        }
    }

    func died(_ job: Job, error: JobFailure, on connection: PostgresConnection) async throws {
        guard let arguments = ReplayArguments(job) else { return }
        try await connection.execute(
            GiveUpTransforming(
                run: arguments.run, ordinals: arguments.ordinals, error: error.description, job: job.id))
        _ = try await connection.query(AdvanceRuns(runs: [arguments.run]))
    }

    private func replay(_ arguments: ReplayArguments, _ job: Job, _ lease: Lease) async throws {
        let statement = FindReplayInputs(run: arguments.run, ordinals: arguments.ordinals)
        let inputs = try await pool.withConnection { connection in
            let inputs = try await connection.query(statement)
            if inputs.isEmpty { try await connection.execute(ExpireRun(run: arguments.run)) }
            return inputs
        }
        var failures: [any Error] = []
        for group in TransformHandler.grouped(inputs, by: \.input.rawBytes) {
            do {
                try await replay(group, arguments.run, lease)
            } catch let error as QueueError where error.code == .leaseLost {
                throw error
            } catch let error as RunEnded {
                throw error
            } catch  where group.count > 1 {
                failures += try await replayOneByOne(group, arguments.run, lease)
            } catch {
                failures.append(error)
            }
        }
        // What can be tried again decides: only when nothing is left of that is the job given up.
        if let error = failures.first(where: { ($0 as? JobFailure)?.isPermanent != true }) ?? failures.first {
            throw error
        }
        try await lease.settle([job])
    }

    private func replayOneByOne(_ group: [ReplayInput], _ run: Int64, _ lease: Lease) async throws -> [any Error] {
        var failures: [any Error] = []
        for item in group {
            do {
                try await replay([item], run, lease)
            } catch let error as QueueError where error.code == .leaseLost {
                throw error
            } catch let error as RunEnded {
                throw error
            } catch {
                failures.append(error)
            }
        }
        return failures
    }

    /// Transforms a group, and moves it on in one transaction under the lease; the job stays open.
    private func replay(_ group: [ReplayInput], _ run: Int64, _ lease: Lease) async throws {
        let records = try await RunRecords(pool: pool, kind: kind).find(group, of: run)
        var transformed: [ReplayedBatch] = []
        for item in group {
            guard let given = records[item.ordinal] else { continue }
            let pipeline = try await pipeline(of: item.input, given)
            var batch = try await transformer.transform(item.input, pipeline, given, isDry: item.isDry)
            if let outputs = item.outputs { batch.keep(outputs) }
            transformed.append(
                ReplayedBatch(
                    ordinal: item.ordinal, batchID: item.input.batchID, batch: batch, outputs: pipeline.outputs,
                    isWhole: item.outputs == nil))
        }
        let (batches, isFirst) = (transformed, group.contains(where: \.isFirst))
        let left = group.filter { records[$0.ordinal] == nil }.map(\.ordinal)
        let job = kind.storeJob(rebuilds: group[0].rebuilds)
        let (nothing, isDry) = (try Zstd.compress([]), group[0].isDry)
        // Others read again what of them lies beside the replayed pipeline's rows.
        let input = (group.first { $0.outputs == nil } ?? group[0]).input
        try await lease.transaction(settling: []) { connection in
            if !left.isEmpty { try await connection.execute(LeaveBatches(run: run, ordinals: left)) }
            if isDry {
                let dry = DryReplay(run: run, workspaceID: input.workspaceID, pipelineID: input.pipelineID)
                if !batches.isEmpty { try await dry.compare(batches, emptyBody: nothing, connection) }
                let ended = try await connection.query(AdvanceRuns(runs: [run])).first ?? []
                guard ended.isEmpty else { throw RunEnded() }
                return
            }
            let mark = MarkTransformed(run: run, ordinals: batches.map(\.ordinal))
            guard try await connection.execute(mark) == batches.count else {
                throw Self.overtaken
            }
            if !batches.isEmpty {
                let count = batches.reduce(0) { $0 + $1.batch.outputs.count }
                let ids = try await connection.query(NextChunkIDs(count: Int32(count)))
                let chunks = Self.replacements(batches, of: run, ids, emptyBody: nothing)
                let work = EnqueueReplacements(workspaceID: input.workspaceID, kind: job, chunks: chunks)
                try await connection.run(chunks + [work])
            }
            // Only the first ones, and what may be the last, lock the run: what matters is asked again where rows are
            // stored.
            if isFirst || !left.isEmpty { _ = try await connection.query(AdvanceRuns(runs: [run])) }
        }
        wakeup.notify(isDry ? "transform" : "store")
        metrics.transformed(batches.map(\.batch))
    }

    private func pipeline(of input: TransformInput, _ given: BatchRecords) async throws -> BoundPipeline {
        do {
            return try await pipelines.pipeline(input, over: given.columns)
        } catch let faults as FieldFaults where given.columns != nil {
            let reasons = faults.faults.map(\.description).joined(separator: "; ")
            throw JobFailure(
                code: "unfit",
                message: "version \(input.version) of the pipeline does not fit the dataset that the records of batch "
                    + "\(input.batchID) were read from: \(reasons)",
                isPermanent: true)
        }
    }

    static let overtaken = JobFailure(
        code: "overtaken", message: "a batch was transformed meanwhile", retryAfter: .milliseconds(50))

    private static func replacements(
        _ batches: [ReplayedBatch], of run: Int64, _ ids: [Int64], emptyBody: [UInt8]
    ) -> [InsertReplacement] {
        let outputs = batches.flatMap { given in
            given.batch.outputs.map { output in
                let faults = given.batch.quarantined.filter { $0.output == output.application.output }
                return (given.ordinal, output, faults, given.batch.chosen)
            }
        }
        return zip(ids, outputs).map { id, entry in
            InsertReplacement(
                id: id, run: run, ordinal: entry.0, output: entry.1, faults: entry.2, tried: entry.3,
                source: nil, emptyBody: emptyBody)
        }
    }
}

/// What a replay's job is about: batches of a run, by their ordinals, `first` and `count`.
struct ReplayArguments: Sendable {
    static let invalid = JobFailure(
        code: "invalid_arguments", message: "no run is named, or no batches of it", isPermanent: true)

    var run: Int64
    var ordinals: Range<Int32>

    /// Nil when the job's arguments are not those of a replay.
    init?(_ job: Job) {
        guard let value = try? JSONValue.parse(job.arguments), let run = value["run"]?.int else { return nil }
        self.run = Int64(run)
        guard let first = value["first"]?.int.flatMap(Int32.init(exactly:)),
            let count = value["count"]?.int.flatMap(Int32.init(exactly:)), first >= 0, count >= 0,
            case (let end, false) = first.addingReportingOverflow(count)
        else { return nil }
        ordinals = first..<end
    }
}
