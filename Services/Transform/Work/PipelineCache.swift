import Expressions
import JSON
import Queue
import Records
import Synchronization

/// A pipeline's compiled steps, and the places that they fill.
struct BoundPipeline: Sendable {
    /// By the outputs' numbers.
    var outputs: [PipelineDefinition.Target]
    var steps: CompiledPipeline
    /// What it makes of a batch depends on other datasets, too.
    var hasLookups: Bool
}

/// Compiled pipelines by version. A version never changes, but what its lookups read may: it is compiled anew when the
/// columns of these datasets do.
final class PipelineCache: Sendable {
    private struct Version: Hashable {
        var pipelineID: Int64
        var version: Int32
        /// Of the dataset that it reads; nil where it reads records.
        var columns: [TableColumn]?
    }

    private struct Entry {
        var definition: PipelineDefinition
        var lookups: LookupSchema
        var pipeline: BoundPipeline
    }

    static let capacity = 1_000

    private let lookups: Lookups
    private let salts: WorkspaceSalts
    private let compiled = Mutex<[Version: Entry]>([:])

    init(lookups: Lookups, salts: WorkspaceSalts) {
        self.lookups = lookups
        self.salts = salts
    }

    /// The pipeline that the job runs. Errors: those of the compiler, for a definition that an earlier release took;
    /// `lookup_failed` for one that names datasets or columns that are not there any more.
    ///
    /// - Parameter columns: those of the dataset that a run reads; nil where it is records.
    func pipeline(_ input: TransformInput, over columns: [TableColumn]? = nil) async throws -> BoundPipeline {
        let version = Version(pipelineID: input.pipelineID, version: input.version, columns: columns)
        let known = compiled.withLock { $0[version] }
        let definition: PipelineDefinition
        if let known {
            definition = known.definition
        } else {
            definition = try PipelineDefinition.decode(JSONValue.parse(input.definition))
        }
        let datasets = definition.lookupDatasets
        if let known, datasets.isEmpty { return known.pipeline }
        let schema = try await lookups.schema(datasets, workspaceID: input.workspaceID)
        if let known, known.lookups == schema { return known.pipeline }
        let salt = definition.needsSalt ? try await salts.salt(of: input.workspaceID) : []
        let steps = try Self.compile(definition, columns, schema, salt)
        let pipeline = BoundPipeline(
            outputs: definition.outputs, steps: steps, hasLookups: !datasets.isEmpty)
        compiled.withLock { compiled in
            if compiled.count >= Self.capacity { compiled.removeAll() }
            compiled[version] = Entry(definition: definition, lookups: schema, pipeline: pipeline)
        }
        return pipeline
    }

    private static func compile(
        _ definition: PipelineDefinition, _ columns: [TableColumn]?, _ schema: LookupSchema, _ salt: [UInt8]
    ) throws -> CompiledPipeline {
        do {
            return try PipelineCompiler(salt: salt, lookups: schema).compile(
                definition, schema: columns.map(ExpressionSchema.init) ?? ExpressionSchema(isOpen: true))
        } catch {
            guard !definition.lookupDatasets.isEmpty else { throw error }
            throw JobFailure(code: "lookup_failed", message: error.faults.map(\.description).joined(separator: "; "))
        }
    }
}
