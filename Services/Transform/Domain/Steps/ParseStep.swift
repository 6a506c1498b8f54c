import Expressions
import Records

/// Reads a text column as something more: its fields become columns.
///
/// From `line` the result replaces the whole record; from another column it takes that column's place, and that of
/// columns that have the names of its fields.
struct ParseStep: PipelineStep {
    enum Reader: Sendable {
        case log(LogLineReader.Format)
        case syslog
        case url
        case pairs(PairReader)
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
        case .syslog: SyslogReader.columns.map { ($0.name, .typed($0.type)) }
        case .url: URLReader.columns.map { ($0.name, .typed($0.type)) }
        case .regex(let pattern): pattern.names.map { ($0, .untyped) }
        case .pairs, .records: nil
        }
    }

    func apply(_ batch: RecordBatch, _ context: StepContext) -> StepResult {
        let text = batch.text(from)
        let parsed = parse(text.values, text.validity, context)
        var result = from == "line" ? RecordBatch(rows: batch.rows) : batch
        if from != "line" { result.columns.removeAll { $0.name == from } }
        for column in parsed.columns { result.set(column.name, column.column) }
        result.add(extra: parsed.extra, names: parsed.extraNames)
        return Self.rejecting(parsed.failed, in: result, column: from, context)
    }

    private func parse(_ texts: ByteColumn, _ validity: [UInt8], _ context: StepContext) -> NestedRecords {
        switch reader {
        case .log(let format): return Self.read(LogLineReader(format, rows: texts.count), texts, validity)
        case .syslog:
            return Self.read(SyslogReader(rows: texts.count, received: context.received), texts, validity)
        case .url: return Self.read(URLReader(rows: texts.count), texts, validity)
        case .pairs(let reader):
            let read = reader.records(of: texts, validity)
            var parsed = NestedRecords(read.frame, rows: read.rows, count: texts.count)
            // Fields of text formats have no types: they are inferred or taken from context, as those of CSV are.
            for index in parsed.columns.indices { parsed.columns[index].column.makeCells() }
            parsed.failed += read.failed
            return parsed
        case .regex(let pattern):
            let extraction = pattern.extract(texts, validity: validity)
            let columns = zip(pattern.names, extraction.columns).map { NamedColumn($0, $1.asCells) }
            return NestedRecords(columns: columns, failed: extraction.failed)
        case .records(let format, let header):
            return NestedRecords(texts, validity, format, header: header)
        }
    }

    private static func read(_ reader: some LineReader, _ texts: ByteColumn, _ validity: [UInt8]) -> NestedRecords {
        var reader = reader
        reader.read(texts, validity: validity)
        return NestedRecords(columns: reader.columns, failed: reader.failed)
    }

    private static func rejecting(
        _ failed: [(row: Int, message: String)], in batch: RecordBatch, column: String, _ context: StepContext
    ) -> StepResult {
        guard !failed.isEmpty else { return StepResult(batch) }
        var marks = [UInt8](repeating: 0, count: batch.rowCount)
        let faults = failed.map { row, message in
            marks[row] = 1
            return RowFault(
                row: batch.rows[row], code: "parse_failed", step: context.place, column: column, message: message)
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

    /// Makes strings of untyped values cells of a text format.
    fileprivate mutating func makeCells() {
        guard case .variant(var values) = storage else { return }
        storage = .bool([])
        for row in values.kinds.indices where values.kinds[row] == VariantKind.string.rawValue {
            values.kinds[row] = VariantKind.cell.rawValue
        }
        storage = .variant(values)
    }
}
