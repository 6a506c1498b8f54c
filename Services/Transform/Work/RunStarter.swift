import JSON
import Postgres

/// A replay as it is asked for.
struct ReplayRequest: Sendable {
    enum Batches: Sendable {
        /// Received in a span of time: µs since 2000-01-01 UTC, the end not within.
        case received(Range<Int64>)
        case named([Int64])
    }

    var batches: Batches
    /// What the run keeps as its request.
    var json: JSONValue
    /// `{"name", "scheduled_at"}` of the schedule that starts it.
    var schedule: JSONValue?
    /// Nil: it may take as long as it likes.
    var timeout: Duration?
    /// How many of its jobs may be under way at a time in each queue.
    var parallel = RunStarter.defaultParallel
    /// The run says what it would change, and changes nothing.
    var isDry = false
    /// Batches whose raw bytes have expired are left out and counted, not refused.
    var skipsExpired = false
}

/// Why a run is not made.
enum RunRefusal: Error, Sendable {
    case noPipeline
    /// The pipeline reads a dataset: there are no raw bytes.
    case readsDataset(String, pipeline: String)
    /// The current version does not append to its dataset, or the one that made one of the batches did not.
    case mode(PipelineDefinition.Mode)
    /// These are no batches of the pipeline's source.
    case unknownBatches([Int64])
    /// These have no raw bytes any more: the first hundred, and how many there are in all.
    case rawExpired([Int64], count: Int64)
    /// Another run is going on over one of the batches.
    case overlap(run: Int64)
    case sharedRows(SharedRows)
    /// A dataset that is rebuilt has something that the run would lose, or is in use.
    case notRebuilt(String)
    case tooMany
}

/// Makes runs: the run, what it works on and its jobs, in the caller's transaction.
struct RunStarter: Sendable {
    /// Batches of one run.
    static let batchLimit: Int64 = 1_000_000
    /// Jobs of one run at a time.
    static let parallels = 1...64
    static let defaultParallel: Int32 = 8

    /// Makes a run of a pipeline at its current version. After the commit, queue `transform` is to be notified.
    ///
    /// Locks the pipeline against changes and other runs until the transaction ends.
    /// - Throws: ``RunRefusal``; the transaction must then be rolled back.
    func replay(_ request: ReplayRequest, of pipelineID: Int64, _ connection: PostgresConnection) async throws -> Int64
    {
        guard let pipeline = try await connection.query(LockRunPipeline(id: pipelineID)).first else {
            throw RunRefusal.noPipeline
        }
        guard !pipeline.readsDataset else { throw RunRefusal.readsDataset(pipeline.source, pipeline: pipeline.name) }
        let definition = try PipelineDefinition.decode(JSONValue.parse(pipeline.definition))
        guard let run = try await connection.query(NextRunID()).first else { throw RunRefusal.noPipeline }
        // Rows of other modes cannot be replaced batch by batch: a winner that is removed would have to be put back.
        if let other = definition.outputs.first(where: { $0.mode != .append && !$0.mode.merges }) {
            throw RunRefusal.mode(other.mode)
        }
        if definition.outputs.contains(where: \.mode.merges) {
            try await rebuild(request, run, pipeline, definition, connection)
            return run
        }
        let chosen = try await choose(request, run, pipeline, connection)
        guard chosen.count + chosen.expired <= Self.batchLimit else { throw RunRefusal.tooMany }
        if !request.skipsExpired, chosen.expired > 0 {
            throw RunRefusal.rawExpired(chosen.firstExpired, count: chosen.expired)
        }
        if !request.isDry, let other = try await connection.query(FindOverlap(run: run, pipelineID: pipelineID)).first {
            throw RunRefusal.overlap(run: other)
        }
        let merged = FindMergedMode(run: run, pipelineID: pipelineID)
        if let mode = try await connection.query(merged).first.flatMap(PipelineDefinition.Mode.init) {
            throw RunRefusal.mode(mode)
        }
        if let shared = try await connection.query(FindSharedRows(run: run, pipelineID: pipelineID)).first {
            throw RunRefusal.sharedRows(shared)
        }
        var job: Int64?
        if chosen.count > 0 {
            let work = EnqueueReplay(
                run: run, pipelineID: pipelineID, batches: Int32(chosen.count), parallel: request.parallel)
            job = try await connection.query(work).first
        }
        try await connection.execute(
            InsertRun(
                id: run, pipelineID: pipelineID, version: pipeline.version, request: request.json.serialized(),
                schedule: request.schedule?.serialized(), batches: Int32(chosen.count),
                skipped: Int32(chosen.expired), job: job, timeout: request.timeout?.wholeSeconds,
                parallel: request.parallel, isDry: request.isDry))
        return run
    }

    private func choose(
        _ request: ReplayRequest, _ run: Int64, _ pipeline: StoredPipeline, _ connection: PostgresConnection
    ) async throws -> ChosenBatches {
        switch request.batches {
        case .received(let span):
            let statement = ChooseBatchesByTime(
                run: run, sourceID: pipeline.sourceID, span: span, limit: Self.batchLimit + 1)
            return try await connection.query(statement)[0]
        case .named(let ids):
            let statement = ChooseBatchesByID(run: run, sourceID: pipeline.sourceID, batches: ids)
            let (chosen, unknown) = try await connection.query(statement)[0]
            guard unknown.isEmpty else { throw RunRefusal.unknownBatches(unknown) }
            return chosen
        }
    }
}

extension Duration {
    /// As PostgreSQL's intervals are made.
    var wholeSeconds: Double {
        Double(components.seconds) + Double(components.attoseconds) / 1e18
    }
}

extension RunRefusal: CustomStringConvertible {
    var description: String {
        switch self {
        case .noPipeline: "the pipeline is not there any more"
        case .readsDataset(let name, let pipeline):
            "the pipeline reads the dataset \(name), of which there are no batches: run it again, by POST "
                + "/v1/pipelines/\(pipeline)/run"
        case .mode(let mode):
            "rows were stored with target.mode \(mode.rawValue); only what was appended can be replayed, since a row "
                + "that took another one's place cannot be taken back"
        case .unknownBatches(let ids): "no batches of the pipeline's source: \(Self.list(ids))"
        case .rawExpired(let ids, let count):
            "the raw bytes of \(count) \(count == 1 ? "batch has" : "batches have") expired: \(Self.list(ids))"
                + (count > ids.count ? " …" : "")
        case .overlap(let run): "run \(run) of this pipeline is going on over some of these batches"
        case .sharedRows(let shared):
            "the pipeline \(shared.pipeline) has rows of batch \(shared.batch) in the dataset \(shared.dataset), too: "
                + "they cannot be told apart"
        case .notRebuilt(let reason): reason
        case .tooMany: "more than \(RunStarter.batchLimit) batches"
        }
    }

    private static func list(_ ids: [Int64]) -> String { ids.map(String.init).joined(separator: ", ") }
}
