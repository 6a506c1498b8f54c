/// The two formats that nobody may send and everybody has to read (RFC 9110, section 5.6.7).
extension HTTPDate {
    private static let shortest = 24
    private static let longest = 33

    /// Seconds since 1970-01-01 UTC of a date in any of the three formats; nil for anything else.
    ///
    /// - Parameter now: seconds since 1970. A year of two digits that seems to lie more than 50 years ahead is the last
    ///   one with those digits.
    public static func parse(_ text: String, now: Int64) -> Int64? {
        guard (shortest...longest).contains(text.utf8.count) else { return nil }
        if let seconds = parse(text) { return seconds }
        let parts = text.split(separator: " ")
        if parts.count == 4, parts[3] == "GMT" { return fromRFC850(parts, now) }
        if parts.count == 5, parts[0].utf8.count == 3, parts[2].utf8.count <= 2 {
            let day = parts[2].utf8.count == 1 ? "0\(parts[2])" : "\(parts[2])"
            return parse("\(parts[0]), \(day) \(parts[1]) \(parts[4]) \(parts[3]) GMT")
        }
        return nil
    }

    /// `Sunday, 06-Nov-94 08:49:37 GMT`.
    private static func fromRFC850(_ parts: [Substring], _ now: Int64) -> Int64? {
        let date = parts[1].split(separator: "-", omittingEmptySubsequences: false)
        guard parts[0].utf8.count >= 7, date.count == 3, date[2].utf8.count == 2,
            date[2].utf8.allSatisfy(Octets.isDigit), let digits = Int64(date[2])
        else { return nil }
        let year = 1970 + now / 31_556_952
        var full = year / 100 * 100 + digits
        if full > year + 50 { full -= 100 }
        return parse("\(parts[0].prefix(3)), \(date[0]) \(date[1]) \(full) \(parts[2]) GMT")
    }
}
