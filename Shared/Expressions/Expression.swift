public import Records

/// SQL scalar expressions with PostgreSQL's meaning, in time zone UTC and collation "C".
///
/// What differs from PostgreSQL is listed in the module's README; above all, all integers are bigint, patterns of
/// regular expressions are literals, functions that depend on the moment or the session do not exist, and constant
/// parts are computed only for rows that need them. A field of unknown type behaves as a quoted literal does: it takes
/// the type its context gives it, and is text where nothing does.
public enum Expression {
    /// Parses and type-checks an expression.
    ///
    /// - Throws: the first mistake, with its column in the text.
    public static func compile(
        _ text: String, schema: ExpressionSchema
    ) throws(ExpressionError) -> CompiledExpression {
        let node = try Parser.parse(text)
        var checker = Checker(schema: schema)
        let plan = try checker.check(node)
        try checker.refuseUnicode()
        return CompiledExpression(text: text, plan: plan, fields: checker.fields)
    }

    /// An expression that must be boolean, as a filter is.
    ///
    /// - Parameter purpose: what it is for, in capitals, as `FILTER`.
    public static func compileCondition(
        _ text: String, schema: ExpressionSchema, purpose: String
    ) throws(ExpressionError) -> CompiledExpression {
        let node = try Parser.parse(text)
        var checker = Checker(schema: schema)
        let plan = try checker.condition(node, of: purpose)
        try checker.refuseUnicode()
        return CompiledExpression(text: text, plan: plan, fields: checker.fields)
    }
}

/// An expression that has been checked and can be computed for any number of batches, from any thread.
public struct CompiledExpression: Sendable {
    public let text: String
    let plan: Plan
    /// The columns it reads, each once.
    public let fields: [String]

    /// The type of its values; untyped for the name of an untyped field alone, which is passed on as it is.
    public var resultType: ColumnKind {
        if case .field(_, .unknown) = plan { return .untyped }
        return .typed(plan.type.columnType)
    }

    /// Its values for the rows of a batch, and the rows for which it has none.
    public func evaluate(_ batch: RecordBatch) -> (Column, [RowFault]) {
        var run = ExpressionRun(batch)
        let column = run.evaluate(self)
        return (column, run.faults)
    }
}

/// Computes several expressions over one batch; casts of fields that they share are made once.
public struct ExpressionRun {
    private var evaluation: Evaluation

    /// - Parameter step: what faults name as their step.
    public init(_ batch: RecordBatch, step: String? = nil) {
        evaluation = Evaluation(batch, step: step)
    }

    /// The rows that have failed so far, each once, with its first fault.
    public var faults: [RowFault] { evaluation.faults }

    /// 1 for each row that has failed; empty if none has.
    public var failedRows: [UInt8] { evaluation.failedRows }

    /// The expression's values; NULL in rows that fail.
    ///
    /// - Parameter column: what faults name as their column.
    public mutating func evaluate(_ expression: CompiledExpression, column: String? = nil) -> Column {
        evaluation.column = column
        let batch = evaluation.batch
        if case .field(let name, .unknown) = expression.plan {
            return batch[name]
                ?? Column(
                    untyped: VariantColumn(
                        kinds: [UInt8](repeating: 0, count: batch.rowCount),
                        payloads: [UInt64](repeating: 0, count: batch.rowCount)))
        }
        let frame = Frame(all: batch.rowCount)
        return expression.plan.evaluate(frame, &evaluation).column(count: batch.rowCount)
    }

    /// 1 where a condition is true; 0 where it is false or NULL, or the row has failed.
    public mutating func mask(_ condition: CompiledExpression, column: String? = nil) -> [UInt8] {
        evaluation.column = column
        let count = evaluation.batch.rowCount
        let vector = condition.plan.evaluate(Frame(all: count), &evaluation)
        guard case .bool(let values) = vector.values else { return [UInt8](repeating: 0, count: count) }
        if vector.isConstant { return [UInt8](repeating: values[0] & vector.valid[0], count: count) }
        var mask = values
        for index in 0..<count { mask[index] &= vector.valid[index] }
        return mask
    }
}
