/// `~` and the functions that take regular expressions. Their patterns and flags are literals.
enum RegexFunctions {
    /// A pattern that has been read, with what its use needs to know.
    struct Pattern: Sendable {
        let regex: Regex
        let preference: RegexTranslator.Preference
        let groups: Int
        let looksAround: Bool
        let hasAlternatives: Bool
    }

    /// What a function of a regular expression does once its pattern is known.
    enum Use: String {
        case matches = "~"
        case like = "regexp_like"
        case count = "regexp_count"
        case substring = "substring"
        case firstMatch = "regexp_substr"
        case replace = "regexp_replace"
    }

    static func compile(_ text: String, ignoresCase: Bool) throws(RegexTranslator.Refusal) -> Pattern {
        let result = try RegexTranslator.translate(text, ignoresCase: ignoresCase)
        do throws(Regex.CompileError) {
            return Pattern(
                regex: try Regex(pcre2: result.pattern), preference: result.preference, groups: result.groups,
                looksAround: result.looksAround, hasAlternatives: result.hasAlternatives)
        } catch {
            throw RegexTranslator.Refusal(message: "invalid regular expression: \(error.message)")
        }
    }

    static func matches(_ pattern: Pattern, negated: Bool) -> Kernel {
        Kernel(canFault: true) { arguments, frame, evaluation in
            let texts = BytesBuffer(arguments[0].values)
            let mask = arguments[0].mask
            var matcher = RegexMatcher(pattern.regex)
            return Lift.run(.bool, arguments, frame, &evaluation) { (index) throws(Fault) -> Bool? in
                try matcher.match(texts[index & mask]) != negated
            }
        }
    }

    static func count(_ pattern: Pattern) -> Kernel {
        Kernel(canFault: true) { arguments, frame, evaluation in
            let texts = BytesBuffer(arguments[0].values)
            let mask = arguments[0].mask
            var matcher = RegexMatcher(pattern.regex)
            return Lift.run(.int8, arguments, frame, &evaluation) { (index) throws(Fault) -> Int64? in
                let text = texts[index & mask]
                var (count, start) = (Int64(0), text.startIndex)
                while start <= text.endIndex, let found = try matcher.find(text, from: start, pattern.preference) {
                    count += 1
                    start = found.isEmpty ? past(found.upperBound, text) : found.upperBound
                }
                return count
            }
        }
    }

    /// The place one character on, beyond the end after the last one.
    private static func past(_ place: Int, _ text: Bytes) -> Int {
        place < text.endIndex ? UTF8Text.advance(text, from: place, by: 1) : place + 1
    }

    /// The first match; or, of `substring`, what its first group matched, if it has one.
    static func first(_ pattern: Pattern, group: Bool) -> Kernel {
        Kernel(canFault: true) { arguments, frame, evaluation in
            let texts = BytesBuffer(arguments[0].values)
            let mask = arguments[0].mask
            var matcher = RegexMatcher(pattern.regex)
            return Lift.run(.text, arguments, frame, &evaluation) { (index) throws(Fault) -> Bytes? in
                let text = texts[index & mask]
                guard let found = try matcher.find(text, from: text.startIndex, pattern.preference) else { return nil }
                guard group, pattern.groups > 0 else { return text[found] }
                guard try matcher.match(text[..<found.upperBound], from: found.lowerBound, wholly: true) else {
                    return nil
                }
                return matcher.range(1, in: text).map { text[$0] }
            }
        }
    }

    /// A replacement's text, cut at `\1` to `\9` and `\&`.
    enum Piece: Sendable {
        case literal([UInt8])
        case group(Int)
    }

    static func pieces(_ replacement: String) -> [Piece] {
        var pieces: [Piece] = []
        var literal: [UInt8] = []
        var rest = Array(replacement.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "\\"), let next = rest.first else {
                literal.append(byte)
                continue
            }
            switch next {
            case UInt8(ascii: "1")...UInt8(ascii: "9"), UInt8(ascii: "&"):
                rest.removeFirst()
                if !literal.isEmpty { pieces.append(.literal(literal)) }
                literal = []
                pieces.append(.group(next == UInt8(ascii: "&") ? 0 : Int(next - 0x30)))
            case UInt8(ascii: "\\"):
                rest.removeFirst()
                literal.append(byte)
            default: literal.append(byte)
            }
        }
        if !literal.isEmpty { pieces.append(.literal(literal)) }
        return pieces
    }

    static func replace(_ pattern: Pattern, _ pieces: [Piece], global: Bool) -> Kernel {
        let needsGroups = pieces.contains { if case .group(let number) = $0 { number > 0 } else { false } }
        return Kernel(canFault: true) { arguments, frame, evaluation in
            let texts = BytesBuffer(arguments[0].values)
            let mask = arguments[0].mask
            var matcher = RegexMatcher(pattern.regex)
            return Lift.build(.text, arguments, frame, &evaluation) { (index, output) throws(Fault) in
                let text = texts[index & mask]
                let before = output.count
                var (copied, start) = (text.startIndex, text.startIndex)
                while start <= text.endIndex, let found = try matcher.find(text, from: start, pattern.preference) {
                    output.append(contentsOf: text[copied..<found.lowerBound])
                    if needsGroups {
                        _ = try matcher.match(text[..<found.upperBound], from: found.lowerBound, wholly: true)
                    }
                    for piece in pieces {
                        switch piece {
                        case .literal(let bytes): output.append(contentsOf: bytes)
                        case .group(0): output.append(contentsOf: text[found])
                        case .group(let number):
                            guard number <= pattern.groups, let range = matcher.range(number, in: text) else {
                                continue
                            }
                            output.append(contentsOf: text[range])
                        }
                    }
                    copied = found.upperBound
                    guard global else { break }
                    guard output.count - before <= Lift.maximumLength else { throw .tooLong }
                    start = found.isEmpty ? past(copied, text) : copied
                }
                output.append(contentsOf: text[min(copied, text.endIndex)...])
            }
        }
    }
}
