import Buffers

/// One line of the log under construction: a JSON object in a buffer of its own.
public struct LogLine: ~Copyable {
    private(set) var octets: OctetBuffer

    init(capacity: Int) {
        octets = OctetBuffer(capacity: capacity)
    }

    var bytes: [UInt8] { octets.array() }

    mutating func removeAll() { octets.removeAll() }

    /// Begins a line. `time` ends in the point before the second's fraction, and `lead` goes on after it.
    mutating func begin(_ time: [UInt8], _ microseconds: Int64, _ lead: [UInt8]) {
        append(#"{"ts":""#)
        append(time)
        octets.append(decimal: Int(microseconds), digits: 6)
        append(lead)
    }

    /// The first octets of a time as `append(microsecondsSince1970:)` writes it.
    static func time(microsecondsSince1970 time: Int64, upTo count: Int) -> [UInt8] {
        var line = LogLine(capacity: 32)
        line.append(microsecondsSince1970: time)
        return Array(line.bytes.prefix(count))
    }

    public mutating func append(_ text: StaticString) { octets.append(text) }

    mutating func append(_ prepared: [UInt8]) { octets.append(prepared) }

    mutating func append(_ byte: UInt8) { octets.append(byte) }

    /// Appends `,"key":value`.
    mutating func append(key: String, _ value: LogValue) {
        append(UInt8(ascii: ","))
        append(quoted: key)
        append(UInt8(ascii: ":"))
        switch value {
        case .string(let text): append(quoted: text)
        case .int(let number): octets.append(decimal: number)
        case .double(let number): append(number)
        case .bool(let flag): append(flag ? "true" : "false")
        case .duration(let duration): append(duration.logSeconds)
        case .redacted: append(#""<redacted>""#)
        }
    }

    mutating func append(_ number: Double) {
        if number.isFinite {
            octets.append(number.description)
        } else {
            append(quoted: number.description)
        }
    }

    /// Appends a JSON string (RFC 8259, section 7); U+2028 and its like stay as they are.
    mutating func append(quoted text: String) {
        append(UInt8(ascii: "\""))
        append(escaping: text.utf8.span)
        append(UInt8(ascii: "\""))
    }

    private mutating func append(escaping text: Span<UInt8>) {
        for index in text.indices where Self.needsEscape(text[index]) {
            for octet in text.indices { append(escaping: text[octet]) }
            return
        }
        octets.append(text)
    }

    /// Controls, the quote, the backslash and DEL, as a bit set of the octets below 128.
    private static func needsEscape(_ byte: UInt8) -> Bool {
        let set: UInt64 = byte < 64 ? 0x0000_0004_FFFF_FFFF : 0x8000_0000_1000_0000
        return byte < 128 && set >> UInt64(byte & 63) & 1 == 1
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
            octets.append(hexadecimal: UInt64(byte), digits: 2)
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
        octets.append(decimal: Int(number), digits: digits)
        append(UInt8(ascii: separator))
    }
}

// MARK: - Fields of a line that is written often

/// Each appends one value, and what stands before it as it is: `,"http.status":`. Text is given its quotes here.
extension LogLine {
    public mutating func append(_ lead: StaticString, _ text: String) {
        append(lead)
        append(quoted: text)
    }

    /// Text that has nothing that JSON escapes, without quotes.
    public mutating func append(_ lead: StaticString, plain text: String) {
        append(lead)
        octets.append(text)
    }

    /// Text that is not known to be UTF-8 must be ASCII.
    public mutating func append(_ lead: StaticString, octets text: ArraySlice<UInt8>) {
        append(lead)
        append(UInt8(ascii: "\""))
        append(escaping: text.span)
        append(UInt8(ascii: "\""))
    }

    public mutating func append(_ lead: StaticString, _ number: Int) {
        append(lead)
        octets.append(decimal: number)
    }

    /// Seconds with six fractional digits.
    public mutating func append(_ lead: StaticString, microseconds: Int) {
        append(lead)
        octets.append(decimal: microseconds / 1_000_000)
        append(UInt8(ascii: "."))
        octets.append(decimal: microseconds % 1_000_000, digits: 6)
    }

    /// Without quotes.
    public mutating func append(_ lead: StaticString, _ id: RequestID) {
        append(lead)
        id.write(to: &octets)
    }

    /// The trace's id without quotes.
    public mutating func append(_ lead: StaticString, traceOf context: TraceContext) {
        append(lead)
        context.writeTraceID(to: &octets)
    }
}

extension Duration {
    /// Seconds, for display; a double holds nanoseconds up to a hundred days.
    fileprivate var logSeconds: Double {
        let (seconds, attoseconds) = components
        return Double(seconds) + Double(attoseconds) * 1e-18
    }
}
