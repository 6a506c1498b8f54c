/// What is wrong with a text that should become a value.
public enum InputFault: Error, Sendable, Equatable {
    /// It is not written as the type's values are.
    case syntax
    /// The value is outside the type's range.
    case range
    /// A date or time field is out of its range, as in 2023-02-30.
    case field
    /// An offset from UTC is out of range.
    case displacement
    case unknownZone(String)
    /// A number beyond float8, without what follows it in the text.
    case float8Range(String)
    /// No value of the type is the same one.
    case loss
    /// It is not written as values are of which the type is inferred.
    case form
    /// A JSON number where there should be a time.
    case number

    /// A stable name: `invalid_cast` where the text is not of the type, `out_of_range` where its value does not fit.
    public var code: String {
        switch self {
        case .syntax, .unknownZone, .loss, .form, .number: "invalid_cast"
        case .range, .field, .displacement, .float8Range: "out_of_range"
        }
    }

    /// The fault, in PostgreSQL's words where it knows it.
    public func message(_ type: ColumnType, _ text: String) -> String {
        let shown = Self.shortened(text)
        return switch self {
        case .syntax where type == .jsonb: "invalid input syntax for type json: \"\(shown)\""
        case .syntax: "invalid input syntax for type \(type.displayName): \"\(shown)\""
        case .field: "date/time field value out of range: \"\(shown)\""
        case .displacement: "time zone displacement out of range: \"\(shown)\""
        case .unknownZone(let zone): "time zone \"\(zone)\" not recognized"
        case .float8Range(let number):
            "\"\(Self.shortened(number))\" is out of range for type double precision"
        case .range: rangeMessage(type, shown)
        case .loss: "\"\(shown)\" does not fit \(type.displayName) without loss"
        case .form: "\"\(shown)\" is no value of the inferred type \(type.displayName)"
        case .number: "a number is no \(type.displayName): \(shown)"
        }
    }

    private func rangeMessage(_ type: ColumnType, _ shown: String) -> String {
        switch type {
        case .float8: "\"\(shown)\" is out of range for type double precision"
        case .numeric: "value overflows numeric format"
        case .timestamptz: "timestamp out of range: \"\(shown)\""
        case .date: "date out of range: \"\(shown)\""
        case .jsonb: "a number in the JSON text is out of range"
        default: "value \"\(shown)\" is out of range for type \(type.displayName)"
        }
    }

    /// Messages are kept with every quarantined row, so long values are cut.
    private static func shortened(_ text: String) -> String {
        text.utf8.count <= 200 ? text : text.prefix(100) + "…"
    }
}

/// PostgreSQL 15's text input functions: what `'…'::type` takes and means, for UTF-8 bytes, with time zone UTC,
/// DateStyle ISO, MDY. Where one differs its documentation says so.
public enum TextInput {
    static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (byte >= 0x09 && byte <= 0x0D) }

    static func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }

    static func isLetter(_ byte: UInt8) -> Bool { (byte | 0x20) &- 0x61 < 26 }

    /// What is left of the text without white space at both ends.
    static func trimmed(_ text: Span<UInt8>) -> Range<Int> {
        var start = 0
        var end = text.count
        while start < end, isSpace(text[start]) { start += 1 }
        while end > start, isSpace(text[end - 1]) { end -= 1 }
        return start..<end
    }

    /// Whether the text is this ASCII word, in whatever case. The word is given in lower case.
    static func isWord(_ text: Span<UInt8>, _ word: StaticString) -> Bool {
        guard text.count == word.utf8CodeUnitCount else { return false }
        for i in 0..<text.count where unsafe lower(text[i]) != word.utf8Start[i] { return false }
        return true
    }

    static func lower(_ byte: UInt8) -> UInt8 { byte &- 0x41 < 26 ? byte | 0x20 : byte }

    /// `bigint`: white space, a sign, decimal digits, white space.
    public static func int8(_ text: Span<UInt8>) throws(InputFault) -> Int64 {
        var at = 0
        let count = text.count
        while at < count, isSpace(text[at]) { at += 1 }
        var isNegative = false
        if at < count, text[at] == 0x2D || text[at] == 0x2B {
            isNegative = text[at] == 0x2D
            at += 1
        }
        let digits = at
        var value: UInt64 = 0
        var overflows = false
        while at < count, isDigit(text[at]) {
            let (product, over) = value.multipliedReportingOverflow(by: 10)
            let (sum, carry) = product.addingReportingOverflow(UInt64(text[at] &- 0x30))
            overflows = overflows || over || carry
            value = sum
            at += 1
        }
        guard at > digits else { throw .syntax }
        while at < count, isSpace(text[at]) { at += 1 }
        // PostgreSQL looks at what follows the digits before it turns 2⁶³ down, but after any larger number.
        guard !overflows, value <= 1 << 63 else { throw .range }
        guard at == count else { throw .syntax }
        guard isNegative || value < 1 << 63 else { throw .range }
        return isNegative ? Int64(truncatingIfNeeded: 0 &- value) : Int64(value)
    }

    /// `boolean`: beginnings of true, false, yes, no; on, off, of, 1, 0; in any case, with white space around.
    public static func bool(_ text: Span<UInt8>) throws(InputFault) -> Bool {
        let word = text.extracting(trimmed(text))
        guard word.count > 0 else { throw .syntax }
        switch lower(word[0]) {
        case 0x74 where isPrefix(word, of: "true"): return true
        case 0x79 where isPrefix(word, of: "yes"): return true
        case 0x66 where isPrefix(word, of: "false"): return false
        case 0x6E where isPrefix(word, of: "no"): return false
        case 0x6F where word.count > 1 && isPrefix(word, of: "on"): return true
        case 0x6F where word.count > 1 && isPrefix(word, of: "off"): return false
        case 0x31 where word.count == 1: return true
        case 0x30 where word.count == 1: return false
        default: throw .syntax
        }
    }

    private static func isPrefix(_ text: Span<UInt8>, of word: StaticString) -> Bool {
        guard text.count <= word.utf8CodeUnitCount else { return false }
        for i in 0..<text.count where unsafe lower(text[i]) != word.utf8Start[i] { return false }
        return true
    }

    /// `uuid`: 32 hexadecimal digits, a hyphen allowed after each four, braces allowed around. 16 bytes are appended.
    public static func uuid(_ text: Span<UInt8>, into output: inout [UInt8]) throws(InputFault) {
        var at = 0
        let count = text.count
        let hasBraces = count > 0 && text[0] == 0x7B
        if hasBraces { at = 1 }
        let start = output.count
        for byte in 0..<16 {
            guard at + 1 < count, let high = hexDigit(text[at]), let low = hexDigit(text[at + 1]) else {
                output.removeLast(output.count - start)
                throw .syntax
            }
            output.append(high << 4 | low)
            at += 2
            if byte % 2 == 1, byte < 15, at < count, text[at] == 0x2D { at += 1 }
        }
        if hasBraces, at < count, text[at] == 0x7D {
            at += 1
        } else if hasBraces {
            at = -1
        }
        guard at == count else {
            output.removeLast(16)
            throw .syntax
        }
    }

    private static func hexDigit(_ byte: UInt8) -> UInt8? {
        if isDigit(byte) { return byte &- 0x30 }
        let letter = (byte | 0x20) &- 0x61
        return letter < 6 ? letter + 10 : nil
    }
}
