import JSON

/// One stream of octets that a client may send, and what must come of it. The README beside it says what the fields
/// mean.
public struct HTTPCase: Sendable, CustomStringConvertible {
    /// What holds after the last octet, if no fault came before.
    public enum End: String, Sendable {
        case open, closed, head, body
    }

    /// What a line of a file may not be.
    public struct Malformed: Error {
        public let line: String
    }

    public let name: String
    public let octets: [UInt8]
    public let requests: [[UInt8]]
    public let trailers: [String]?
    public let fault: Int?
    public let end: End
    public let early: Int?
    public let isInterim: Bool
    private let statuses: [Int]?

    /// The final statuses of the server's answers while the client has not ended its side.
    public var answers: [Int] {
        (statuses ?? requests.map { _ in 200 }) + [fault, early].compactMap(\.self)
    }

    /// Whether the server closes the connection by itself.
    public var isClosed: Bool { fault != nil || early != nil || end == .closed }

    public var description: String { name }

    init(_ line: String) throws {
        let value = try JSONValue.parse(line)
        guard let name = value["name"]?.string, let octets = value["send"].flatMap(HTTPCase.octets),
            let end = value["end"].map({ $0.string.flatMap(End.init) }) ?? .closed
        else { throw Malformed(line: line) }
        self.name = name
        self.octets = octets
        self.end = end
        requests = try (value["requests"]?.array ?? []).map { text in
            guard let octets = HTTPCase.octets(text) else { throw Malformed(line: line) }
            return octets
        }
        trailers = value["trailers"]?.array?.compactMap(\.string)
        fault = value["fault"]?.int
        early = value["early"]?.int
        isInterim = value["interim"]?.bool ?? false
        statuses = value["statuses"]?.array?.compactMap(\.int)
        guard (fault == nil) == (value["end"] != nil) else { throw Malformed(line: line) }
    }

    /// A string whose characters are octets, or an array of such strings and repetitions.
    private static func octets(_ value: JSONValue) -> [UInt8]? {
        if let text = value.string {
            let octets = text.unicodeScalars.compactMap { UInt8(exactly: $0.value) }
            return octets.count == text.unicodeScalars.count ? octets : nil
        }
        var all: [UInt8] = []
        for part in value.array ?? [] {
            guard let piece = octets(part["repeat"] ?? part) else { return nil }
            for _ in 0..<(part["times"]?.int ?? 1) { all += piece }
        }
        return all
    }
}
