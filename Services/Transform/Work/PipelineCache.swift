import JSON
import Synchronization

/// A pipeline's compiled steps, and the dataset they fill.
struct BoundPipeline: Sendable {
    var dataset: String
    var mode: PipelineDefinition.Mode
    var steps: CompiledPipeline
}

/// Compiled pipelines by version. A version never changes, so nothing here goes stale.
final class PipelineCache: Sendable {
    private struct Version: Hashable {
        var pipelineID: Int64
        var version: Int32
    }

    static let capacity = 1_000

    private let compiled = Mutex<[Version: BoundPipeline]>([:])

    /// The pipeline that the job runs. Errors: those of the compiler, for a definition that an earlier release took.
    func pipeline(_ input: TransformInput) throws -> BoundPipeline {
        let version = Version(pipelineID: input.pipelineID, version: input.version)
        if let known = compiled.withLock({ $0[version] }) { return known }
        let (definition, steps) = try PipelineCompiler().compile(JSONValue.parse(input.definition))
        let pipeline = BoundPipeline(
            dataset: definition.target.dataset, mode: definition.target.mode, steps: steps)
        compiled.withLock { compiled in
            if compiled.count >= Self.capacity { compiled.removeAll() }
            compiled[version] = pipeline
        }
        return pipeline
    }
}
