/// Reads PostgreSQL's advanced regular expressions and writes the same in PCRE2's syntax.
///
/// What PCRE2 would read otherwise is translated; what has no counterpart (back references, collating elements,
/// `***` directors, most embedded options) is refused. Classes and case are those of collation "C".
struct RegexTranslator {
    /// What could not be translated.
    struct Refusal: Error { let message: String }

    /// Which of several matches at one place counts.
    enum Preference { case longest, shortest }

    private let scalars: [Unicode.Scalar]
    private var index = 0
    private var output = ""
    private var depth = 0
    private var ignoresCase: Bool
    private(set) var groups = 0
    private(set) var looksAround = false
    private(set) var hasAlternatives = false

    struct Result {
        let pattern: String
        let preference: Preference
        /// Capturing parentheses.
        let groups: Int
        /// Whether it holds lookahead or lookbehind.
        let looksAround: Bool
        /// Whether it holds `|`.
        let hasAlternatives: Bool
    }

    static func translate(_ pattern: String, ignoresCase: Bool) throws(Refusal) -> Result {
        var translator = RegexTranslator(pattern, ignoresCase: ignoresCase)
        try translator.options()
        let preference = try translator.alternatives()
        guard translator.index == translator.scalars.count else { throw Self.invalid("parentheses () not balanced") }
        return Result(
            pattern: translator.output, preference: preference ?? .longest, groups: translator.groups,
            looksAround: translator.looksAround, hasAlternatives: translator.hasAlternatives)
    }

    private init(_ pattern: String, ignoresCase: Bool) {
        scalars = Array(pattern.unicodeScalars)
        self.ignoresCase = ignoresCase
    }

    private static func invalid(_ what: String) -> Refusal { Refusal(message: "invalid regular expression: \(what)") }

    private static func unsupported(_ what: String) -> Refusal {
        Refusal(message: "\(what) is not supported in regular expressions")
    }

    private func peek(_ distance: Int = 0) -> Unicode.Scalar? {
        index + distance < scalars.count ? scalars[index + distance] : nil
    }

    private func looking(at text: String) -> Bool { scalars[index...].starts(with: text.unicodeScalars) }

    private mutating func next() -> Unicode.Scalar? {
        guard index < scalars.count else { return nil }
        index += 1
        return scalars[index - 1]
    }

    /// `(?i)` and the like at the very beginning.
    private mutating func options() throws(Refusal) {
        if looking(at: "***") { throw Self.unsupported("a director (***)") }
        guard looking(at: "(?"), let first = peek(2), first.properties.isAlphabetic else { return }
        index += 2
        while let option = next(), option != ")" {
            switch option {
            case "i": ignoresCase = true
            case "c": ignoresCase = false
            case "s", "t": break
            default: throw Self.unsupported("the embedded option \(option)")
            }
        }
    }

    // MARK: Structure

    /// Branches up to a closing parenthesis or the end. Several prefer the longest match, one as its parts say.
    private mutating func alternatives() throws(Refusal) -> Preference? {
        depth += 1
        defer { depth -= 1 }
        guard depth <= 100 else { throw Self.invalid("regular expression is too complex") }
        var preference = try branch()
        while peek() == "|" {
            index += 1
            output += "|"
            hasAlternatives = true
            _ = try branch()
            preference = .longest
        }
        return preference
    }

    private mutating func branch() throws(Refusal) -> Preference? {
        var preference: Preference?
        while let scalar = peek(), scalar != "|", !(scalar == ")" && depth > 1) {
            if try constraint(scalar) {
                if let quantifier = peek(), "*+?".unicodeScalars.contains(quantifier) {
                    throw Self.invalid("quantifier operand invalid")
                }
                continue
            }
            let own = try atom(scalar)
            let quantified = try quantifier(own)
            if preference == nil { preference = quantified }
        }
        return preference
    }

    /// Writes what matches at a place without taking a character; false if none is at hand.
    private mutating func constraint(_ scalar: Unicode.Scalar) throws(Refusal) -> Bool {
        switch scalar {
        case "^": output += "\\A"
        case "$": output += "\\z"
        case "\\":
            switch peek(1) {
            case "A": output += "\\A"
            case "Z": output += "\\z"
            case "m": output += "\\b(?=\\w)"
            case "M": output += "\\b(?<=\\w)"
            case "y": output += "\\b"
            case "Y": output += "\\B"
            default: return false
            }
            index += 1
        case "(":
            guard let kind = ["(?=", "(?!", "(?<=", "(?<!"].first(where: { looking(at: $0) }) else { return false }
            looksAround = true
            index += kind.unicodeScalars.count
            output += kind
            let outer = groups
            _ = try alternatives()
            guard groups == outer else { throw Self.unsupported("a capturing group in a lookaround") }
            guard peek() == ")" else { throw Self.invalid("parentheses () not balanced") }
            output += ")"
        default: return false
        }
        index += 1
        return true
    }

    private mutating func atom(_ scalar: Unicode.Scalar) throws(Refusal) -> Preference? {
        switch scalar {
        case "(": return try group()
        case "[": try bracket()
        case "\\": try escape()
        case "*", "+", "?": throw Self.invalid("quantifier operand invalid")
        case "{" where peek(1).map(Self.isDigit) == true: throw Self.invalid("quantifier operand invalid")
        case ".":
            index += 1
            output += "."
        default:
            index += 1
            write(scalar)
        }
        return nil
    }

    private mutating func group() throws(Refusal) -> Preference? {
        index += 1
        if looking(at: "?:") {
            index += 2
            output += "(?:"
        } else if peek() == "?" {
            throw Self.unsupported("the group (\(String(scalars[index...].prefix(3).map(Character.init))))")
        } else {
            groups += 1
            output += "("
        }
        let preference = try alternatives()
        guard peek() == ")" else { throw Self.invalid("parentheses () not balanced") }
        index += 1
        output += ")"
        return preference
    }

    /// Writes a quantifier, if one follows, and answers what it prefers.
    private mutating func quantifier(_ own: Preference?) throws(Refusal) -> Preference? {
        var isFixed = false
        switch peek() {
        case "*", "+", "?":
            output.unicodeScalars.append(scalars[index])
            index += 1
        case "{" where peek(1).map(Self.isDigit) == true: isFixed = try bounds()
        default: return own
        }
        var preference = Preference.longest
        if peek() == "?" {
            index += 1
            output += "?"
            preference = .shortest
        }
        if let following = peek(), "*+?".unicodeScalars.contains(following) {
            throw Self.invalid("quantifier operand invalid")
        }
        return isFixed ? own : preference
    }

    /// `{m}`, `{m,}`, `{m,n}`; true for the first.
    private mutating func bounds() throws(Refusal) -> Bool {
        let start = index
        index += 1
        func number() throws(Refusal) -> Int? {
            var value: Int?
            while let digit = peek(), Self.isDigit(digit) {
                value = (value ?? 0) * 10 + Int(digit.value - 0x30)
                index += 1
                guard let value, value <= 255 else { throw Self.invalid("invalid repetition count(s)") }
            }
            return value
        }
        guard let low = try number() else { throw Self.invalid("invalid repetition count(s)") }
        var isFixed = true
        if peek() == "," {
            isFixed = false
            index += 1
            if let high = try number(), high < low { throw Self.invalid("invalid repetition count(s)") }
        }
        guard next() == "}" else { throw Self.invalid("invalid repetition count(s)") }
        output.unicodeScalars.append(contentsOf: scalars[start..<index])
        return isFixed
    }

    private static func isDigit(_ scalar: Unicode.Scalar) -> Bool { ("0"..."9").contains(scalar) }
}

// MARK: - Characters

extension RegexTranslator {
    private static func code(_ scalar: Unicode.Scalar) -> String { "\\x{\(String(scalar.value, radix: 16))}" }

    private static func otherCase(_ scalar: Unicode.Scalar) -> Unicode.Scalar? {
        guard (0x41...0x5A).contains(scalar.value & ~0x20), scalar.isASCII else { return nil }
        return Unicode.Scalar(scalar.value ^ 0x20)
    }

    /// Writes one character to be matched as it is.
    private mutating func write(_ scalar: Unicode.Scalar) {
        if ignoresCase, let other = Self.otherCase(scalar) {
            output += "[\(scalar)\(other)]"
        } else if scalar.properties.isAlphabetic || Self.isDigit(scalar) {
            output.unicodeScalars.append(scalar)
        } else {
            output += Self.code(scalar)
        }
    }

    private mutating func escape() throws(Refusal) {
        index += 1
        guard let scalar = peek() else { throw Self.invalid("invalid escape \\ sequence") }
        switch scalar {
        case "d": output += "[0-9]"
        case "D": output += "[^0-9]"
        case "w": output += "[A-Za-z0-9_]"
        case "W": output += "[^A-Za-z0-9_]"
        case "s": output += "[\\x09-\\x0d\\x20]"
        case "S": output += "[^\\x09-\\x0d\\x20]"
        default:
            write(try escapedCharacter())
            return
        }
        index += 1
    }

    /// The character of an escape that stands for one; `index` is at what follows the backslash.
    private mutating func escapedCharacter() throws(Refusal) -> Unicode.Scalar {
        guard let scalar = next() else { throw Self.invalid("invalid escape \\ sequence") }
        switch scalar {
        case "a": return "\u{07}"
        case "b": return "\u{08}"
        case "B": return "\\"
        case "e": return "\u{1B}"
        case "f": return "\u{0C}"
        case "n": return "\n"
        case "r": return "\r"
        case "t": return "\t"
        case "v": return "\u{0B}"
        case "u": return try hexadecimal(4)
        case "U": return try hexadecimal(8)
        case "0" where peek().map(Self.isDigit) != true: throw Self.unsupported("\\0")
        case _ where Self.isDigit(scalar): throw Self.unsupported("a back reference")
        case _ where scalar.isASCII && scalar.properties.isAlphabetic: throw Self.unsupported("\\\(scalar)")
        default: return scalar
        }
    }

    private mutating func hexadecimal(_ count: Int) throws(Refusal) -> Unicode.Scalar {
        let digits = String(String.UnicodeScalarView(scalars[index..<min(index + count, scalars.count)]))
        guard digits.utf8.count == count, let value = UInt32(digits, radix: 16),
            let scalar = Unicode.Scalar(value), value != 0
        else { throw Self.invalid("invalid escape \\ sequence") }
        index += count
        return scalar
    }

    private static let classes: [String: String] = [
        "alpha": "A-Za-z", "upper": "A-Z", "lower": "a-z", "digit": "0-9", "alnum": "A-Za-z0-9",
        "xdigit": "0-9A-Fa-f", "space": "\\x09-\\x0d\\x20", "blank": "\\x09\\x20", "cntrl": "\\x01-\\x1f\\x7f",
        "print": "\\x20-\\x7e", "graph": "\\x21-\\x7e", "punct": "\\x21-\\x2f\\x3a-\\x40\\x5b-\\x60\\x7b-\\x7e",
        "word": "A-Za-z0-9_",
    ]

    private mutating func bracket() throws(Refusal) {
        index += 1
        output += "["
        if peek() == "^" {
            index += 1
            output += "^"
        }
        let start = index
        while true {
            guard let scalar = peek() else { throw Self.invalid("brackets [] not balanced") }
            if scalar == "]", index > start { break }
            if try bracketClass() { continue }
            let low = try bracketCharacter()
            guard peek() == "-", let end = peek(1), end != "]" else {
                write(range: low...low)
                continue
            }
            index += 1
            let high = try bracketCharacter()
            guard low <= high else { throw Self.invalid("invalid character range") }
            write(range: low...high)
            if peek() == "-", peek(1) != "]" { throw Self.invalid("invalid character range") }
        }
        index += 1
        output += "]"
    }

    /// Writes `[:class:]` or `\d` inside brackets; false if none is at hand.
    private mutating func bracketClass() throws(Refusal) -> Bool {
        if looking(at: "[:") {
            guard let end = scalars[index...].firstIndex(of: "]") else {
                throw Self.invalid("brackets [] not balanced")
            }
            let name = String(String.UnicodeScalarView(scalars[index + 2..<max(end - 1, index + 2)]))
            guard scalars[end - 1] == ":", var members = Self.classes[name] else {
                throw Self.invalid("invalid character class")
            }
            if ignoresCase, name == "upper" || name == "lower" { members = "A-Za-z" }
            output += members
            index = end + 1
            return true
        }
        if looking(at: "[=") || looking(at: "[.") { throw Self.unsupported("a collating element") }
        guard peek() == "\\", let kind = peek(1) else { return false }
        switch kind {
        case "d": output += "0-9"
        case "w": output += "A-Za-z0-9_"
        case "s": output += "\\x09-\\x0d\\x20"
        case "D", "W", "S": throw Self.invalid("invalid escape \\ sequence")
        default: return false
        }
        index += 2
        return true
    }

    private mutating func bracketCharacter() throws(Refusal) -> Unicode.Scalar {
        guard let scalar = next() else { throw Self.invalid("brackets [] not balanced") }
        if scalar == "[", let mark = peek(), "=.:".unicodeScalars.contains(mark) {
            throw Self.unsupported("a collating element")
        }
        return scalar == "\\" ? try escapedCharacter() : scalar
    }

    private mutating func write(range: ClosedRange<Unicode.Scalar>) {
        func add(_ low: UInt32, _ high: UInt32) {
            output += "\\x{\(String(low, radix: 16))}-\\x{\(String(high, radix: 16))}"
        }
        let (low, high) = (range.lowerBound.value, range.upperBound.value)
        add(low, high)
        guard ignoresCase else { return }
        for (letters, shift) in [(UInt32(0x41)...0x5A, 0x20), (UInt32(0x61)...0x7A, -0x20)] {
            let (first, last) = (max(low, letters.lowerBound), min(high, letters.upperBound))
            if first <= last { add(UInt32(Int(first) + shift), UInt32(Int(last) + shift)) }
        }
    }
}
