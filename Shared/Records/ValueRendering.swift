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

    /// Appends a value as a CSV field: NULL is nothing, an empty text is `""`; other values are as in JSON without
    /// its quotes, quoted where they hold a comma, a quote or a line end.
    public func appendCSV(_ row: Int, into output: inout [UInt8]) {
        guard isPresent(row) else { return }
        let start = output.count
        if case .int64(let values) = storage, type == .typed(.timestamptz) {
            return TextOutput.append(rfc3339: values[row], into: &output)
        }
        TextOutput.append(self, row, into: &output)
        let field = output[start...]
        guard field.isEmpty || field.contains(where: { $0 == 0x22 || $0 == 0x2C || $0 == 0x0A || $0 == 0x0D }) else {
            return
        }
        var quoted: [UInt8] = [0x22]
        for byte in field {
            if byte == 0x22 { quoted.append(0x22) }
            quoted.append(byte)
        }
        quoted.append(0x22)
        output.replaceSubrange(start..., with: quoted)
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
