/// Cuts an expression into tokens by PostgreSQL's lexical rules (`scan.l`).
///
/// Unquoted names fold to lower case (ASCII letters only). Bit strings, dollar quotes and `U&` strings are refused.
struct Lexer {
    /// The longest text that is read, in bytes.
    static let maximumLength = 64 * 1024

    private let bytes: [UInt8]
    private var offset = 0
    private var countedOffset = 0
    private var countedPosition = 1

    private init(_ text: String) {
        bytes = Array(text.utf8)
    }

    /// All tokens of the text; the last is `.end`.
    static func tokens(of text: String) throws(ExpressionError) -> [Token] {
        guard text.utf8.count <= maximumLength else {
            throw ExpressionError("the expression is longer than \(maximumLength) bytes", position: 1)
        }
        var lexer = Lexer(text)
        var tokens: [Token] = []
        repeat { tokens.append(try lexer.next()) } while tokens[tokens.count - 1].kind != .end
        return tokens
    }

    /// The character position of a byte offset; offsets are asked for in rising order.
    private mutating func position(of target: Int) -> Int {
        while countedOffset < target {
            if bytes[countedOffset] & 0xC0 != 0x80 { countedPosition += 1 }
            countedOffset += 1
        }
        return countedPosition
    }

    private func peek(_ distance: Int = 0) -> UInt8 {
        offset + distance < bytes.count ? bytes[offset + distance] : 0
    }

    private func text(from start: Int) -> String {
        String(decoding: bytes[start..<offset], as: UTF8.self)
    }

    private mutating func next() throws(ExpressionError) -> Token {
        try skipBlanks()
        let start = offset
        let position = position(of: start)
        let kind = try kind(at: position)
        return Token(kind: kind, position: position, text: text(from: start))
    }

    private mutating func kind(at position: Int) throws(ExpressionError) -> Token.Kind {
        guard offset < bytes.count else { return .end }
        let byte = peek()
        switch byte {
        case UInt8(ascii: "'"): return .string(try quoted(UInt8(ascii: "'"), at: position))
        case UInt8(ascii: "\""):
            let name = try quoted(UInt8(ascii: "\""), at: position)
            guard !name.isEmpty else { throw ExpressionError("zero-length delimited identifier", position: position) }
            return .quotedName(name)
        case UInt8(ascii: "("): return single(.leftParen)
        case UInt8(ascii: ")"): return single(.rightParen)
        case UInt8(ascii: "["): return single(.leftBracket)
        case UInt8(ascii: "]"): return single(.rightBracket)
        case UInt8(ascii: ","): return single(.comma)
        case UInt8(ascii: ":") where peek(1) == UInt8(ascii: ":"):
            offset += 2
            return .typecast
        case UInt8(ascii: "."):
            return isDigit(peek(1)) ? .number(try number(at: position)) : single(.dot)
        case _ where isDigit(byte): return .number(try number(at: position))
        case _ where isNameStart(byte): return try name(at: position)
        case _ where isOperator(byte): return .op(symbol())
        default:
            throw ExpressionError(
                "syntax error at or near \"\(character(at: offset))\"", position: position)
        }
    }

    private mutating func single(_ kind: Token.Kind) -> Token.Kind {
        offset += 1
        return kind
    }

    private func character(at offset: Int) -> String {
        String(String(decoding: bytes[offset..<min(offset + 4, bytes.count)], as: UTF8.self).prefix(1))
    }
}

// MARK: - Blanks, names, numbers, operators

extension Lexer {
    private mutating func skipBlanks() throws(ExpressionError) {
        while offset < bytes.count {
            switch peek() {
            case 0x20, 0x09, 0x0A, 0x0B, 0x0C, 0x0D: offset += 1
            case UInt8(ascii: "-") where peek(1) == UInt8(ascii: "-"):
                while offset < bytes.count, peek() != 0x0A, peek() != 0x0D { offset += 1 }
            case UInt8(ascii: "/") where peek(1) == UInt8(ascii: "*"): try skipComment()
            default: return
            }
        }
    }

    private mutating func skipComment() throws(ExpressionError) {
        let start = position(of: offset)
        var depth = 0
        repeat {
            if peek() == UInt8(ascii: "/"), peek(1) == UInt8(ascii: "*") {
                depth += 1
                offset += 2
            } else if peek() == UInt8(ascii: "*"), peek(1) == UInt8(ascii: "/") {
                depth -= 1
                offset += 2
            } else {
                offset += 1
            }
            guard offset <= bytes.count, depth == 0 || offset < bytes.count else {
                throw ExpressionError("unterminated /* comment", position: start)
            }
        } while depth > 0
    }

    private func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }

    private func isNameStart(_ byte: UInt8) -> Bool {
        (byte | 0x20) &- 0x61 < 26 || byte == UInt8(ascii: "_") || byte >= 0x80
    }

    private func isOperator(_ byte: UInt8) -> Bool {
        "+-*/<>=~!@#%^&|`?".utf8.contains(byte)
    }

    private mutating func name(at position: Int) throws(ExpressionError) -> Token.Kind {
        let start = offset
        while isNameStart(peek()) || isDigit(peek()) || peek() == UInt8(ascii: "$") { offset += 1 }
        let folded = String(
            decoding: bytes[start..<offset].map { $0 &- 0x41 < 26 ? $0 | 0x20 : $0 }, as: UTF8.self)
        let next = peek()
        if next == UInt8(ascii: "'"), offset - start == 1 {
            switch folded {
            case "e": return .string(try escaped(at: position))
            case "b", "x", "n":
                throw ExpressionError("\(folded.uppercased())'…' strings are not supported", position: position)
            default: break
            }
        }
        if folded == "u", next == UInt8(ascii: "&"), [0x22, 0x27].contains(peek(1)) {
            throw ExpressionError("U& strings and names are not supported", position: position)
        }
        return .name(folded)
    }

    private mutating func number(at position: Int) throws(ExpressionError) -> String {
        let start = offset
        while isDigit(peek()) { offset += 1 }
        if peek() == UInt8(ascii: "."), peek(1) != UInt8(ascii: ".") {
            offset += 1
            while isDigit(peek()) { offset += 1 }
        }
        if peek() | 0x20 == UInt8(ascii: "e") {
            let sign = [UInt8(ascii: "+"), UInt8(ascii: "-")].contains(peek(1)) ? 1 : 0
            if isDigit(peek(1 + sign)) {
                offset += 1 + sign
                while isDigit(peek()) { offset += 1 }
            }
        }
        guard !isNameStart(peek()) else {
            let text = text(from: start) + character(at: offset)
            throw ExpressionError("trailing junk after numeric literal at or near \"\(text)\"", position: position)
        }
        return text(from: start)
    }

    /// The longest operator; as in PostgreSQL one of several characters ends in `+` or `-` only if it also holds one of
    /// `~ ! @ # % ^ & | ? \``, and a comment ends it.
    private mutating func symbol() -> String {
        let start = offset
        while isOperator(peek()) {
            let pair = [peek(), peek(1)]
            if offset > start, pair == Array("--".utf8) || pair == Array("/*".utf8) { break }
            offset += 1
        }
        func mayEndInSign(_ symbol: ArraySlice<UInt8>) -> Bool {
            symbol.contains { "~!@#%^&|`?".utf8.contains($0) }
        }
        while offset - start > 1, [UInt8(ascii: "+"), UInt8(ascii: "-")].contains(bytes[offset - 1]),
            !mayEndInSign(bytes[start..<offset - 1])
        {
            offset -= 1
        }
        let text = text(from: start)
        return text == "!=" ? "<>" : text
    }
}

// MARK: - Strings

extension Lexer {
    /// A string or name between quotes; a doubled quote stands for one.
    private mutating func quoted(_ quote: UInt8, at position: Int) throws(ExpressionError) -> String {
        var content: [UInt8] = []
        offset += 1
        while true {
            guard offset < bytes.count else {
                let what = quote == UInt8(ascii: "'") ? "string" : "identifier"
                throw ExpressionError("unterminated quoted \(what)", position: position)
            }
            if peek() == quote {
                guard peek(1) == quote else { break }
                offset += 1
            }
            content.append(peek())
            offset += 1
        }
        offset += 1
        return try utf8(content, at: position)
    }

    /// An `E'…'` string; `offset` stands at its quote.
    private mutating func escaped(at position: Int) throws(ExpressionError) -> String {
        var content: [UInt8] = []
        offset += 1
        while true {
            guard offset < bytes.count else {
                throw ExpressionError("unterminated quoted string", position: position)
            }
            let byte = peek()
            offset += 1
            if byte == UInt8(ascii: "\\") {
                try escape(into: &content, at: position)
            } else if byte == UInt8(ascii: "'") {
                guard peek() == byte else { break }
                content.append(byte)
                offset += 1
            } else {
                content.append(byte)
            }
        }
        return try utf8(content, at: position)
    }

    private mutating func escape(into content: inout [UInt8], at position: Int) throws(ExpressionError) {
        let byte = peek()
        offset += 1
        switch byte {
        case UInt8(ascii: "b"): content.append(0x08)
        case UInt8(ascii: "f"): content.append(0x0C)
        case UInt8(ascii: "n"): content.append(0x0A)
        case UInt8(ascii: "r"): content.append(0x0D)
        case UInt8(ascii: "t"): content.append(0x09)
        case UInt8(ascii: "x") where digits(base: 16, upTo: 2) > 0:
            content.append(UInt8(truncatingIfNeeded: value(base: 16, upTo: 2)))
        case UInt8(ascii: "u"), UInt8(ascii: "U"):
            let length = byte == UInt8(ascii: "u") ? 4 : 8
            guard digits(base: 16, upTo: length) == length else {
                throw ExpressionError("invalid Unicode escape", position: position)
            }
            guard let scalar = Unicode.Scalar(UInt32(value(base: 16, upTo: length))), scalar.value != 0 else {
                throw ExpressionError("invalid Unicode escape value", position: position)
            }
            content.append(contentsOf: Array(String(Character(scalar)).utf8))
        case UInt8(ascii: "0")...UInt8(ascii: "7"):
            offset -= 1
            content.append(UInt8(truncatingIfNeeded: value(base: 8, upTo: 3)))
        default: content.append(byte)
        }
    }

    private func digits(base: UInt8, upTo limit: Int) -> Int {
        var count = 0
        while count < limit, Character(Unicode.Scalar(peek(count))).hexDigitValue.map({ $0 < base }) == true {
            count += 1
        }
        return count
    }

    private mutating func value(base: UInt8, upTo limit: Int) -> Int {
        let count = digits(base: base, upTo: limit)
        let value = Int(text(at: offset, count: count), radix: Int(base)) ?? 0
        offset += count
        return value
    }

    private func text(at start: Int, count: Int) -> String {
        String(decoding: bytes[start..<start + count], as: UTF8.self)
    }

    private func utf8(_ content: [UInt8], at position: Int) throws(ExpressionError) -> String {
        guard let text = String(validating: content, as: UTF8.self), !content.contains(0) else {
            throw ExpressionError("invalid byte sequence for encoding \"UTF8\"", position: position)
        }
        return text
    }
}
