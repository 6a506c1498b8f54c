/// A JSON number as its text, so that every digit of an `int8` or a `numeric` survives.
public struct JSONNumber: Sendable, Hashable {
    /// The number in JSON's own grammar (RFC 8259, section 6).
    public let text: String

    public init(_ value: some BinaryInteger) {
        text = String(value)
    }

    /// Nil for NaN and the infinities, which JSON has no number for.
    public init?(_ value: Double) {
        guard value.isFinite else { return nil }
        text = JSONNumber.shortest(value)
    }

    /// Nil when `text` is not a JSON number.
    public init?(text: String) {
        let bytes = Array(text.utf8)
        guard JSONNumber.end(of: bytes, from: 0) == bytes.count else { return nil }
        self.text = text
    }

    /// For text the parser has already checked.
    init(checked text: String) {
        self.text = text
    }

    /// The value as an integer, or nil when it has a fraction or does not fit.
    public var int64: Int64? {
        if let exact = Int64(text) { return exact }
        guard text.utf8.contains(where: { $0 == UInt8(ascii: ".") || $0 | 0x20 == UInt8(ascii: "e") }) else {
            return nil
        }
        guard let double = Double(text), double.magnitude < 9_007_199_254_740_992 else { return nil }
        return Int64(exactly: double)
    }

    /// The nearest double; nil when the number is beyond a double's range.
    public var double: Double? {
        guard let value = Double(text), value.isFinite else { return nil }
        return value
    }

    /// The shortest text that reads back as the same double, without a needless `.0`.
    static func shortest(_ value: Double) -> String {
        let text = value.description
        return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
    }

    /// The index after the number that starts at `start`, or nil when there is none.
    static func end(of bytes: [UInt8], from start: Int) -> Int? {
        let span = bytes.span
        var at = start
        func digits() -> Bool {
            let first = at
            while at < span.count, span[at] &- 0x30 < 10 { at += 1 }
            return at > first
        }
        if at < span.count, span[at] == UInt8(ascii: "-") { at += 1 }
        if at < span.count, span[at] == UInt8(ascii: "0") {
            at += 1
        } else if !digits() {
            return nil
        }
        if at < span.count, span[at] == UInt8(ascii: ".") {
            at += 1
            guard digits() else { return nil }
        }
        if at < span.count, span[at] | 0x20 == UInt8(ascii: "e") {
            at += 1
            if at < span.count, span[at] == UInt8(ascii: "+") || span[at] == UInt8(ascii: "-") { at += 1 }
            guard digits() else { return nil }
        }
        return at
    }
}
