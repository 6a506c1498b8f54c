public import Records

/// A Perl-compatible regular expression (PCRE2's syntax, UTF-8, `.` takes line feeds too) whose named groups
/// `(?<name>…)` cut a text into columns.
///
/// It is searched for anywhere in the text; `^` and `$` tie it to the ends. Matching is bounded, so that no pattern
/// runs away.
public struct NamedGroupPattern: Sendable {
    private let regex: Regex
    private let groups: [Int]
    /// The groups' names in the order of the pattern.
    public let names: [String]

    /// - Throws: what is wrong with the pattern, with the place in it.
    public init(_ pattern: String) throws(ExpressionError) {
        do throws(Regex.CompileError) {
            regex = try Regex(pcre2: pattern)
        } catch {
            let before = String(decoding: Array(pattern.utf8.prefix(error.offset)), as: UTF8.self)
            throw ExpressionError(error.message, position: before.unicodeScalars.count + 1)
        }
        let named = regex.groupNames.sorted { $0.number < $1.number }
        guard !named.isEmpty else { throw ExpressionError("the pattern has no named group (?<name>…)", position: 1) }
        names = named.map(\.name)
        groups = named.map(\.number)
    }

    /// What a pattern made of some texts.
    public struct Extraction {
        /// A text column for each name; NULL where the group took no part.
        public var columns: [Column]
        /// The rows that did not match, with why.
        public var failed: [(row: Int, message: String)]
    }

    /// Cuts every text. NULLs stay NULL in all columns.
    public func extract(_ texts: ByteColumn, validity: [UInt8]) -> Extraction {
        var matcher = RegexMatcher(regex)
        var values = groups.map { _ in ByteColumn(reserving: texts.count, bytes: texts.data.count / groups.count) }
        var valid = groups.map { _ in [UInt8](repeating: 0, count: texts.count) }
        var failed: [(row: Int, message: String)] = []
        for row in 0..<texts.count {
            let text = texts[row]
            var isMatch = false
            if validity[row] != 0 {
                do throws(Fault) {
                    isMatch = try matcher.match(text)
                    if !isMatch { failed.append((row, "the text does not match the pattern")) }
                } catch {
                    failed.append((row, error.message))
                }
            }
            for (place, group) in groups.enumerated() {
                if isMatch, let range = matcher.range(group, in: text) {
                    values[place].append(text[range])
                    valid[place][row] = 1
                } else {
                    values[place].endValue()
                }
            }
        }
        let columns = zip(values, valid).map { Column(.text, .bytes($0), validity: $1) }
        return Extraction(columns: columns, failed: failed)
    }
}
