import HTTP
import JSON

/// A definition's mistakes as problems.
enum PipelineProblems {
    /// Compiles the body of a PUT or a dry run, with what its lookups read as it is now. Throws `invalid_pipeline` with
    /// every mistake and its path.
    ///
    /// - Parameter salts: the workspaces', for a pipeline that is run.
    static func compile(
        _ body: JSONValue, _ lookups: Lookups, workspaceID: Int64, salts: WorkspaceSalts? = nil
    ) async throws -> (definition: PipelineDefinition, pipeline: CompiledPipeline) {
        do {
            let definition = try PipelineDefinition.decode(body)
            let schema = try await lookups.schema(
                definition.lookupDatasets, workspaceID: workspaceID, isFresh: true)
            let salt = definition.needsSalt ? try await salts?.salt(of: workspaceID) ?? [] : []
            return (definition, try PipelineCompiler(salt: salt, lookups: schema).compile(definition))
        } catch let error as FieldFaults {
            throw problem(error.faults)
        }
    }

    /// Decodes the body of a PUT, and compiles what reads a source. What reads a dataset is compiled by whoever stores
    /// it: only with the types of the dataset's columns is it known what an expression means.
    static func definition(
        _ body: JSONValue, _ lookups: Lookups, workspaceID: Int64
    ) async throws -> PipelineDefinition {
        do throws(FieldFaults) {
            let definition = try PipelineDefinition.decode(body)
            if case .dataset = definition.source { return definition }
        } catch {
            throw problem(error.faults)
        }
        return try await compile(body, lookups, workspaceID: workspaceID).definition
    }

    static func problem(_ faults: [FieldFault]) -> Problem {
        let first = faults.first?.description ?? "the definition is not valid"
        let more = faults.count > 1 ? " (and \(faults.count - 1) more)" : ""
        return Problem(.invalidPipeline, first + more, errors: faults)
    }
}
