/// One line of the log under construction: a JSON object in a byte buffer of its own.
struct LogLine {
    private(set) var bytes: [UInt8] = []

    init(capacity: Int) {
        bytes.reserveCapacity(capacity)
    }

    mutating func append(_ text: StaticString) {
        text.withUTF8Buffer { unsafe bytes.append(contentsOf: $0) }
    }

    mutating func append(_ prepared: [UInt8]) {
        bytes.append(contentsOf: prepared)
    }

    mutating func append(_ byte: UInt8) {
        bytes.append(byte)
    }

    /// Appends `,"key":value`.
    mutating func append(key: String, _ value: LogValue) {
        append(UInt8(ascii: ","))
        append(quoted: key)
        append(UInt8(ascii: ":"))
        switch value {
        case .string(let text): append(quoted: text)
        case .int(let number): append(number)
        case .double(let number): append(number)
        case .bool(let flag): append(flag ? "true" : "false")
        case .duration(let duration): append(duration.logSeconds)
        case .redacted: append(#""<redacted>""#)
        }
    }

    mutating func append(_ number: Int) {
        bytes.append(contentsOf: number.description.utf8)
    }

    mutating func append(_ number: Double) {
        if number.isFinite {
            bytes.append(contentsOf: number.description.utf8)
        } else {
            append(quoted: number.description)
        }
    }

    /// Appends a JSON string (RFC 8259, section 7); U+2028 and its like stay as they are.
    mutating func append(quoted text: String) {
        append(UInt8(ascii: "\""))
        if Self.isPlain(text.utf8.span) {
            bytes.append(contentsOf: text.utf8)
        } else {
            for byte in text.utf8 { append(escaping: byte) }
        }
        append(UInt8(ascii: "\""))
    }

    /// Appends a literal of the program as a JSON string; only quotes, backslashes and controls cost more.
    mutating func append(quotedLiteral text: StaticString) {
        append(UInt8(ascii: "\""))
        text.withUTF8Buffer { buffer in
            if unsafe buffer.contains(where: Self.needsEscape) {
                for index in buffer.indices { append(escaping: unsafe buffer[index]) }
            } else {
                unsafe bytes.append(contentsOf: buffer)
            }
        }
        append(UInt8(ascii: "\""))
    }

    private static func isPlain(_ text: Span<UInt8>) -> Bool {
        for index in text.indices where needsEscape(text[index]) { return false }
        return true
    }

    private static func needsEscape(_ byte: UInt8) -> Bool {
        byte < 0x20 || byte == 0x7F || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\")
    }

    private mutating func append(escaping byte: UInt8) {
        guard Self.needsEscape(byte) else { return append(byte) }
        append(UInt8(ascii: "\\"))
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"): append(byte)
        case UInt8(ascii: "\n"): append(UInt8(ascii: "n"))
        case UInt8(ascii: "\r"): append(UInt8(ascii: "r"))
        case UInt8(ascii: "\t"): append(UInt8(ascii: "t"))
        default:
            append("u00")
            append(Hexadecimal.digit(byte >> 4))
            append(Hexadecimal.digit(byte & 0xF))
        }
    }

    /// Appends a time as RFC 3339 in UTC with six fractional digits.
    mutating func append(microsecondsSince1970 time: Int64) {
        let (seconds, fraction) = floorDivide(time, 1_000_000)
        let (days, second) = floorDivide(seconds, 86_400)
        let date = CivilDate(daysSince1970: days)
        append(decimal: date.year, digits: 4, "-")
        append(decimal: date.month, digits: 2, "-")
        append(decimal: date.day, digits: 2, "T")
        append(decimal: second / 3600, digits: 2, ":")
        append(decimal: second / 60 % 60, digits: 2, ":")
        append(decimal: second % 60, digits: 2, ".")
        append(decimal: fraction, digits: 6, "Z")
    }

    private mutating func append(decimal number: Int64, digits: Int, _ separator: Unicode.Scalar) {
        var divisor: Int64 = 1
        for _ in 1..<digits { divisor *= 10 }
        while divisor > 0 {
            append(UInt8(truncatingIfNeeded: 48 + number / divisor % 10))
            divisor /= 10
        }
        append(UInt8(ascii: separator))
    }
}

extension Duration {
    /// Seconds, for display; a double holds nanoseconds up to a hundred days.
    fileprivate var logSeconds: Double {
        let (seconds, attoseconds) = components
        return Double(seconds) + Double(attoseconds) * 1e-18
    }
}
