/// Names that a scope is narrowed to: `web`, `web_*`, `*_raw`. `*` stands for any octets, none among them.
///
/// A pattern has 1 to 64 of the octets `a-z 0-9 _ *`, so that it means the same in a key's list, in SQL and here.
public struct NamePattern: Sendable, Hashable, CustomStringConvertible {
    public static let longest = 64
    private static let star = UInt8(ascii: "*")

    private let octets: [UInt8]

    /// Nil unless `text` has the form of one.
    public init?(_ text: Substring) {
        guard (1...Self.longest).contains(text.utf8.count), text.utf8.allSatisfy(Self.isAllowed) else { return nil }
        octets = Array(text.utf8)
    }

    public var description: String { String(decoding: octets, as: UTF8.self) }

    /// Whether the pattern stands for the name.
    public func matches(_ name: String) -> Bool { Self.matches(octets.span, name.utf8.span) }

    /// Whether all names that the other one stands for are among this one's. Its stars are read as octets that only a
    /// star of this one takes in, which is enough; a pattern that says the same in another way may be refused.
    func covers(_ other: NamePattern) -> Bool { Self.matches(octets.span, other.octets.span) }

    /// The pattern as PostgreSQL's LIKE has it.
    var like: String {
        octets.reduce(into: "") { text, octet in
            switch octet {
            case Self.star: text += "%"
            case UInt8(ascii: "_"): text += "\\_"
            default: text.unicodeScalars.append(UnicodeScalar(octet))
            }
        }
    }

    /// One star at a time takes in more, so that the time is bounded by the product of the lengths.
    private static func matches(_ pattern: Span<UInt8>, _ name: Span<UInt8>) -> Bool {
        var (place, at) = (0, 0)
        var retry: (place: Int, at: Int)?
        while at < name.count {
            if place < pattern.count, pattern[place] == star {
                retry = (place + 1, at)
                place += 1
            } else if place < pattern.count, pattern[place] == name[at] {
                place += 1
                at += 1
            } else if let (after, from) = retry {
                retry = (after, from + 1)
                (place, at) = (after, from + 1)
            } else {
                return false
            }
        }
        while place < pattern.count, pattern[place] == star { place += 1 }
        return place == pattern.count
    }

    private static func isAllowed(_ octet: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(octet)
            || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(octet)
            || octet == UInt8(ascii: "_") || octet == star
    }
}
