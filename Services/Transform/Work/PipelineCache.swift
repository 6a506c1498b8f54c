import JSON
import Synchronization

/// A pipeline's compiled steps, and the dataset they fill.
struct BoundPipeline: Sendable {
    var dataset: String
    var steps: CompiledPipeline
}

/// Compiled pipelines by version. A version never changes, so nothing here goes stale.
final class PipelineCache: Sendable {
    private struct Version: Hashable {
        var pipelineID: Int64
        var version: Int32
    }

    static let capacity = 1_000

    private let salts: WorkspaceSalts
    private let compiled = Mutex<[Version: BoundPipeline]>([:])

    init(salts: WorkspaceSalts) {
        self.salts = salts
    }

    /// The pipeline that the job runs. Errors: those of the compiler, for a definition that an earlier release took,
    /// and of the database, where the workspace's salt is asked for the first time.
    func pipeline(_ input: TransformInput) async throws -> BoundPipeline {
        let version = Version(pipelineID: input.pipelineID, version: input.version)
        if let known = compiled.withLock({ $0[version] }) { return known }
        let definition = try PipelineDefinition.decode(JSONValue.parse(input.definition))
        let salt = definition.needsSalt ? try await salts.salt(of: input.workspaceID) : []
        let steps = try PipelineCompiler(salt: salt).compile(definition)
        let pipeline = BoundPipeline(dataset: definition.target.dataset, steps: steps)
        compiled.withLock { compiled in
            if compiled.count >= Self.capacity { compiled.removeAll() }
            compiled[version] = pipeline
        }
        return pipeline
    }
}
