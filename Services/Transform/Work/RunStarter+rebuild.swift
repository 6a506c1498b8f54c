import JSON
import Postgres

extension RunStarter {
    /// Makes a run that fills a dataset's table anew, beside the one that is there: all batches of all pipelines that
    /// have rows in it, those of the replayed one at its current version.
    ///
    /// Who merges rows into the dataset has ended when its table's lock is had; who comes later sees the rebuild, and
    /// writes into both tables. So each output that is stored now is the run's, and no later one is.
    func rebuild(
        _ request: ReplayRequest, _ run: Int64, _ pipeline: StoredPipeline, _ target: PipelineDefinition.Target,
        _ connection: PostgresConnection
    ) async throws {
        let find = LockRebuiltDataset(pipelineID: pipeline.id, name: target.dataset)
        guard let dataset = try await connection.query(find).first else {
            throw RunRefusal.notRebuilt("the dataset \(target.dataset) is not there")
        }
        if !request.isDry {
            if let other = dataset.rebuiltBy { throw RunRefusal.overlap(run: other) }
            try await connection.execute(ForgetRebuild(datasetID: dataset.id))
        }
        if dataset.hasTable {
            try await refuseStrangers(dataset, connection)
            if !request.isDry { try await hold(dataset, connection) }
        }
        let parts = ChooseRebuildParts(
            run: run, datasetID: dataset.id, pipelineID: pipeline.id, version: pipeline.version,
            sourceID: pipeline.sourceID, batches: request.batches)
        try await connection.execute(parts)
        guard
            let chosen = try await connection.query(
                CheckRebuild(run: run, datasetID: dataset.id, pipelineID: pipeline.id)
            ).first
        else {
            throw RunRefusal.noPipeline
        }
        if !request.isDry, let other = chosen.overlap { throw RunRefusal.overlap(run: other) }
        try Self.check(chosen, pipeline, target)
        let job: Int64? =
            chosen.parts > 0
            ? try await connection.query(
                EnqueueReplay(
                    run: run, pipelineID: pipeline.id, batches: Int32(chosen.parts), parallel: request.parallel)
            ).first : nil
        try await connection.execute(
            InsertRun(
                id: run, pipelineID: pipeline.id, version: pipeline.version, request: request.json.serialized(),
                schedule: request.schedule?.serialized(), batches: Int32(chosen.parts + 1), skipped: 0, job: job,
                timeout: request.timeout?.wholeSeconds, parallel: request.parallel,
                isDry: request.isDry, compares: request.isDry))
        let last = Int32(chosen.parts)
        if request.isDry {
            try await connection.execute(InsertComparison(run: run, ordinal: last))
        } else {
            try await connection.execute(
                InsertRebuild(run: run, datasetID: dataset.id, mode: target.mode.rawValue, ordinal: last))
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
                "the dataset has rows of batch \(batch), of which the ledger does not know: they would be lost")
        }
    }

    private func hold(_ dataset: RebuiltDataset, _ connection: PostgresConnection) async throws {
        try await connection.query("set local lock_timeout = '5s'")
        do {
            try await connection.query("lock table \(identifier: dataset.schema, dataset.name) in share mode")
        } catch {
            guard error.sqlstate == .lockNotAvailable else { throw error }
            throw RunRefusal.notRebuilt("rows are being loaded into the dataset; repeat the request")
        }
    }

    private static func check(
        _ chosen: RebuildCheck, _ pipeline: StoredPipeline, _ target: PipelineDefinition.Target
    ) throws {
        guard chosen.parts <= batchLimit else { throw RunRefusal.tooMany }
        guard chosen.expired == 0 else {
            throw RunRefusal.rawExpired(chosen.firstExpired, count: chosen.expired)
        }
        if let batch = chosen.leftOut {
            throw RunRefusal.notRebuilt(
                """
                a dataset that is filled by \(target.mode.rawValue) is rebuilt as a whole, and batch \(batch) of the \
                pipeline is not among those that were asked for
                """)
        }
        if let batch = chosen.elsewhere {
            throw RunRefusal.notRebuilt(
                "the pipeline's rows of batch \(batch) are in another dataset, where they would stay")
        }
        if let batch = chosen.split {
            throw RunRefusal.notRebuilt(
                "a pipeline has routed rows of batch \(batch), and not all of its outputs are in the dataset")
        }
        if let other = chosen.otherMode {
            throw RunRefusal.notRebuilt(
                "the pipeline \(other.name) stored rows with target.mode \(other.mode), which cannot be done again")
        }
    }
}
