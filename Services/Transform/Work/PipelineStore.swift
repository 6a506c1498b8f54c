import Catalog
import HTTP
import JSON
import Postgres
import Records

/// Pipelines in the catalog: put, found, retired.
struct PipelineStore: Sendable {
    let pool: PostgresPool

    struct Put: Sendable {
        var pipeline: StoredPipeline
        var created: Bool
    }

    func find(_ name: ResourceName, workspaceID: Int64) async throws -> StoredPipeline {
        let statement = FindPipeline(workspaceID: workspaceID, name: name.text)
        guard let found = try await pool.withConnection({ try await $0.query(statement).first }) else {
            throw Problem(.notFound, "there is no pipeline \(name)")
        }
        return found
    }

    /// The columns of the dataset that a pipeline reads; nil where it reads a source. Throws `invalid_pipeline` where
    /// there is no such dataset.
    func columns(of source: PipelineDefinition.Source, workspaceID: Int64) async throws -> [TableColumn]? {
        guard case .dataset(let name) = source else { return nil }
        let statement = HoldSourceDataset(workspaceID: workspaceID, name: name)
        guard let dataset = try await pool.withConnection({ try await $0.query(statement).first }) else {
            throw Self.noSource
        }
        return dataset.columns
    }

    private static let noSource = PipelineProblems.problem([
        FieldFault(path: "source.dataset", message: "there is no such dataset")
    ])

    /// Creates the pipeline or gives it a new version; a definition that is the current one changes nothing.
    /// `body` is its canonical JSON. `check` sees the current version's tag before anything is written.
    /// Throws `invalid_pipeline` where the dataset lacks what the mode needs, `conflict` where another pipeline's mode
    /// is in the way.
    func put(
        _ name: ResourceName, _ definition: PipelineDefinition, body: [UInt8], workspaceID: Int64,
        check: @escaping @Sendable (EntityTag?) throws -> Void
    ) async throws -> Put {
        var digest = SHA256Digest()
        digest.update(body)
        let fingerprint = digest.finish()
        return try await pool.withTransaction { connection in
            let sourceID = try await Self.holdSource(definition, workspaceID, connection)
            let current = try await connection.query(LockPipeline(workspaceID: workspaceID, name: name.text)).first
            try check(current.map { EntityTag(version: $0.version) })
            if let current, current.fingerprint == fingerprint { return Put(pipeline: current, created: false) }
            let targets = definition.outputs
            for (number, target) in targets.enumerated().sorted(by: { $0.element.dataset < $1.element.dataset }) {
                try await TargetCheck(
                    pipeline: name.text, sourceID: sourceID, target: target, others: targets, number: number,
                    workspaceID: workspaceID
                ).run(connection)
            }
            if let current {
                try await connection.execute(
                    ReplacePipeline(
                        id: current.id, sourceID: sourceID, definition: body, fingerprint: fingerprint))
            } else {
                try await connection.execute(
                    InsertPipeline(
                        workspaceID: workspaceID, name: name.text, sourceID: sourceID, definition: body,
                        fingerprint: fingerprint))
            }
            let sources = [sourceID] + (current.map { [$0.sourceID] } ?? [])
            try await connection.execute(SettleImplicitPipelines(sourceIDs: sources))
            guard let stored = try await connection.query(LockPipeline(workspaceID: workspaceID, name: name.text)).first
            else { throw Problem(.internalError, "the pipeline was not stored") }
            return Put(pipeline: stored, created: current == nil)
        }
    }

    /// What the pipeline reads, which is not removed before the transaction has ended: a source, made if there is none,
    /// or the row that stands for a dataset. Throws `invalid_pipeline` where the steps do not fit a dataset's columns.
    private static func holdSource(
        _ definition: PipelineDefinition, _ workspaceID: Int64, _ connection: PostgresConnection
    ) async throws -> Int64 {
        switch definition.source {
        case .source(let name):
            try await connection.execute(EnsureSource(workspaceID: workspaceID, name: name))
            guard let source = try await connection.query(HoldSource(workspaceID: workspaceID, name: name)).first else {
                throw Problem(.conflict, "the source was removed while the pipeline was being put")
            }
            return source.id
        case .dataset(let name):
            let hold = HoldSourceDataset(workspaceID: workspaceID, name: name)
            guard let dataset = try await connection.query(hold).first else { throw noSource }
            do {
                try await dataset.check(definition, workspaceID: workspaceID, connection)
            } catch TableRunRefusal.unfit(let faults) {
                throw PipelineProblems.problem(faults.faults)
            }
            guard
                let id = try await connection.query(EnsureDatasetSource(workspaceID: workspaceID, name: name)).first
            else { throw Problem(.internalError, "the dataset's source was not made") }
            return id
        }
    }

    /// Takes the pipeline out of service; its source's implicit one takes over when no other is left. Throws `in_use`
    /// while schedules start it.
    func retire(
        _ name: ResourceName, workspaceID: Int64, check: @escaping @Sendable (EntityTag?) throws -> Void
    ) async throws {
        try await pool.withTransaction { connection in
            guard
                let current = try await connection.query(LockPipeline(workspaceID: workspaceID, name: name.text)).first
            else { throw Problem(.notFound, "there is no pipeline \(name) that was put") }
            try check(EntityTag(version: current.version))
            // Whoever puts a schedule for the pipeline holds it: what is put later finds it gone.
            let schedules = try await connection.query(
                ListSchedulesOfPipeline(workspaceID: workspaceID, pipelineID: current.id))
            guard schedules.isEmpty else {
                throw Problem(.inUse, "schedules start the pipeline: \(schedules.joined(separator: ", "))")
            }
            try await connection.execute(RetirePipeline(id: current.id))
            try await connection.execute(SettleImplicitPipelines(sourceIDs: [current.sourceID]))
        }
    }
}
