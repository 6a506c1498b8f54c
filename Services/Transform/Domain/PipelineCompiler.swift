public import Expressions
public import JSON

/// Checks a pipeline's definition and makes it ready to run.
///
/// **Which columns exist.** What fields JSON and CSV records have is not known when a pipeline is put. So at first any
/// name is an untyped field, NULL where a record lacks it; it takes the type its context gives it. A `cast` or
/// `derive` makes a column known, with its type. The set of names is closed, so that an unknown one is a mistake, by
/// `select`, and by a `parse` of `line` with a format of fixed columns (all but json, logfmt and query_string), which
/// replaces the whole record by what it parsed; a `parse` from another column adds to what is there.
public struct PipelineCompiler {
    /// The workspace's salt: the key under which `mask` hashes.
    public var salt: [UInt8]

    /// The datasets that `lookup` may name, by then.
    public var lookups: LookupSchema

    public init(salt: [UInt8] = [], lookups: LookupSchema = LookupSchema()) {
        self.salt = salt
        self.lookups = lookups
    }

    /// Decodes and compiles the body of a PUT.
    ///
    /// - Throws: every mistake with its path; one in an expression names its column in the text.
    public func compile(
        _ body: JSONValue
    ) throws(FieldFaults) -> (definition: PipelineDefinition, pipeline: CompiledPipeline) {
        let definition = try PipelineDefinition.decode(body)
        return (definition, try compile(definition))
    }

    /// - Parameter schema: the columns of the input; of records none is known, and any may occur.
    public func compile(
        _ definition: PipelineDefinition, schema: ExpressionSchema = ExpressionSchema(isOpen: true)
    ) throws(FieldFaults) -> CompiledPipeline {
        var compilation = Compilation(schema: schema, salt: salt, lookups: lookups)
        var steps: [CompiledPipeline.Step] = []
        for (number, step) in definition.steps.enumerated() {
            let place = "steps[\(number)].\(step.name)"
            compilation.path = place
            if let compiled = compilation.compile(step) {
                steps.append(CompiledPipeline.Step(place: place, step: compiled))
            }
        }
        compilation.path = "target"
        let deleteWhen = compilation.deletion(definition.target, at: "delete_when")
        guard compilation.faults.isEmpty else { throw FieldFaults(compilation.faults) }
        return CompiledPipeline(steps: steps, deleteWhen: [deleteWhen] + compilation.routedDeletions)
    }
}

extension PipelineDefinition {
    /// Whether what it makes depends on the workspace's salt.
    var needsSalt: Bool {
        steps.contains { step in
            if case .mask(let masks) = step { masks.contains { $0.masking == .sha256 } } else { false }
        }
    }
}

extension StepDefinition {
    /// The key that introduces the step.
    public var name: String {
        switch self {
        case .parse: "parse"
        case .cast: "cast"
        case .derive: "derive"
        case .filter: "filter"
        case .expect: "expect"
        case .select: "select"
        case .rename: "rename"
        case .drop: "drop"
        case .fill: "fill"
        case .mask: "mask"
        case .flatten: "flatten"
        case .explode: "explode"
        case .dedupe: "dedupe"
        case .outliers: "outliers"
        case .route: "route"
        case .lookup: "lookup"
        }
    }
}
