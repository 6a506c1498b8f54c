import Expressions
import Records

/// Reads a text column as something more: its fields become columns.
///
/// From `line` the result replaces the whole record; from another column it takes that column's place.
struct ParseStep: PipelineStep {
    enum Reader: Sendable {
        case log(LogLineReader.Format)
        case regex(NamedGroupPattern)
        /// JSON objects, or CSV with this header row.
        case records(RecordFormat, header: [UInt8])
    }

    let reader: Reader
    let from: String

    /// The names of the columns it makes, nil if they depend on the records.
    var columns: [(name: String, kind: ColumnKind)]? {
        switch reader {
        case .log(let format): LogLineReader.columns(format).map { ($0.name, .typed($0.type)) }
        case .regex(let pattern): pattern.names.map { ($0, .untyped) }
        case .records: nil
        }
    }

    func apply(_ batch: RecordBatch, place: String) -> StepResult {
        let text = batch.text(from)
        var parsed: [NamedColumn]
        var extra: Column?
        var failed: [(row: Int, message: String)]
        switch reader {
        case .log(let format):
            var reader = LogLineReader(format, rows: batch.rowCount)
            reader.read(text.values, validity: text.validity)
            (parsed, failed) = (reader.columns, reader.failed)
        case .regex(let pattern):
            let extraction = pattern.extract(text.values, validity: text.validity)
            parsed = zip(pattern.names, extraction.columns).map { NamedColumn($0, $1.asCells) }
            failed = extraction.failed
        case .records(let format, let header):
            let nested = NestedRecords.decode(text.values, text.validity, format, header: header)
            (parsed, extra, failed) = (nested.columns, nested.extra, nested.failed)
        }
        var result = from == "line" ? RecordBatch(rows: batch.rows, extra: extra) : batch
        if from != "line" { result.columns.removeAll { $0.name == from } }
        for column in parsed { result.set(column.name, column.column) }
        return Self.rejecting(failed, in: result, column: from, place: place)
    }

    static func rejecting(
        _ failed: [(row: Int, message: String)], in batch: RecordBatch, column: String, place: String
    ) -> StepResult {
        guard !failed.isEmpty else { return StepResult(batch) }
        var marks = [UInt8](repeating: 0, count: batch.rowCount)
        let faults = failed.map { row, message in
            marks[row] = 1
            return RowFault(
                row: batch.rows[row], code: "parse_failed", step: place, column: column, message: message)
        }
        return StepResult(batch, removing: marks, faults: faults)
    }
}

extension Column {
    /// A text column as untyped cells, whose type is then inferred or taken from context.
    var asCells: Column {
        guard case .bytes(let bytes) = storage else { return self }
        var cells = VariantColumn(arena: bytes.data)
        cells.kinds.reserveCapacity(count)
        cells.payloads.reserveCapacity(count)
        for row in 0..<count {
            let range = bytes.range(row)
            if validity[row] != 0 {
                cells.append(.cell, payload: UInt64(range.lowerBound) << 32 | UInt64(range.count))
            } else {
                cells.append(.null)
            }
        }
        return Column(untyped: cells)
    }
}

/// Decodes records that lie inside a column, by the decoder of whole bodies.
enum NestedRecords {
    struct Decoded {
        var columns: [NamedColumn]
        var extra: Column?
        var failed: [(row: Int, message: String)]
    }

    /// A NULL has no fields.
    static func decode(
        _ texts: ByteColumn, _ validity: [UInt8], _ format: RecordFormat, header: [UInt8] = []
    ) -> Decoded {
        var frame = BatchFrame(format: format, header: header)
        frame.bytes.reserveCapacity(texts.data.count + texts.count)
        let present = (0..<texts.count).filter { validity[$0] != 0 }
        for row in present { frame.append(record: texts[row]) }
        let decoded: (batch: RecordBatch, faults: [RowFault])
        do throws(RecordsError) {
            decoded = try RecordDecoder().decode(frame)
        } catch {
            return Decoded(columns: [], extra: nil, failed: present.map { ($0, error.message) })
        }
        // Rows that could not be decoded, and NULLs, take a row of missing fields from the end.
        let last = decoded.batch.rowCount
        var places = [Int](repeating: last, count: texts.count)
        for (place, ordinal) in decoded.batch.rows.enumerated() { places[present[Int(ordinal)]] = place }
        func spread(_ column: Column) -> Column {
            var column = column
            let none: Column =
                switch column.type {
                case .untyped: Column(untyped: VariantColumn(kinds: [0], payloads: [0]))
                case .typed(let type): .nulls(type, count: 1)
                }
            _ = column.append(none)
            return column.gathered(places)
        }
        return Decoded(
            columns: decoded.batch.columns.map { NamedColumn($0.name, spread($0.column)) },
            extra: decoded.batch.extra.map(spread),
            failed: decoded.faults.map { (present[Int($0.row)], $0.message) })
    }
}

/// Makes the fields of objects columns of their own, named after the column: `payload` with `{"a": 1}` gives
/// `payload_a`. What is no object gives none.
struct FlattenStep: PipelineStep {
    let names: [String]

    func apply(_ batch: RecordBatch, place: String) -> StepResult {
        var batch = batch
        for name in names {
            guard batch.index(of: name) != nil else { continue }
            let text = batch.text(name)
            let isObject = (0..<batch.rowCount).map { row -> UInt8 in
                text.validity[row] & (text.values[row].first { $0 > 0x20 } == UInt8(ascii: "{") ? 1 : 0)
            }
            let nested = NestedRecords.decode(text.values, isObject, .ndjson)
            batch.columns.removeAll { $0.name == name }
            for column in nested.columns { batch.set("\(name)_\(column.name)", column.column) }
        }
        return StepResult(batch)
    }
}
