import Expressions
import Postgres
import Records

/// What is to be erased: as a condition of statements over a dataset's rows, and of records as they came in.
struct ErasureCondition: Sendable {
    let rows: SQLCondition
    /// Nil where it reads what records do not have (`_batch`, `_extra`), or nothing of them.
    private let records: CompiledExpression?
    private let columns: [CatalogColumn]

    /// The columns that are compared with the fields of records.
    var fields: [String] { columns.map(\.name) }

    /// Throws the first mistake.
    init(_ text: String, of columns: [CatalogColumn]) throws(ExpressionError) {
        let all = columns + [RowsQuery.extra] + RowsQuery.lineage
        rows = try SQLCondition(
            text, schema: ExpressionSchema(all.map { ($0.name, .typed($0.type)) }), purpose: "WHERE")
        let schema = ExpressionSchema(columns.map { ($0.name, .typed($0.type)) })
        let compiled = try? Expression.compileCondition(text, schema: schema, purpose: "WHERE")
        records = compiled.flatMap { $0.fields.isEmpty ? nil : $0 }
        self.columns = columns.filter { compiled?.fields.contains($0.name) ?? false }
    }

    /// Which records of a frame meet the condition by the fields that they came with, cast to the types of the
    /// dataset's columns; and how many could not be read. One that has none of the fields does not meet it. `names` are
    /// the fields that columns may have been, each set for itself. Heavy: not to be called on an event loop.
    func records(
        of frame: BatchFrame, names: [FieldNames.Names]
    ) throws(RecordsError) -> (met: Set<Int32>, unreadable: Int) {
        let (batch, faults) = try RecordDecoder().decode(frame)
        let unreadable = faults.count { frame.lengths[Int($0.row)] > 0 }
        guard let records else { return ([], unreadable) }
        var met: Set<Int32> = []
        for names in names { met.formUnion(self.met(by: batch, records, names)) }
        return (met, unreadable)
    }

    private func met(by batch: RecordBatch, _ records: CompiledExpression, _ names: FieldNames.Names) -> [Int32] {
        var typed = RecordBatch(rows: batch.rows)
        var present = [UInt8](repeating: 0, count: batch.rowCount)
        for column in columns {
            guard let given = batch[names[column.name] ?? column.name] else {
                typed.columns.append(NamedColumn(column.name, .nulls(column.type, count: batch.rowCount)))
                continue
            }
            let values = given.cast(to: column.type, rows: batch.rows, name: column.name).column
            for row in present.indices where values.validity[row] == 1 { present[row] = 1 }
            typed.columns.append(NamedColumn(column.name, values))
        }
        var run = ExpressionRun(typed)
        let mask = run.mask(records)
        return mask.indices.filter { mask[$0] & present[$0] == 1 }.map { batch.rows[$0] }
    }
}
