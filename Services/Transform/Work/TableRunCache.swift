import Expressions
import JSON
import Records
import Synchronization

/// Compiled pipelines of runs, each against the columns that its run reads. These never change within an epoch.
final class TableRunCache: Sendable {
    private struct Key: Hashable {
        var run: Int64
        var epoch: Int32
    }

    static let capacity = 100

    private let salts: WorkspaceSalts
    private let compiled = Mutex<[Key: BoundPipeline]>([:])

    init(salts: WorkspaceSalts) {
        self.salts = salts
    }

    /// Errors: those of the compiler, where the columns have changed since the run was made.
    func pipeline(_ run: TableRun, _ reading: TableReading) async throws -> BoundPipeline {
        let key = Key(run: run.id, epoch: run.epoch)
        if let known = compiled.withLock({ $0[key] }) { return known }
        let definition = try PipelineDefinition.decode(JSONValue.parse(run.definition))
        let columns = zip(reading.columns, reading.types).compactMap { name, type in
            ColumnType(rawValue: type).map { (name: name, kind: ColumnKind.typed($0)) }
        }
        let salt = definition.needsSalt ? try await salts.salt(of: run.workspaceID) : []
        let steps = try PipelineCompiler(salt: salt).compile(definition, schema: ExpressionSchema(columns))
        let pipeline = BoundPipeline(outputs: definition.outputs, steps: steps, hasLookups: false)
        compiled.withLock { compiled in
            if compiled.count >= Self.capacity { compiled.removeAll() }
            compiled[key] = pipeline
        }
        return pipeline
    }
}
