/// What libpq says of a connection that failed, at the verbosity that shows SQLSTATEs: lines such as
/// `connection to server at "…" failed: FATAL:  53300: too many connections for role "x"`, each followed by
/// `LOCATION:  …` in the server's source. The words may be in any language; the form is libpq's own.
struct ConnectRefusal {
    /// As it would be at the usual verbosity.
    private(set) var message: String
    /// That of the last server that refused; nil where none said so.
    private(set) var sqlstate: SQLState?

    init(_ text: String) {
        var lines: [Substring] = []
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            guard let found = Self.sqlstate(in: line) else {
                lines.append(line)
                continue
            }
            sqlstate = SQLState(String(line[found].prefix(5)))
            lines.append(line[..<found.lowerBound] + line[found.upperBound...])
        }
        // Without a SQLSTATE the text is libpq's own, which has no such line.
        if sqlstate != nil { lines.removeAll { $0.hasPrefix("LOCATION:  ") } }
        message = lines.joined(separator: "\n")
    }

    var error: PostgresError { PostgresError(.unavailable, message, doing: "connect", sqlstate: sqlstate) }

    /// `53300: ` behind a severity, a colon and two spaces.
    private static func sqlstate(in line: Substring) -> Range<Substring.Index>? {
        var from = line.startIndex
        while let gap = line[from...].firstRange(of: ":  ") {
            let code = line[gap.upperBound...].prefix(5)
            if code.count == 5, code.allSatisfy({ $0.isASCII && ($0.isUppercase || $0.isNumber) }),
                line[code.endIndex...].hasPrefix(": ")
            {
                return code.startIndex..<line.index(code.endIndex, offsetBy: 2)
            }
            from = gap.upperBound
        }
        return nil
    }
}
