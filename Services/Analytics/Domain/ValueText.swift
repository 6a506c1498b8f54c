import Records

/// Writes values as answers have them, from PostgreSQL's text format with `DateStyle` ISO and `TimeZone` UTC.
enum ValueText {
    /// Appends a value as JSON: numbers with all their digits, NaN and infinities as strings, timestamptz in RFC 3339
    /// with `Z`, json embedded.
    static func appendJSON(
        _ text: Span<UInt8>, _ shape: ValueShape, _ numbers: NumberStyle, into output: inout [UInt8]
    ) {
        switch shape {
        case .integer, .jsonb: JSONText.append(text, into: &output)
        case .wideInteger: append(text, quoted: numbers == .strings && isWide(text), into: &output)
        case .numeric: append(text, quoted: numbers == .strings || !endsInDigit(text), into: &output)
        case .float: append(text, quoted: !endsInDigit(text), into: &output)
        case .bool: append(bool: text, into: &output)
        case .json: append(json: text, into: &output)
        case .timestamptz, .timestamp:
            output.append(0x22)
            append(time: text, into: &output)
            output.append(0x22)
        case .text: JSONText.appendString(text, into: &output)
        case .array(let element): append(array: text, of: element, numbers, into: &output)
        }
    }

    /// Appends a value as a CSV field: as in JSON without a string's quotes; in CSV's quotes where it is empty or holds
    /// a comma, a quote or a line end.
    static func appendCSV(_ text: Span<UInt8>, _ shape: ValueShape, into output: inout [UInt8]) {
        switch shape {
        case .integer, .wideInteger, .numeric, .float: JSONText.append(text, into: &output)
        case .bool: append(bool: text, into: &output)
        case .timestamptz, .timestamp: append(time: text, into: &output)
        case .text: CSVText.append(text, into: &output)
        case .json, .jsonb, .array:
            var json: [UInt8] = []
            appendJSON(text, shape, .plain, into: &json)
            CSVText.append(json.span, into: &output)
        }
    }

    private static func append(_ text: Span<UInt8>, quoted: Bool, into output: inout [UInt8]) {
        if quoted { output.append(0x22) }
        JSONText.append(text, into: &output)
        if quoted { output.append(0x22) }
    }

    private static func endsInDigit(_ text: Span<UInt8>) -> Bool {
        !text.isEmpty && text[text.count - 1] &- 0x30 < 10
    }

    /// Beyond ±(2⁵³−1).
    private static func isWide(_ text: Span<UInt8>) -> Bool {
        var magnitude: UInt64 = 0
        for at in text.indices where text[at] != 0x2D { magnitude = magnitude &* 10 &+ UInt64(text[at] &- 0x30) }
        return magnitude > 9_007_199_254_740_991
    }

    private static func append(bool text: Span<UInt8>, into output: inout [UInt8]) {
        output.append(contentsOf: (!text.isEmpty && text[0] == 0x74 ? "true" : "false").utf8)
    }

    /// A line end would cut a line of NDJSON in two; outside of strings, where JSON has none, a space means the same.
    private static func append(json text: Span<UInt8>, into output: inout [UInt8]) {
        for at in text.indices {
            let byte = text[at]
            output.append(byte == 0x0A || byte == 0x0D ? 0x20 : byte)
        }
    }

    /// `2026-11-20 13:25:00.5+00` becomes `2026-11-20T13:25:00.5Z`; infinity and what follows the time stay.
    private static func append(time text: Span<UInt8>, into output: inout [UInt8]) {
        // Of a year of four digits, in UTC.
        let end = text.count - 3
        if end >= 19, text[10] == 0x20, text[end] == 0x2B, text[4] == 0x2D {
            JSONText.append(text.extracting(0..<10), into: &output)
            output.append(0x54)
            JSONText.append(text.extracting(11..<end), into: &output)
            output.append(0x5A)
            return
        }
        var isDate = true
        var isZone = false
        for at in text.indices {
            switch text[at] {
            case 0x20 where isDate:
                isDate = false
                output.append(0x54)
            case 0x2B where !isDate:
                isZone = true
                output.append(0x5A)
            case 0x20:
                isZone = false
                output.append(0x20)
            case let byte where !isZone: output.append(byte)
            default: break
            }
        }
    }
}
