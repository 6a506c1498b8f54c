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

    /// A number that may be left out: of an argument's place, checked against the least that it may be.
    private struct Number {
        private let values: IntBuffer?
        private let mask: Int
        private let otherwise: Int64
        private let least: Int64
        private let most: Int64
        private let name: String

        init(
            _ arguments: [Vector], _ place: Int, _ name: String, otherwise: Int64, from least: Int64,
            upTo most: Int64 = .max
        ) {
            values = place < arguments.count ? IntBuffer(arguments[place].values) : nil
            mask = place < arguments.count ? arguments[place].mask : 0
            (self.name, self.otherwise, self.least, self.most) = (name, otherwise, least, most)
        }

        func at(_ index: Int) throws(Fault) -> Int64 {
            guard let values else { return otherwise }
            let value = values[index & mask]
            guard value >= least, value <= most else {
                throw .invalid("invalid value for parameter \"\(name)\": \(value)")
            }
            return value
        }
    }

    /// Where the search begins: the place of a character, or beyond the end.
    private static func start(_ number: Int64, _ text: Bytes) -> Int {
        var place = text.startIndex
        let wanted = Int(min(number - 1, Int64(text.count) + 1))
        if wanted > 0 {
            place = UTF8Text.advance(text, from: place, by: wanted)
            if place == text.endIndex, wanted > UTF8Text.length(text) { place += 1 }
        }
        return place
    }

    /// Over text and, perhaps, where to begin.
    static func count(_ pattern: Pattern) -> Kernel {
        Kernel(canFault: true) { arguments, frame, evaluation in
            let texts = BytesBuffer(arguments[0].values)
            let mask = arguments[0].mask
            let starts = Number(arguments, 1, "start", otherwise: 1, from: 1)
            var matcher = RegexMatcher(pattern.regex)
            return Lift.run(.int8, arguments, frame, &evaluation) { (index) throws(Fault) -> Int64? in
                let text = texts[index & mask]
                var count: Int64 = 0
                var start = start(try starts.at(index), text)
                while start <= text.endIndex, let found = try matcher.find(text, from: start, pattern.preference) {
                    count += 1
                    start = found.isEmpty ? past(found.upperBound, text) : found.upperBound
                }
                return count
            }
        }
    }

    /// `regexp_substr` over text and, perhaps, where to begin, which match, and which group.
    static func part(_ pattern: Pattern) -> Kernel {
        Kernel(canFault: true) { arguments, frame, evaluation in
            let texts = BytesBuffer(arguments[0].values)
            let mask = arguments[0].mask
            let starts = Number(arguments, 1, "start", otherwise: 1, from: 1)
            let numbers = Number(arguments, 2, "n", otherwise: 1, from: 1)
            let groups = Number(arguments, 3, "subexpr", otherwise: 0, from: 0)
            var matcher = RegexMatcher(pattern.regex)
            return Lift.run(.text, arguments, frame, &evaluation) { (index) throws(Fault) -> Bytes? in
                let text = texts[index & mask]
                let range = try nth(
                    numbers.at(index), of: pattern, group: groups.at(index), in: text,
                    from: start(starts.at(index), text), &matcher)
                return range.map { text[$0] }
            }
        }
    }

    /// `regexp_instr` over text and, perhaps, where to begin, which match, its beginning or end, and which group.
    static func place(_ pattern: Pattern) -> Kernel {
        Kernel(canFault: true) { arguments, frame, evaluation in
            let texts = BytesBuffer(arguments[0].values)
            let mask = arguments[0].mask
            let starts = Number(arguments, 1, "start", otherwise: 1, from: 1)
            let numbers = Number(arguments, 2, "n", otherwise: 1, from: 1)
            let ends = Number(arguments, 3, "endoption", otherwise: 0, from: 0, upTo: 1)
            let groups = Number(arguments, 4, "subexpr", otherwise: 0, from: 0)
            var matcher = RegexMatcher(pattern.regex)
            return Lift.run(.int8, arguments, frame, &evaluation) { (index) throws(Fault) -> Int64? in
                let text = texts[index & mask]
                let isEnd = try ends.at(index) == 1
                let range = try nth(
                    numbers.at(index), of: pattern, group: groups.at(index), in: text,
                    from: start(starts.at(index), text), &matcher)
                guard let range else { return 0 }
                return Int64(UTF8Text.length(text[..<(isEnd ? range.upperBound : range.lowerBound)]) + 1)
            }
        }
    }

    /// The match of a number, or what a group of it matched.
    private static func nth(
        _ number: Int64, of pattern: Pattern, group: Int64, in text: Bytes, from first: Int,
        _ matcher: inout RegexMatcher
    ) throws(Fault) -> Range<Int>? {
        guard group <= pattern.groups else { return nil }
        var (left, start) = (number, first)
        while start <= text.endIndex, let found = try matcher.find(text, from: start, pattern.preference) {
            left -= 1
            if left > 0 {
                start = found.isEmpty ? past(found.upperBound, text) : found.upperBound
                continue
            }
            guard group > 0 else { return found }
            guard try matcher.match(text[..<found.upperBound], from: found.lowerBound, wholly: true) else { return nil }
            return matcher.range(Int(group), in: text)
        }
        return nil
    }

    /// The place one character on, beyond the end after the last one.
    private static func past(_ place: Int, _ text: Bytes) -> Int {
        place < text.endIndex ? UTF8Text.advance(text, from: place, by: 1) : place + 1
    }

    /// Of the first match what the first group matched, if the pattern has one.
    static func firstGroup(_ pattern: Pattern) -> Kernel {
        Kernel(canFault: true) { arguments, frame, evaluation in
            let texts = BytesBuffer(arguments[0].values)
            let mask = arguments[0].mask
            var matcher = RegexMatcher(pattern.regex)
            return Lift.run(.text, arguments, frame, &evaluation) { (index) throws(Fault) -> Bytes? in
                let text = texts[index & mask]
                let range = try nth(
                    1, of: pattern, group: pattern.groups > 0 ? 1 : 0, in: text, from: text.startIndex, &matcher)
                return range.map { text[$0] }
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

    /// Over text and, perhaps, where to begin and which match (0 for all).
    static func replace(_ pattern: Pattern, _ pieces: [Piece], global: Bool) -> Kernel {
        let needsGroups = pieces.contains { if case .group(let number) = $0 { number > 0 } else { false } }
        return Kernel(canFault: true) { arguments, frame, evaluation in
            let texts = BytesBuffer(arguments[0].values)
            let mask = arguments[0].mask
            let starts = Number(arguments, 1, "start", otherwise: 1, from: 1)
            let numbers = Number(arguments, 2, "n", otherwise: global ? 0 : 1, from: 0)
            var matcher = RegexMatcher(pattern.regex)
            return Lift.build(.text, arguments, frame, &evaluation) { (index, output) throws(Fault) in
                let text = texts[index & mask]
                let before = output.count
                let wanted = try numbers.at(index)
                var seen: Int64 = 0
                var (copied, start) = (text.startIndex, start(try starts.at(index), text))
                while start <= text.endIndex, let found = try matcher.find(text, from: start, pattern.preference) {
                    seen += 1
                    start = found.isEmpty ? past(found.upperBound, text) : found.upperBound
                    if wanted > 0, seen < wanted { continue }
                    output.append(contentsOf: text[copied..<found.lowerBound])
                    if needsGroups {
                        _ = try matcher.match(text[..<found.upperBound], from: found.lowerBound, wholly: true)
                    }
                    append(pieces, of: found, in: text, matcher, pattern.groups, to: &output)
                    copied = found.upperBound
                    guard wanted == 0 else { break }
                    guard output.count - before <= Lift.maximumLength else { throw .tooLong }
                }
                output.append(contentsOf: text[min(copied, text.endIndex)...])
            }
        }
    }

    private static func append(
        _ pieces: [Piece], of found: Range<Int>, in text: Bytes, _ matcher: borrowing RegexMatcher, _ groups: Int,
        to output: inout [UInt8]
    ) {
        for piece in pieces {
            switch piece {
            case .literal(let bytes): output.append(contentsOf: bytes)
            case .group(0): output.append(contentsOf: text[found])
            case .group(let number):
                guard number <= groups, let range = matcher.range(number, in: text) else { continue }
                output.append(contentsOf: text[range])
            }
        }
    }
}
