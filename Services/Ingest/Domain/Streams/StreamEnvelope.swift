/// Where the parts of `{"seq": n, "records": […]}` lie in a message. Found by looking at its two members only: the
/// records are not read here, and not at all where they come last.
struct StreamEnvelope: Sendable, Equatable {
    let seq: Int64
    /// The array, with its brackets, if it is one.
    let records: Range<Int>

    /// The message looks like an envelope and is none.
    struct Malformed: Error, Equatable {
        let reason: String
    }

    /// Nil for anything that is no single object whose first two members are `seq`, a scalar, and `records`, an array:
    /// such a message is NDJSON, whatever its records are.
    init?(_ octets: [UInt8]) throws(Malformed) {
        var scanner = EnvelopeScanner(octets)
        guard scanner.take(UInt8(ascii: "{")) else { return nil }
        var number: Range<Int>?
        var array: Range<Int>?
        repeat {
            switch scanner.key() {
            case .seq where number == nil:
                number = scanner.scalar()
                if number == nil { return nil }
            case .records where array == nil:
                guard scanner.isAt(UInt8(ascii: "[")) else { return nil }
                array = scanner.array(isLast: number != nil)
                if array == nil { throw Malformed(reason: "the message ends before its records") }
            default:
                if number != nil, array != nil {
                    throw Malformed(reason: "a message has the members seq and records, each once, and no other")
                }
                return nil
            }
        } while scanner.take(UInt8(ascii: ","))
        guard let number, let array else { return nil }
        guard scanner.take(UInt8(ascii: "}")), scanner.isAtEnd else {
            throw Malformed(reason: "the message goes on after its object")
        }
        let text = String(decoding: octets[number], as: UTF8.self)
        guard let seq = Int64(text), seq > 0, String(seq) == text else {
            throw Malformed(reason: "seq is a whole number from 1 on")
        }
        self.seq = seq
        records = array
    }
}

/// Goes over the outer parts of a JSON object.
private struct EnvelopeScanner {
    enum Key {
        case seq, records, other
    }

    private static let quote = UInt8(ascii: "\"")
    private static let backslash = UInt8(ascii: "\\")
    private static let seq = Array("seq".utf8)
    private static let records = Array("records".utf8)

    private let octets: [UInt8]
    private var at = 0

    init(_ octets: [UInt8]) {
        self.octets = octets
    }

    var isAtEnd: Bool {
        mutating get {
            skipSpace()
            return at == octets.count
        }
    }

    private mutating func skipSpace() {
        while at < octets.count, Self.isSpace(octets[at]) { at += 1 }
    }

    private static func isSpace(_ octet: UInt8) -> Bool {
        octet == 0x20 || octet == 0x0A || octet == 0x0D || octet == 0x09
    }

    mutating func isAt(_ octet: UInt8) -> Bool {
        skipSpace()
        return at < octets.count && octets[at] == octet
    }

    mutating func take(_ octet: UInt8) -> Bool {
        guard isAt(octet) else { return false }
        at += 1
        return true
    }

    /// A member's name and its colon. One that is written with escapes is another.
    mutating func key() -> Key {
        guard isAt(Self.quote), let name = string(), take(UInt8(ascii: ":")) else { return .other }
        let text = octets[(name.lowerBound + 1)..<(name.upperBound - 1)]
        if text.elementsEqual(Self.seq) { return .seq }
        return text.elementsEqual(Self.records) ? .records : .other
    }

    /// A string, with its quotes.
    private mutating func string() -> Range<Int>? {
        let start = at
        at += 1
        while at < octets.count {
            switch octets[at] {
            case Self.quote:
                at += 1
                return start..<at
            case Self.backslash: at += 2
            default: at += 1
            }
        }
        at = min(at, octets.count)
        return nil
    }

    /// A value that is neither an object nor an array.
    mutating func scalar() -> Range<Int>? {
        if isAt(Self.quote) { return string() }
        let start = at
        while at < octets.count, !Self.isSpace(octets[at]), !Self.ends(octets[at]) { at += 1 }
        return at > start ? start..<at : nil
    }

    private static func ends(_ octet: UInt8) -> Bool {
        switch octet {
        case UInt8(ascii: ","), UInt8(ascii: "}"), UInt8(ascii: "{"), UInt8(ascii: "["), UInt8(ascii: "]"): true
        default: false
        }
    }

    /// An array. The last member ends with the object, before the last two brackets: whether it is one array that does
    /// is left to who cuts it.
    mutating func array(isLast: Bool) -> Range<Int>? {
        let start = at
        if isLast, let end = lastBracket() {
            at = end
            return start..<end
        }
        var depth = 0
        while at < octets.count {
            switch octets[at] {
            case Self.quote:
                guard string() != nil else { return nil }
                continue
            case UInt8(ascii: "["), UInt8(ascii: "{"): depth += 1
            case UInt8(ascii: "]"), UInt8(ascii: "}"): depth -= 1
            default: break
            }
            at += 1
            if depth == 0 { return start..<at }
        }
        return nil
    }

    /// Past the bracket that stands before the message's last brace, if it ends so.
    private func lastBracket() -> Int? {
        var end = octets.count
        func skipSpaceBack() {
            while end > at, Self.isSpace(octets[end - 1]) { end -= 1 }
        }
        skipSpaceBack()
        guard end > at, octets[end - 1] == UInt8(ascii: "}") else { return nil }
        end -= 1
        skipSpaceBack()
        return end > at + 1 && octets[end - 1] == UInt8(ascii: "]") ? end : nil
    }
}
