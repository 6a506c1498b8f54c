import Expressions
import Records

/// Batches and answers in short form.
enum Samples {
    /// A batch of text columns; NULL where a value is nil.
    static func texts(_ columns: KeyValuePairs<String, [String?]>) -> RecordBatch {
        let named = columns.map { name, values in
            NamedColumn(
                name,
                Column(
                    .text, .bytes(ByteColumn(values.map { $0 ?? "" })), validity: values.map { $0 == nil ? 0 : 1 }))
        }
        return RecordBatch(rows: rows(columns.first?.value.count ?? 1), columns: named)
    }

    /// A batch of untyped cells, as CSV gives them.
    static func cells(_ columns: KeyValuePairs<String, [String?]>) -> RecordBatch {
        let named = columns.map { name, values in
            var variants = VariantColumn()
            for value in values {
                if let value { variants.append(.cell, placing: Array(value.utf8)) } else { variants.append(.null) }
            }
            return NamedColumn(name, Column(untyped: variants))
        }
        return RecordBatch(rows: rows(columns.first?.value.count ?? 1), columns: named)
    }

    static func rows(_ count: Int) -> [Int32] { (0..<Int32(count)).map { $0 } }

    /// An expression's values as text, `NULL`, or `!` and the fault's message.
    static func values(_ text: String, over batch: RecordBatch = RecordBatch(rows: [0])) throws -> [String] {
        let kinds = batch.columns.map { (name: $0.name, kind: $0.column.type) }
        let expression = try Expression.compile(text, schema: ExpressionSchema(kinds, isOpen: true))
        let (column, faults) = expression.evaluate(batch)
        let printed = TextOutput.texts(of: column)
        var result = (0..<batch.rowCount).map { column.isPresent($0) ? printed.string($0) : "NULL" }
        for fault in faults { result[Int(fault.row)] = "!" + fault.message }
        return result
    }

    /// The value of an expression without columns.
    static func value(_ text: String) throws -> String { try values(text)[0] }

    /// The refusal of an expression.
    static func refusal(_ text: String, _ schema: ExpressionSchema = ExpressionSchema(isOpen: true)) -> ExpressionError?
    {
        do throws(ExpressionError) {
            _ = try Expression.compile(text, schema: schema)
            return nil
        } catch {
            return error
        }
    }
}
