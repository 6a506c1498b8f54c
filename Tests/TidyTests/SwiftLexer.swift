/// A word or a punctuation mark of Swift source, with the line it stands on.
struct Token: Equatable {
    let text: String
    let line: Int
    /// Whether nothing stands between it and the token before: `try!` and `try !a` differ by that.
    var isJoined = false
}

/// Cuts Swift source into words and punctuation, without comments and without the text of string literals.
///
/// The code inside an interpolation counts as code. Regular expression literals are not known; the sources have none.
struct SwiftLexer {
    private let bytes: [UInt8]
    private var position = 0
    private var line = 1
    private var tokens: [Token] = []
    private var endOfLast = -1

    private init(_ text: String) {
        bytes = Array(text.utf8)
    }

    static func tokens(of text: String) -> [Token] {
        var lexer = SwiftLexer(text)
        lexer.readCode(insideInterpolation: false)
        return lexer.tokens
    }

    private func byte(_ offset: Int = 0) -> UInt8 {
        position + offset < bytes.count ? bytes[position + offset] : 0
    }

    private func starts(with text: StaticString) -> Bool {
        bytes[position...].starts(with: "\(text)".utf8)
    }

    private mutating func advance(_ count: Int = 1) {
        for _ in 0..<count where position < bytes.count {
            if bytes[position] == UInt8(ascii: "\n") { line += 1 }
            position += 1
        }
    }

    private mutating func readCode(insideInterpolation: Bool) {
        var depth = 0
        while position < bytes.count {
            switch byte() {
            case UInt8(ascii: "/") where byte(1) == UInt8(ascii: "/"):
                while position < bytes.count, byte() != UInt8(ascii: "\n") { advance() }
            case UInt8(ascii: "/") where byte(1) == UInt8(ascii: "*"):
                skipBlockComment()
            case UInt8(ascii: "\""), UInt8(ascii: "#"):
                readStringOrHashes()
            case UInt8(ascii: ")") where insideInterpolation && depth == 0:
                return advance()
            case let next where Self.isWord(next):
                readWord()
            case let next:
                if next == UInt8(ascii: "(") { depth += 1 }
                if next == UInt8(ascii: ")") { depth -= 1 }
                let start = position
                advance()
                if next > 0x20 { append(String(UnicodeScalar(next)), from: start, line) }
            }
        }
    }

    private mutating func append(_ text: String, from start: Int, _ line: Int) {
        tokens.append(Token(text: text, line: line, isJoined: start == endOfLast))
        endOfLast = position
    }

    private static func isWord(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), 0x80...:
            true
        default: false
        }
    }

    private mutating func readWord() {
        let start = position
        while Self.isWord(byte()) { position += 1 }
        append(String(decoding: bytes[start..<position], as: UTF8.self), from: start, line)
    }

    private mutating func skipBlockComment() {
        var depth = 0
        repeat {
            if starts(with: "/*") {
                depth += 1
                advance(2)
            } else if starts(with: "*/") {
                depth -= 1
                advance(2)
            } else {
                advance()
            }
        } while depth > 0 && position < bytes.count
    }

    /// A literal stands in the tokens as one quote.
    private mutating func readStringOrHashes() {
        var hashes = 0
        while byte(hashes) == UInt8(ascii: "#") { hashes += 1 }
        guard byte(hashes) == UInt8(ascii: "\"") else {
            tokens.append(Token(text: "#", line: line))
            return advance(hashes)
        }
        tokens.append(Token(text: "\"", line: line))
        advance(hashes)
        let quotes = starts(with: "\"\"\"") ? 3 : 1
        advance(quotes)
        let end =
            Array(repeating: UInt8(ascii: "\""), count: quotes) + Array(repeating: UInt8(ascii: "#"), count: hashes)
        let escape = [UInt8(ascii: "\\")] + Array(repeating: UInt8(ascii: "#"), count: hashes)
        while position < bytes.count {
            if bytes[position...].starts(with: end) { return advance(end.count) }
            if bytes[position...].starts(with: escape) {
                advance(escape.count)
                let opens = byte() == UInt8(ascii: "(")
                advance()
                if opens { readCode(insideInterpolation: true) }
            } else {
                advance()
            }
        }
    }
}
