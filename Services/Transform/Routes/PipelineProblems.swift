import Expressions
import HTTP
import JSON

/// A definition's mistakes as problems.
enum PipelineProblems {
    /// Compiles the body of a PUT or a dry run. What a dataset's columns are is not known here: steps over one may name
    /// any. Throws `invalid_pipeline` with every mistake and its path.
    static func compile(
        _ body: JSONValue
    ) throws(Problem) -> (definition: PipelineDefinition, pipeline: CompiledPipeline) {
        do throws(FieldFaults) {
            return try PipelineCompiler().compile(body)
        } catch {
            throw problem(error.faults)
        }
    }

    /// Compiles a definition over columns that are known. Throws `invalid_pipeline` with every mistake and its path.
    static func compile(
        _ definition: PipelineDefinition, schema: ExpressionSchema
    ) throws(Problem) -> CompiledPipeline {
        do throws(FieldFaults) {
            return try PipelineCompiler().compile(definition, schema: schema)
        } catch {
            throw problem(error.faults)
        }
    }

    static func problem(_ faults: [FieldFault]) -> Problem {
        let first = faults.first?.description ?? "the definition is not valid"
        let more = faults.count > 1 ? " (and \(faults.count - 1) more)" : ""
        return Problem(.invalidPipeline, first + more, errors: faults)
    }
}
