/// How numbers are written in JSON answers.
public enum NumberStyle: Sendable {
    /// As JSON numbers with all their digits.
    case plain
    /// numeric, and int8 beyond ±(2⁵³−1), as strings, for readers whose numbers are doubles.
    case strings
}

extension Column {
    /// Appends a value as JSON: NULL is null; float8 has its shortest digits, `NaN` and infinities are strings;
    /// timestamptz is RFC 3339 in UTC; jsonb is embedded; an untyped value is what its record had.
    public func appendJSON(_ row: Int, numbers: NumberStyle = .plain, into output: inout [UInt8]) {
        guard isPresent(row) else { return output.append(contentsOf: "null".utf8) }
        switch (storage, type) {
        case (.int64(let values), .typed(.timestamptz)):
            output.append(0x22)
            TextOutput.append(rfc3339: values[row], into: &output)
            output.append(0x22)
        case (.int64(let values), .typed(.int8)):
            let isWide = values[row].magnitude > 1 << 53 - 1
            appendText(row, quoted: numbers == .strings && isWide, into: &output)
        case (.float64(let values), _): appendText(row, quoted: !values[row].isFinite, into: &output)
        case (.bool, _), (.bytes, .typed(.jsonb)): appendText(row, quoted: false, into: &output)
        case (.bytes(let values), .typed(.numeric)):
            let last = values.data[Int(values.offsets[row + 1]) - 1]
            appendText(row, quoted: numbers == .strings || !TextInput.isDigit(last), into: &output)
        case (.bytes(let values), .typed(.text)):
            JSONText.appendString(values.data.span.extracting(values.range(row)), into: &output)
        case (.variant(let values), _):
            switch values.kind(row) {
            case .string, .cell:
                JSONText.appendString(values.arena.span.extracting(values.range(row)), into: &output)
            default: appendText(row, quoted: false, into: &output)
            }
        default: appendText(row, quoted: true, into: &output)
        }
    }

    /// All values as CSV fields: NULL is nothing, an empty text is `""`; others are as in JSON without its quotes, but
    /// quoted where they hold a comma, a quote or a line end.
    public func csvFields() -> ByteColumn {
        switch (storage, type) {
        case (.int64(let values), .typed(.timestamptz)):
            fields { TextOutput.append(rfc3339: values[$0], into: &$1) }
        case (.int64(let values), .typed(.date)): fields { TextOutput.append(date: values[$0], into: &$1) }
        case (.int64(let values), _): fields { TextOutput.append(values[$0], into: &$1) }
        case (.float64(let values), _): fields { TextOutput.append(values[$0], into: &$1) }
        case (.bool(let values), _):
            fields { $1.append(contentsOf: (values[$0] != 0 ? "true" : "false").utf8) }
        case (.bytes(let values), .typed(.uuid)): fields { TextOutput.append(uuid: values[$0], into: &$1) }
        case (.bytes(let values), .typed(.numeric)):
            fields { JSONText.append(values.data.span.extracting(values.range($0)), into: &$1) }
        case (.bytes(let values), _):
            fields { CSVText.append(values.data.span.extracting(values.range($0)), into: &$1) }
        case (.variant(let values), _):
            fields { row, output in
                var text: [UInt8] = []
                TextOutput.append(values, row, into: &text)
                CSVText.append(text.span, into: &output)
            }
        }
    }

    @inline(__always)
    private func fields(_ append: (Int, inout [UInt8]) -> Void) -> ByteColumn {
        var fields = ByteColumn(reserving: count, bytes: count * 12)
        for row in 0..<count {
            if isPresent(row) { append(row, &fields.data) }
            fields.endValue()
        }
        return fields
    }

    private func appendText(_ row: Int, quoted: Bool, into output: inout [UInt8]) {
        if quoted { output.append(0x22) }
        TextOutput.append(self, row, into: &output)
        if quoted { output.append(0x22) }
    }
}

extension RecordBatch {
    /// Appends a row as a JSON object of all its columns, in their order.
    public func appendJSON(_ row: Int, numbers: NumberStyle = .plain, into output: inout [UInt8]) {
        output.append(0x7B)
        for (index, named) in columns.enumerated() {
            if index > 0 { output.append(0x2C) }
            JSONText.appendString(named.name.utf8.span, into: &output)
            output.append(0x3A)
            named.column.appendJSON(row, numbers: numbers, into: &output)
        }
        output.append(0x7D)
    }
}
