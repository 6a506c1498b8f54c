import Expressions
import Postgres
import Records

/// What is to be erased: as a condition of statements over a dataset's rows, of records as they came in, and of rows
/// that were read from a table.
struct ErasureCondition: Sendable {
    /// The condition over columns that it reads.
    private struct Reader: Sendable {
        var expression: CompiledExpression
        var columns: [CatalogColumn]

        /// Nil where it reads others.
        init?(_ text: String, _ columns: [CatalogColumn]) {
            let schema = ExpressionSchema(columns)
            guard let compiled = try? Expression.compileCondition(text, schema: schema, purpose: "WHERE")
            else { return nil }
            expression = compiled
            self.columns = columns.filter { compiled.fields.contains($0.name) }
        }
    }

    private enum Kind {
        case records, tableRows, ownRows
    }

    let rows: SQLCondition
    /// Nil where it reads what records do not have (`_batch`, `_extra`), or nothing of them.
    private let records: Reader?
    /// Nil where it reads what the rows of another table do not have (`_batch`).
    private let tableRows: Reader?

    /// The columns that are compared with the fields of records.
    var fields: [String] {
        (tableRows?.columns ?? []).map(\.name).filter { $0 != TableDefinition.extra }
    }

    /// Throws the first mistake.
    init(_ text: String, of columns: [CatalogColumn]) throws(ExpressionError) {
        let all = columns + [RowsQuery.extra] + RowsQuery.lineage
        let schema = ExpressionSchema(all)
        rows = try SQLCondition(text, schema: schema, purpose: "WHERE")
        // What can be computed of rows only would leave the records behind that they came from.
        _ = try Expression.compileCondition(text, schema: schema, purpose: "WHERE")
        records = Reader(text, columns).flatMap { $0.columns.isEmpty ? nil : $0 }
        tableRows = Reader(text, columns + [RowsQuery.extra])
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
        for names in names { met.formUnion(Self.met(by: batch, records, names, .records)) }
        return (met, unreadable)
    }

    /// The same of rows that were read from a table and written by `TableRecord`. A member of their `_extra` counts as
    /// a field where they have no other of its name.
    /// - Parameter areOwn: they are the dataset's own rows, so what they lack is NULL.
    func rows(
        of frame: BatchFrame, names: [FieldNames.Names], areOwn: Bool
    ) throws(RecordsError) -> (met: Set<Int32>, unreadable: Int) {
        let (batch, faults) = try TableRecord.fields(of: frame)
        let unreadable = faults.count { frame.lengths[Int($0.row)] > 0 }
        guard let tableRows else { return ([], unreadable) }
        var met = Set(areOwn ? Self.met(by: batch, tableRows, [:], .ownRows) : [])
        var readings = [batch]
        if let spread = TableRecord.spread(frame, batch) {
            var reading = try RecordDecoder(limits: DecodeLimits(depth: 1_000)).decode(spread).batch
            reading.extra = reading.rows == batch.rows ? batch.extra : nil
            readings.append(reading)
        }
        for reading in readings {
            for names in names { met.formUnion(Self.met(by: reading, tableRows, names, .tableRows)) }
        }
        return (met, unreadable)
    }

    private static func met(
        by batch: RecordBatch, _ reader: Reader, _ names: FieldNames.Names, _ kind: Kind
    ) -> [Int32] {
        var typed = RecordBatch(rows: batch.rows)
        var present = [UInt8](repeating: kind == .ownRows ? 1 : 0, count: batch.rowCount)
        for column in reader.columns {
            let found = values(of: column, in: batch, names, kind)
            for row in present.indices where found.validity[row] == 1 { present[row] = 1 }
            typed.columns.append(NamedColumn(column.name, found))
        }
        var run = ExpressionRun(typed)
        let mask = run.mask(reader.expression)
        return mask.indices.filter { mask[$0] & present[$0] == 1 }.map { batch.rows[$0] }
    }

    private static func values(
        of column: CatalogColumn, in batch: RecordBatch, _ names: FieldNames.Names, _ kind: Kind
    ) -> Column {
        let isExtra = column.name == TableDefinition.extra
        guard let given = isExtra ? batch.extra : batch[names[column.name] ?? column.name] else {
            return .nulls(column.type, count: batch.rowCount)
        }
        if isExtra { return given }
        // Of a record's jsonb a null is NULL, of a table's it is a value.
        return kind == .records
            ? given.cast(to: column.type, rows: batch.rows, name: column.name).column
            : TableRecord.values(of: given, as: column.type, rows: batch.rows, name: column.name).column
    }
}
