import Expressions
import JSON
import Postgres
import Records

/// A run from table to table as it is asked for.
struct TableRunRequest: Sendable {
    /// What the run keeps as its request.
    var json: JSONValue
    /// `{"name", "scheduled_at"}` of the schedule that starts it.
    var schedule: JSONValue?
    /// Nil: it may take as long as it likes.
    var timeout: Duration?
}

/// Why a run from table to table is not made.
enum TableRunRefusal: Error, Sendable, CustomStringConvertible {
    case noPipeline
    /// The pipeline reads a source of records.
    case readsSource(String)
    case noDataset(String)
    /// The definition does not fit the dataset's columns any more.
    case unfit(FieldFaults)
    /// The run would take the place of what these pipelines write, or one of these does so to it.
    case otherWriters([String], dataset: String)
    /// Another run of the pipeline has not ended.
    case going(run: Int64)

    var description: String {
        switch self {
        case .noPipeline: "the pipeline is not there any more"
        case .readsSource(let source):
            "the pipeline reads the source \(source): it runs as records arrive; replay it to run it again"
        case .noDataset(let name): "there is no dataset \(name)"
        case .unfit(let faults):
            "the pipeline does not fit the dataset any more: "
                + faults.faults.map(\.description).joined(separator: "; ")
        case .otherWriters(let names, let dataset):
            "mode replace takes the place of all rows of \(dataset), into which other pipelines write: "
                + names.joined(separator: ", ")
        case .going(let run): "run \(run) of this pipeline has not ended"
        }
    }
}

/// Makes runs of pipelines that read a dataset, in the caller's transaction.
struct TableRunStarter: Sendable {
    /// Makes a run of a pipeline at its current version. After the commit, queue `transform` is to be notified.
    ///
    /// Locks the pipeline against changes and other runs until the transaction ends.
    /// - Throws: ``TableRunRefusal``; the transaction must then be rolled back.
    func start(_ request: TableRunRequest, of pipelineID: Int64, _ connection: PostgresConnection) async throws -> Int64
    {
        guard let pipeline = try await connection.query(LockRunPipeline(id: pipelineID)).first else {
            throw TableRunRefusal.noPipeline
        }
        let definition = try PipelineDefinition.decode(JSONValue.parse(pipeline.definition))
        guard case .dataset(let name) = definition.source else {
            throw TableRunRefusal.readsSource(pipeline.source)
        }
        let hold = HoldSourceDataset(workspaceID: pipeline.workspaceID, name: name)
        guard let dataset = try await connection.query(hold).first else { throw TableRunRefusal.noDataset(name) }
        try dataset.check(definition)
        try await Self.checkWriters(definition, of: pipeline.name, pipeline.workspaceID, connection)
        if let other = try await connection.query(FindGoingTableRun(pipelineID: pipelineID)).first {
            throw TableRunRefusal.going(run: other)
        }
        guard let run = try await connection.query(NextRunID()).first else { throw TableRunRefusal.noPipeline }
        _ = try await connection.query(
            InsertTableRun(
                id: run, pipelineID: pipelineID, version: pipeline.version, request: request.json.serialized(),
                schedule: request.schedule?.serialized(), timeout: request.timeout?.wholeSeconds))
        return run
    }

    /// Whoever replaces a dataset's rows is the only one who writes them.
    static func checkWriters(
        _ definition: PipelineDefinition, of pipeline: String, _ workspaceID: Int64, _ connection: PostgresConnection
    ) async throws {
        let target = definition.target
        let writers = try await connection.query(
            FindOtherWriters(workspaceID: workspaceID, dataset: target.dataset, pipeline: pipeline))
        let inTheWay = target.mode == .replace ? writers : writers.filter(\.replaces)
        guard inTheWay.isEmpty else {
            throw TableRunRefusal.otherWriters(inTheWay.map(\.name), dataset: target.dataset)
        }
    }
}

extension SourceDataset {
    /// Throws ``TableRunRefusal`` (`unfit`) where the definition's steps do not fit the columns.
    func check(_ definition: PipelineDefinition) throws(TableRunRefusal) {
        do throws(FieldFaults) {
            _ = try PipelineCompiler().compile(definition, schema: schemaOfExpressions)
        } catch {
            throw .unfit(error)
        }
    }

    /// The columns that expressions may name, and no others.
    var schemaOfExpressions: ExpressionSchema {
        ExpressionSchema(columns.map { ($0.name, .typed($0.type)) })
    }

    /// The table, quoted; nil where there is none yet.
    var table: String? {
        guard hasTable else { return nil }
        return PostgresQuery.quoted(identifier: schema) + "." + PostgresQuery.quoted(identifier: name)
    }
}
