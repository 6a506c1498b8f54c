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

    private let compiled = Mutex<[Key: BoundPipeline]>([:])

    /// Errors: those of the compiler, where the columns have changed since the run was made.
    func pipeline(_ run: TableRun, _ reading: TableReading) throws -> BoundPipeline {
        let key = Key(run: run.id, epoch: run.epoch)
        if let known = compiled.withLock({ $0[key] }) { return known }
        let definition = try PipelineDefinition.decode(JSONValue.parse(run.definition))
        let columns = zip(reading.columns, reading.types).compactMap { name, type in
            ColumnType(rawValue: type).map { (name: name, kind: ColumnKind.typed($0)) }
        }
        let steps = try PipelineCompiler().compile(definition, schema: ExpressionSchema(columns))
        let pipeline = BoundPipeline(dataset: definition.target.dataset, steps: steps)
        compiled.withLock { compiled in
            if compiled.count >= Self.capacity { compiled.removeAll() }
            compiled[key] = pipeline
        }
        return pipeline
    }
}
