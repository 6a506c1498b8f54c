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
    /// Under which a repeated request is told from another one.
    var key: String?
}

/// Why a run from table to table is not made.
enum TableRunRefusal: Error, Sendable, CustomStringConvertible {
    case noPipeline
    /// The pipeline reads a source of records.
    case readsSource(String)
    case noDataset(String)
    /// The definition does not fit the dataset's columns any more.
    case unfit(FieldFaults)
    /// Another pipeline fills the dataset in a way that does not go together with this one's.
    case otherMode(OtherMode, PipelineDefinition.Target)
    /// Another run of the pipeline has not ended.
    case going(run: Int64)
    /// The key is that of this run, which was asked for otherwise.
    case otherRequest(run: Int64)

    var description: String {
        switch self {
        case .noPipeline: "the pipeline is not there any more"
        case .readsSource(let source):
            "the pipeline reads the source \(source): it runs as records arrive; replay it to run it again"
        case .noDataset(let name): "there is no dataset \(name)"
        case .unfit(let faults):
            "the pipeline does not fit the dataset any more: "
                + faults.faults.map(\.description).joined(separator: "; ")
        case .otherMode(let other, let target): other.description(for: target)
        case .going(let run): "run \(run) of this pipeline has not ended"
        case .otherRequest(let run): "run \(run) was asked for with this key and another timeout"
        }
    }
}

/// Makes runs of pipelines that read a dataset, in the caller's transaction.
struct TableRunStarter: Sendable {
    struct Started: Sendable {
        var run: Int64
        /// An earlier request with the same key has made it.
        var isReplayed: Bool
    }

    /// Makes a run of a pipeline at its current version, or finds the one that was made for the same key. After the
    /// commit, queue `transform` is to be notified.
    ///
    /// Locks the pipeline against changes and other runs until the transaction ends.
    /// - Throws: ``TableRunRefusal``; the transaction must then be rolled back.
    func start(
        _ request: TableRunRequest, of pipelineID: Int64, _ connection: PostgresConnection
    ) async throws -> Started {
        guard let pipeline = try await connection.query(LockRunPipeline(id: pipelineID)).first else {
            throw TableRunRefusal.noPipeline
        }
        if let key = request.key {
            let find = FindRunByKey(pipelineID: pipelineID, key: key, request: request.json.serialized())
            if let known = try await connection.query(find).first {
                guard known.isSame else { throw TableRunRefusal.otherRequest(run: known.run) }
                return Started(run: known.run, isReplayed: true)
            }
        }
        let definition = try PipelineDefinition.decode(JSONValue.parse(pipeline.definition))
        guard case .dataset(let name) = definition.source else {
            throw TableRunRefusal.readsSource(pipeline.source)
        }
        let hold = HoldSourceDataset(workspaceID: pipeline.workspaceID, name: name)
        guard let dataset = try await connection.query(hold).first else { throw TableRunRefusal.noDataset(name) }
        try await dataset.check(definition, workspaceID: pipeline.workspaceID, connection)
        let find = FindOtherModes(
            workspaceID: pipeline.workspaceID, target: definition.target, pipeline: pipeline.name,
            sourceID: pipeline.sourceID)
        if let other = try await connection.query(find).first {
            throw TableRunRefusal.otherMode(other, definition.target)
        }
        if let other = try await connection.query(FindGoingTableRun(pipelineID: pipelineID)).first {
            throw TableRunRefusal.going(run: other)
        }
        guard let run = try await connection.query(NextRunID()).first else { throw TableRunRefusal.noPipeline }
        _ = try await connection.query(
            InsertTableRun(
                id: run, pipelineID: pipelineID, version: pipeline.version, request: request.json.serialized(),
                schedule: request.schedule?.serialized(), timeout: request.timeout?.wholeSeconds, key: request.key))
        return Started(run: run, isReplayed: false)
    }
}

extension SourceDataset {
    /// Throws ``TableRunRefusal`` (`unfit`) where the definition's steps do not fit the columns, or those of the
    /// datasets that they look rows up in.
    func check(_ definition: PipelineDefinition, workspaceID: Int64, _ connection: PostgresConnection) async throws {
        let lookups = try await Lookups.schema(
            definition.lookupDatasets, workspaceID: workspaceID, connection)
        do throws(FieldFaults) {
            _ = try PipelineCompiler(lookups: lookups).compile(definition, schema: ExpressionSchema(columns))
        } catch {
            throw TableRunRefusal.unfit(error)
        }
    }

    /// The table, quoted; nil where there is none yet.
    var table: String? {
        guard hasTable else { return nil }
        return PostgresQuery.quoted(identifier: schema) + "." + PostgresQuery.quoted(identifier: name)
    }
}

extension ExpressionSchema {
    /// A dataset's columns, and no others.
    init(_ columns: [TableColumn]) {
        self.init(columns.map { ($0.name, .typed($0.type)) })
    }
}
