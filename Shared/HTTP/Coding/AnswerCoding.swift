/// A content coding that answers are sent in (RFC 9110, section 8.4.1; RFC 8878), the better one first.
public enum AnswerCoding: String, Sendable, CaseIterable {
    case zstd, gzip
}

/// What `Accept-Encoding` says (RFC 9110, section 12.5.3).
public struct AcceptedCodings: Sendable, Hashable {
    /// In thousandths; 0 is refused.
    private var zstd = 0
    private var gzip = 0
    /// Nil: not said, so it is accepted if nothing better is.
    private var identity: Int?

    /// The header's absence, and an empty one, ask for no coding. Members that are malformed count as not there.
    public init(_ head: HTTPRequestHead) {
        var named: [String: Int] = [:]
        for member in head.values("accept-encoding").flatMap({ FieldScanner.list($0) }) {
            guard let (name, weight) = AcceptedCodings.member(member) else { continue }
            named[name] = weight
        }
        // A client that accepts anything may mean what it knows: it is given what all know.
        zstd = named["zstd"] ?? 0
        gzip = named["gzip"] ?? named["x-gzip"] ?? named["*"] ?? 0
        identity = named["identity"] ?? named["*"]
    }

    /// Whether an answer without a coding is refused. It is sent all the same where there is no other: by then the
    /// request has been carried out, and 406 would hide that.
    public var refusesIdentity: Bool { identity == 0 }

    /// The best of the codings that an answer is there in; nil for none.
    public func choose(from offers: [AnswerCoding] = AnswerCoding.allCases) -> AnswerCoding? {
        var best: (coding: AnswerCoding?, weight: Int) = (nil, 0)
        for coding in AnswerCoding.allCases where offers.contains(coding) {
            let weight = coding == .zstd ? zstd : gzip
            if weight > best.weight { best = (coding, weight) }
        }
        return identity ?? 0 > best.weight ? nil : best.coding
    }

    /// A coding's name in lower case, and its weight.
    private static func member(_ text: String) -> (name: String, weight: Int)? {
        var scanner = FieldScanner(text)
        guard let name = scanner.token(), let parameters = scanner.parameters(), scanner.isAtEnd else { return nil }
        guard let quality = parameters.first(where: { $0.name == "q" }) else { return (name.lowercased(), 1000) }
        return weight(Array(quality.value.utf8)).map { (name.lowercased(), $0) }
    }

    /// Zero or one with up to three decimals, in thousandths (RFC 9110, section 12.4.2).
    private static func weight(_ text: [UInt8]) -> Int? {
        guard let first = text.first, first == 0x30 || first == 0x31, text.count <= 5 else { return nil }
        if text.count > 1, text[1] != UInt8(ascii: ".") { return nil }
        var weight = Int(first &- 0x30) * 1000
        var unit = 100
        for digit in text.dropFirst(2) {
            guard Octets.isDigit(digit) else { return nil }
            weight += Int(digit &- 0x30) * unit
            unit /= 10
        }
        return weight <= 1000 ? weight : nil
    }
}
