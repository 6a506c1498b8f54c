/// Rows of a table as records that can be read again: each a JSON object of its columns, whose values come back as
/// they were. NULL is left out, so that a jsonb `null` is another; what has no column of its own is a member
/// ``extra``.
public enum TableRecord {
    /// What a table keeps its rows' other fields in. No column of a dataset has such a name.
    public static let extra = "_extra"

    /// Appends a row that was read from a table.
    public static func append(_ batch: RecordBatch, _ row: Int, into output: inout [UInt8]) {
        output.append(0x7B)
        let start = output.count
        for named in batch.columns where named.column.isPresent(row) {
            append(named.name, after: start, into: &output)
            if case .float64(let values) = named.column.storage, values[row] == 0, values[row].sign == .minus {
                // An integer has no negative zero.
                output.append(contentsOf: "-0.0".utf8)
            } else {
                named.column.appendJSON(row, into: &output)
            }
        }
        if let others = batch.extra, others.isPresent(row) {
            append(extra, after: start, into: &output)
            others.appendJSON(row, into: &output)
        }
        output.append(0x7D)
    }

    private static func append(_ name: String, after start: Int, into output: inout [UInt8]) {
        if output.count > start { output.append(0x2C) }
        JSONText.appendString(name.utf8.span, into: &output)
        output.append(0x3A)
    }

    /// Reads records that were written by ``append(_:_:into:)``, or are like them: of each the columns, typed; a field
    /// that is none of them is left out.
    ///
    /// A value that is none of its column's type is a fault of the record, and so is what a ``RecordDecoder`` turns
    /// down; such a record has no row. Faults are in the order of the records.
    /// - Parameter frame: of NDJSON.
    public static func decode(
        _ frame: BatchFrame, _ columns: [(name: String, type: ColumnType)]
    ) throws(RecordsError) -> (batch: RecordBatch, faults: [RowFault]) {
        let decoder = RecordDecoder(limits: DecodeLimits(depth: 1_000, cells: .max))
        var (given, faults) = try decoder.decode(frame)
        let failed = faults.count
        var batch = RecordBatch(rows: given.rows)
        batch.columns.reserveCapacity(columns.count)
        for (name, type) in columns {
            guard let column = given[name] else {
                batch.columns.append(NamedColumn(name, .nulls(type, count: given.rowCount)))
                continue
            }
            let cast = column.cast(to: type, rows: given.rows, name: name)
            faults += cast.faults
            batch.columns.append(
                NamedColumn(name, type == .jsonb ? cast.column.withNulls(of: column) : cast.column))
        }
        batch.extra = given.extra.map(others)
        if faults.count > failed {
            let bad = Set(faults[failed...].map(\.row))
            batch.keep(batch.rows.map { bad.contains($0) ? 0 : 1 })
        }
        faults.sort { $0.row < $1.row }
        return (batch, faults)
    }

    /// Of objects whose only member is ``extra`` its values.
    private static func others(_ column: Column) -> Column {
        guard case .bytes(let objects) = column.storage else { return column }
        let opening = Array("{\"\(extra)\":".utf8)
        var values = ByteColumn(reserving: column.count, bytes: objects.data.count)
        var validity = column.validity
        for row in 0..<column.count {
            let object = objects[row]
            if object.starts(with: opening) {
                values.data.append(contentsOf: object.dropFirst(opening.count).dropLast())
            } else {
                validity[row] = 0
            }
            values.endValue()
        }
        return Column(.jsonb, .bytes(values), validity: validity)
    }
}

extension Column {
    /// A jsonb column with the values that a JSON null is, where the untyped column that it was cast from has them.
    fileprivate func withNulls(of source: Column) -> Column {
        guard case .variant(let given) = source.storage, case .bytes(let values) = storage,
            given.kinds.contains(VariantKind.null.rawValue)
        else { return self }
        var filled = ByteColumn(reserving: count, bytes: values.data.count + 4)
        var validity = validity
        for row in 0..<count {
            if given.kinds[row] == VariantKind.null.rawValue {
                filled.data.append(contentsOf: "null".utf8)
                validity[row] = 1
            } else {
                filled.data.append(contentsOf: values[row])
            }
            filled.endValue()
        }
        return Column(.jsonb, .bytes(filled), validity: validity)
    }
}
