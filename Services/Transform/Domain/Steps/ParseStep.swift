import Expressions
import Records

/// Reads a text column as something more: its fields become columns.
///
/// From `line` the result replaces the whole record. From another column it takes that column's place, and row by row
/// that of fields with the same names: what the text of a row has replaces what its record had, NULL too, and formats
/// of fixed fields have all of them. Where the text is NULL, or lacks the field, the record's own value stays.
///
/// A column that has a type by then keeps it: what is parsed is cast to it. If what is parsed has a type, values that
/// stay are cast to that one. A row whose value is not of the type is turned down.
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
        if from != "line" { result.columns.removeAll { ColumnName.isSame($0.name, from) } }
        var rejected = Rejections(result, context)
        for (row, message) in parsed.failed {
            rejected.add(row, code: "parse_failed", column: from, message)
        }
        for named in parsed.columns {
            Self.put(named, in: &result, parsed: text.validity, &rejected)
        }
        result.add(extra: parsed.extra, names: parsed.extraNames)
        return StepResult(result, removing: rejected.marks, faults: rejected.faults)
    }

    /// Puts a parsed column beside the others, or into the one with its name where the rows' texts have the field.
    private static func put(
        _ named: NamedColumn, in batch: inout RecordBatch, parsed: [UInt8], _ rejected: inout Rejections
    ) {
        guard let place = batch.index(of: named.name) else { return batch.columns.append(named) }
        var column = named.column
        var own = batch.columns[place].column
        var taken = parsed
        if case .variant(let values) = column.storage {
            for row in taken.indices where values.kind(row) == .missing { taken[row] = 0 }
        }
        switch (own.type, column.type) {
        case (.typed(let type), .untyped):
            column = rejected.cast(column, to: type, name: named.name)
        case (_, .typed(let type)):
            for row in taken.indices where taken[row] != 0 { own.validity[row] = 0 }
            own = rejected.cast(own, to: type, name: named.name)
        case (.untyped, .untyped): break
        }
        batch.columns[place].column = own.overlaid(by: column, where: taken)
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
