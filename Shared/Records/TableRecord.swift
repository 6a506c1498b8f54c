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
        var (given, faults) = try fields(of: frame)
        let failed = faults.count
        var batch = RecordBatch(rows: given.rows)
        batch.columns.reserveCapacity(columns.count)
        for (name, type) in columns {
            guard let column = given[name] else {
                batch.columns.append(NamedColumn(name, .nulls(type, count: given.rowCount)))
                continue
            }
            let cast = values(of: column, as: type, rows: given.rows, name: name)
            faults += cast.faults
            batch.columns.append(NamedColumn(name, cast.column))
        }
        batch.extra = given.extra
        if faults.count > failed {
            let bad = Set(faults[failed...].map(\.row))
            batch.keep(batch.rows.map { bad.contains($0) ? 0 : 1 })
        }
        faults.sort { $0.row < $1.row }
        return (batch, faults)
    }

    /// Reads such records as they are: a column for each field, untyped, and as `extra` the values of ``extra``. Faults
    /// are those of a ``RecordDecoder``.
    /// - Parameter frame: of NDJSON.
    public static func fields(
        of frame: BatchFrame
    ) throws(RecordsError) -> (batch: RecordBatch, faults: [RowFault]) {
        let decoder = RecordDecoder(limits: DecodeLimits(depth: 1_000, cells: .max))
        var (batch, faults) = try decoder.decode(frame)
        batch.extra = batch.extra.map(others)
        return (batch, faults)
    }

    /// The values of a field that ``fields(of:)`` gave, as a column of a table has them.
    public static func values(
        of field: Column, as type: ColumnType, rows: [Int32], name: String
    ) -> (column: Column, faults: [RowFault]) {
        let cast = field.cast(to: type, rows: rows, name: name)
        return (type == .jsonb ? cast.column.withNulls(of: field) : cast.column, cast.faults)
    }

    /// The records of a frame with the members of their ``extra`` as fields beside their own, of which those count
    /// where both have a name; nil where no record has any.
    /// - Parameter batch: what ``fields(of:)`` gave of the frame.
    public static func spread(_ frame: BatchFrame, _ batch: RecordBatch) -> BatchFrame? {
        guard let extra = batch.extra, case .bytes(let objects) = extra.storage else { return nil }
        var spread = BatchFrame(format: frame.format)
        let offsets = frame.offsets()
        var (next, found) = (0, false)
        for index in 0..<frame.recordCount {
            let record = frame.record(index, offsets: offsets)
            guard next < batch.rowCount, batch.rows[next] == Int32(index) else {
                spread.append(record: record)
                continue
            }
            let inner = members(of: objects[next], extra.isPresent(next))
            next += 1
            guard !inner.isEmpty, record.first == 0x7B else {
                spread.append(record: record)
                continue
            }
            found = true
            // Of a repeated key the last counts.
            var joined: [UInt8] = [0x7B]
            joined += inner
            joined.append(0x2C)
            joined += record.dropFirst()
            spread.append(record: joined)
        }
        return found ? spread : nil
    }

    /// What stands between an object's braces; nothing where it has no member, or is none.
    private static func members(of object: some Collection<UInt8>, _ isPresent: Bool) -> [UInt8] {
        guard isPresent, object.first == 0x7B else { return [] }
        let members = Array(object.dropFirst().dropLast())
        return members.contains { $0 > 0x20 } ? members : []
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
