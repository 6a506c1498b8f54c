import HTTP
import JSON

/// A definition's mistakes as problems.
enum PipelineProblems {
    /// Compiles the body of a PUT or a dry run. Throws `invalid_pipeline` with every mistake and its path.
    ///
    /// - Parameter salt: the workspace's, for a pipeline that is run.
    static func compile(
        _ body: JSONValue, salt: [UInt8] = []
    ) throws(Problem) -> (definition: PipelineDefinition, pipeline: CompiledPipeline) {
        do throws(FieldFaults) {
            return try PipelineCompiler(salt: salt).compile(body)
        } catch {
            let first = error.faults.first?.description ?? "the definition is not valid"
            let more = error.faults.count > 1 ? " (and \(error.faults.count - 1) more)" : ""
            throw Problem(.invalidPipeline, first + more, errors: error.faults)
        }
    }
}
