import JSON
import Postgres

extension RunStarter {
    /// Makes a run that fills tables of datasets anew, beside those that are there: of all into which the pipeline
    /// merges rows. It reads all batches of all pipelines that have rows in them, those of the replayed one at its
    /// current version, with all of their outputs; but for those of which an output is on its way or has failed, which
    /// keep the version that they are bound to.
    ///
    /// Who merges rows into the datasets has ended when their tables' locks are had; who comes later sees the rebuild,
    /// and writes into both tables. So each output that is stored now is the run's, and no later one is. Datasets, and
    /// then tables, are locked in the order of the datasets' ids.
    func rebuild(
        _ request: ReplayRequest, _ run: Int64, _ pipeline: StoredPipeline, _ definition: PipelineDefinition,
        _ connection: PostgresConnection
    ) async throws {
        let rebuilt = try await lock(definition, pipeline, connection)
        let ids = rebuilt.datasets.map(\.id)
        if !request.isDry {
            if let other = try await connection.query(FindOtherRebuild(datasetIDs: ids)).first {
                throw RunRefusal.overlap(run: other)
            }
            try await connection.execute(ForgetRebuilds(datasetIDs: ids))
        }
        for dataset in rebuilt.datasets where dataset.hasTable { try await refuseStrangers(dataset, connection) }
        if !request.isDry {
            for dataset in rebuilt.datasets where dataset.hasTable { try await hold(dataset, connection) }
        }
        let choose = ChooseRebuildParts(
            run: run, datasetIDs: ids, pipelineID: pipeline.id, version: pipeline.version,
            sourceID: pipeline.sourceID, batches: request.batches)
        let leftOut = try await connection.query(choose)[0]
        let check = CheckRebuild(run: run, rebuilt: rebuilt)
        guard let chosen = try await connection.query(check).first else { throw RunRefusal.noPipeline }
        if !request.isDry, let other = chosen.overlap { throw RunRefusal.overlap(run: other) }
        try Self.check(chosen, rebuilt, pipeline, leftOut: leftOut)
        try await enter(request, run, pipeline, rebuilt, parts: chosen.parts, connection)
    }

    /// The datasets that the pipeline merges rows into.
    private func lock(
        _ definition: PipelineDefinition, _ pipeline: StoredPipeline, _ connection: PostgresConnection
    ) async throws -> RebuiltSet {
        let merged = definition.outputs.filter(\.mode.merges)
        let modes = Dictionary(merged.map { ($0.dataset, $0.mode) }, uniquingKeysWith: { first, _ in first })
        let find = LockRebuiltDatasets(pipelineID: pipeline.id, names: modes.keys.sorted())
        let datasets = try await connection.query(find)
        if let missing = modes.keys.sorted().first(where: { name in !datasets.contains { $0.name == name } }) {
            throw RunRefusal.notRebuilt("the dataset \(missing) is not there")
        }
        return RebuiltSet(datasets: datasets, modes: modes)
    }

    private func enter(
        _ request: ReplayRequest, _ run: Int64, _ pipeline: StoredPipeline, _ rebuilt: RebuiltSet, parts: Int64,
        _ connection: PostgresConnection
    ) async throws {
        let last = Int32(parts)
        let work = EnqueueReplay(run: run, pipelineID: pipeline.id, batches: last, parallel: request.parallel)
        let job: Int64? = parts > 0 ? try await connection.query(work).first : nil
        try await connection.execute(
            InsertRun(
                id: run, pipelineID: pipeline.id, version: pipeline.version, request: request.json.serialized(),
                schedule: request.schedule?.serialized(), batches: last + 1, skipped: 0, job: job,
                timeout: request.timeout?.wholeSeconds, parallel: request.parallel,
                isDry: request.isDry, compares: request.isDry))
        if request.isDry {
            try await connection.execute(InsertComparison(run: run, ordinal: last))
        } else {
            try await connection.execute(InsertRebuild(run: run, rebuilt: rebuilt, ordinal: last))
        }
    }

    private func refuseStrangers(_ dataset: RebuiltDataset, _ connection: PostgresConnection) async throws {
        let strangers: PostgresQuery = """
            select t._batch from \(identifier: dataset.schema, dataset.name) t
            where not exists (select from millrace.application a
                where a.batch_id = t._batch and a.dataset_id = \(.int8(dataset.id)) and a.state = 'stored') limit 1
            """
        let found = try await connection.query(strangers)
        guard found.rowCount == 0 else {
            let batch = try found[0].int8(0)
            throw RunRefusal.notRebuilt(
                "the dataset \(dataset.name) has rows of batch \(batch), of which the ledger does not know: they "
                    + "would be lost")
        }
    }

    private func hold(_ dataset: RebuiltDataset, _ connection: PostgresConnection) async throws {
        try await connection.query("set local lock_timeout = '5s'")
        do {
            try await connection.query("lock table \(identifier: dataset.schema, dataset.name) in share mode")
        } catch {
            guard error.sqlstate == .lockNotAvailable else { throw error }
            throw RunRefusal.notRebuilt(
                "rows are being loaded into the dataset \(dataset.name); repeat the request")
        }
    }

    /// - Parameter leftOut: a batch that was not asked for.
    private static func check(
        _ chosen: RebuildCheck, _ rebuilt: RebuiltSet, _ pipeline: StoredPipeline, leftOut: Int64?
    ) throws {
        guard chosen.parts <= batchLimit else { throw RunRefusal.tooMany }
        guard chosen.expired == 0 else {
            throw RunRefusal.rawExpired(chosen.firstExpired, count: chosen.expired)
        }
        if let batch = leftOut {
            let modes = Set(rebuilt.modes.values.map(\.rawValue)).sorted().joined(separator: " or ")
            throw RunRefusal.notRebuilt(
                """
                a dataset that is filled by \(modes) is rebuilt as a whole, and batch \(batch) of the pipeline is not \
                among those that were asked for
                """)
        }
        if let batch = chosen.elsewhere {
            throw RunRefusal.notRebuilt(
                "the pipeline has merged rows of batch \(batch) into another dataset, where they would stay")
        }
        if chosen.lookedUp == pipeline.name {
            throw RunRefusal.notRebuilt(
                """
                the pipeline looks up what it routes, and of a batch some outputs are stored and others are not: \
                records might go elsewhere the second time; repeat the request once all are stored
                """)
        }
        if let name = chosen.lookedUp {
            throw RunRefusal.notRebuilt(
                """
                the pipeline \(name) looks up what it routes, and not all of its outputs are rebuilt: records might go \
                elsewhere the second time
                """)
        }
        if let other = chosen.otherMode {
            throw RunRefusal.notRebuilt(
                "the pipeline \(other.name) stored rows with target.mode \(other.mode), which cannot be done again")
        }
        if let shared = chosen.shared { throw RunRefusal.sharedRows(shared) }
    }
}
