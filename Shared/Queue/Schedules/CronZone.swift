/// A time zone of the IANA database by its name, such as `Europe/Berlin`: upper and lower case count.
public struct CronZone: Sendable, Hashable, CustomStringConvertible {
    public static let maximumLength = 63
    /// The rule for names as a regular expression; whether the zone exists is another question.
    public static let pattern = "^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z][A-Za-z0-9_+-]*){0,2}$"

    public let name: String

    /// Nil when the system knows no such zone.
    public init?(_ name: String) {
        guard name.utf8.count <= Self.maximumLength, Self.isName(name), CivilClock(name) != nil else { return nil }
        self.name = name
    }

    public var description: String { name }

    var clock: CivilClock {
        guard let clock = CivilClock(name) else {
            preconditionFailure("a zone that was found stays for as long as the process lives")
        }
        return clock
    }

    /// Zone files lie by these names; a dot or a leading slash would lead elsewhere. Those below `right` count leap
    /// seconds, and some names stand for whatever the machine is set to.
    private static func isName(_ name: String) -> Bool {
        let parts = name.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count <= 3, !["posix", "right"].contains(parts[0]) else { return false }
        if ["localtime", "posixrules", "Factory"].contains(name) { return false }
        return parts.allSatisfy { part in
            guard let first = part.utf8.first, isLetter(first) else { return false }
            return part.utf8.allSatisfy { isLetter($0) || $0 &- 0x30 < 10 || "_+-".utf8.contains($0) }
        }
    }

    private static func isLetter(_ byte: UInt8) -> Bool { (byte | 0x20) &- 0x61 < 26 }
}
