/// A media type with its parameters (RFC 9110, section 8.3.1).
public struct MediaType: Sendable, Hashable, CustomStringConvertible {
    /// Type and subtype in lower case, such as `text/csv`; ranges hold `*`.
    public let essence: String
    /// Parameters in order, names in lower case, values unquoted.
    public let parameters: [Parameter]

    public struct Parameter: Sendable, Hashable {
        public let name: String
        public let value: String
    }

    public static let json = MediaType(essence: "application/json")
    public static let ndjson = MediaType(essence: "application/x-ndjson")
    public static let csv = MediaType(essence: "text/csv")
    public static let plainText = MediaType(essence: "text/plain")
    public static let html = MediaType(essence: "text/html")
    public static let eventStream = MediaType(essence: "text/event-stream")

    private init(essence: String) {
        self.essence = essence
        parameters = []
    }

    /// Those that most requests send, just so.
    private static let usual = [json, ndjson, csv, plainText]

    /// Nil when `text` is no media type.
    public init?(_ text: String) {
        if let usual = Self.usual.first(where: { $0.essence == text }) {
            self = usual
            return
        }
        var scanner = FieldScanner(text)
        guard let type = scanner.token(), scanner.take(UInt8(ascii: "/")), let subtype = scanner.token(),
            let parameters = scanner.parameters(), scanner.isAtEnd
        else { return nil }
        essence = "\(type)/\(subtype)".lowercased()
        self.parameters = parameters
    }

    public subscript(parameter: String) -> String? {
        parameters.first { $0.name == parameter }?.value
    }

    /// Whether the charset is UTF-8 or its subset US-ASCII, or not said.
    public var isUTF8: Bool {
        self["charset"].map { ["utf-8", "utf8", "us-ascii"].contains($0.lowercased()) } ?? true
    }

    public var description: String {
        parameters.reduce(essence) { "\($0); \($1.name)=\($1.value)" }
    }

    /// The offer that an `Accept` field likes best, the first of equals; nil when it likes none.
    ///
    /// Without the field, or with one that is malformed, the first offer is taken.
    public static func choose(_ accept: String?, from offers: [MediaType]) -> MediaType? {
        guard let accept, !accept.isEmpty else { return offers.first }
        let ranges = FieldScanner.list(accept).compactMap(MediaType.init)
        guard !ranges.isEmpty else { return offers.first }
        var best: (offer: MediaType, quality: Double)?
        for offer in offers {
            let quality = offer.quality(in: ranges)
            if quality > best?.quality ?? 0 { best = (offer, quality) }
        }
        return best?.offer
    }

    /// The weight of the most specific range that covers this type (RFC 9110, section 12.5.1).
    private func quality(in ranges: [MediaType]) -> Double {
        let type = essence.prefix { $0 != "/" }
        for pattern in [essence, "\(type)/*", "*/*"] {
            guard let range = ranges.first(where: { $0.essence == pattern }) else { continue }
            return range["q"].map { Double($0) ?? 0 } ?? 1
        }
        return 0
    }
}

/// Reads the parts of structured fields: tokens, quoted strings, parameters.
struct FieldScanner {
    private let bytes: [UInt8]
    private var at = 0

    init(_ text: String) {
        bytes = Array(text.utf8)
        skipSpace()
    }

    var isAtEnd: Bool { at == bytes.count }

    /// The members of a list, split at commas outside of quotes.
    static func list(_ text: String) -> [String] {
        var members: [[UInt8]] = [[]]
        var isQuoted = false
        var isEscaped = false
        for byte in text.utf8 {
            if byte == UInt8(ascii: ","), !isQuoted {
                members.append([])
                continue
            }
            if byte == UInt8(ascii: "\""), !isEscaped { isQuoted.toggle() }
            isEscaped = byte == UInt8(ascii: "\\") && isQuoted && !isEscaped
            members[members.count - 1].append(byte)
        }
        return members.map { String(decoding: Octets.trimmed($0[...]), as: UTF8.self) }.filter { !$0.isEmpty }
    }

    mutating func take(_ byte: UInt8) -> Bool {
        guard at < bytes.count, bytes[at] == byte else { return false }
        at += 1
        return true
    }

    mutating func token() -> String? {
        let start = at
        while at < bytes.count, Octets.isToken(bytes[at]) { at += 1 }
        return at > start ? String(decoding: bytes[start..<at], as: UTF8.self) : nil
    }

    mutating func parameters() -> [MediaType.Parameter]? {
        var parameters: [MediaType.Parameter] = []
        skipSpace()
        while take(UInt8(ascii: ";")) {
            skipSpace()
            guard let name = token() else { continue }
            guard take(UInt8(ascii: "=")), let value = token() ?? quoted() else { return nil }
            parameters.append(MediaType.Parameter(name: name.lowercased(), value: value))
            skipSpace()
        }
        return parameters
    }

    mutating func quoted() -> String? {
        guard take(UInt8(ascii: "\"")) else { return nil }
        var output: [UInt8] = []
        while at < bytes.count {
            let byte = bytes[at]
            at += 1
            if byte == UInt8(ascii: "\"") { return String(decoding: output, as: UTF8.self) }
            if byte == UInt8(ascii: "\\"), at < bytes.count {
                output.append(bytes[at])
                at += 1
            } else {
                output.append(byte)
            }
        }
        return nil
    }

    mutating func skipSpace() {
        while at < bytes.count, bytes[at] == Octets.space || bytes[at] == Octets.tab { at += 1 }
    }
}
