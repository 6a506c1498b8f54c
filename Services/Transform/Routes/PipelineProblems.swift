import Expressions
import HTTP
import JSON

/// A definition's mistakes as problems.
enum PipelineProblems {
    /// Decodes the body of a PUT or a dry run. Throws `invalid_pipeline` with every mistake and its path.
    static func decode(_ body: JSONValue) throws(Problem) -> PipelineDefinition {
        do throws(FieldFaults) {
            return try PipelineDefinition.decode(body)
        } catch {
            throw problem(error.faults)
        }
    }

    /// Compiles a definition, with what its lookups read as it is now. Throws `invalid_pipeline` with every mistake and
    /// its path.
    ///
    /// - Parameters:
    ///   - columns: of the dataset that it reads; nil where it reads a source.
    ///   - salt: for `mask`, of a pipeline that is run.
    static func compile(
        _ definition: PipelineDefinition, over columns: [TableColumn]? = nil, _ lookups: Lookups, workspaceID: Int64,
        salt: [UInt8] = []
    ) async throws -> CompiledPipeline {
        let schema = try await lookups.schema(definition.lookupDatasets, workspaceID: workspaceID, isFresh: true)
        do throws(FieldFaults) {
            return try PipelineCompiler(salt: salt, lookups: schema).compile(
                definition, schema: columns.map(ExpressionSchema.init) ?? ExpressionSchema(isOpen: true))
        } catch {
            throw problem(error.faults)
        }
    }

    /// Compiles the definition of a PUT if it reads a source. What reads a dataset is compiled by whoever stores it:
    /// only with the types of the dataset's columns is it known what an expression means.
    static func check(_ definition: PipelineDefinition, _ lookups: Lookups, workspaceID: Int64) async throws {
        guard definition.source.dataset == nil else { return }
        _ = try await compile(definition, lookups, workspaceID: workspaceID)
    }

    static func problem(_ faults: [FieldFault]) -> Problem {
        let first = faults.first?.description ?? "the definition is not valid"
        let more = faults.count > 1 ? " (and \(faults.count - 1) more)" : ""
        return Problem(.invalidPipeline, first + more, errors: faults)
    }
}
