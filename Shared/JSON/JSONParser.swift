/// A recursive reader of one JSON text (RFC 8259).
///
/// It is strict where parsers differ: no BOM, no trailing comma, no unescaped control characters, no lone surrogate,
/// nothing but well-formed UTF-8. The first fault in byte order is the one reported. Record bodies do not come this
/// way (Records shreds them with simdjson): simdjson's DOM rounds numbers and refuses integers past 64 bits, and this
/// value has to keep their digits.
struct JSONParser {
    private let bytes: [UInt8]
    private let depthLimit: Int
    private let refusesRepeatedKeys: Bool
    private var at = 0

    init(bytes: [UInt8], depthLimit: Int, refusesRepeatedKeys: Bool = false) {
        self.bytes = bytes
        self.depthLimit = depthLimit
        self.refusesRepeatedKeys = refusesRepeatedKeys
    }

    mutating func document() throws(JSONError) -> JSONValue {
        skipSpace()
        let value = try value(depth: 0)
        skipSpace()
        guard at == bytes.count else { throw fault("unexpected text after the JSON value") }
        return value
    }

    private mutating func value(depth: Int) throws(JSONError) -> JSONValue {
        guard let first = peek else { throw fault("unexpected end of the text") }
        switch first {
        case UInt8(ascii: "{"):
            return .object(try object(depth: depth + 1))
        case UInt8(ascii: "["):
            return .array(try array(depth: depth + 1))
        case UInt8(ascii: "\""):
            return .string(try string())
        case UInt8(ascii: "t"):
            return try literal("true", .bool(true))
        case UInt8(ascii: "f"):
            return try literal("false", .bool(false))
        case UInt8(ascii: "n"):
            return try literal("null", .null)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            return .number(try number())
        default:
            throw fault("expected a value")
        }
    }

    private mutating func object(depth: Int) throws(JSONError) -> JSONObject {
        guard depth <= depthLimit else { throw fault("nested deeper than \(depthLimit) levels") }
        var object = JSONObject()
        at += 1
        skipSpace()
        if take(UInt8(ascii: "}")) { return object }
        while true {
            guard peek == UInt8(ascii: "\"") else { throw fault("expected a key in quotes") }
            let key = try string()
            if refusesRepeatedKeys, object[key] != nil { throw fault("a repeated key") }
            skipSpace()
            guard take(UInt8(ascii: ":")) else { throw fault("expected ':' after the key") }
            skipSpace()
            object[key] = try value(depth: depth)
            skipSpace()
            if take(UInt8(ascii: "}")) { return object }
            guard take(UInt8(ascii: ",")) else { throw fault("expected ',' or '}'") }
            skipSpace()
        }
    }

    private mutating func array(depth: Int) throws(JSONError) -> [JSONValue] {
        guard depth <= depthLimit else { throw fault("nested deeper than \(depthLimit) levels") }
        var items: [JSONValue] = []
        at += 1
        skipSpace()
        if take(UInt8(ascii: "]")) { return items }
        while true {
            items.append(try value(depth: depth))
            skipSpace()
            if take(UInt8(ascii: "]")) { return items }
            guard take(UInt8(ascii: ",")) else { throw fault("expected ',' or ']'") }
            skipSpace()
        }
    }

    private mutating func literal(_ word: StaticString, _ value: JSONValue) throws(JSONError) -> JSONValue {
        for expected in word.description.utf8 {
            guard peek == expected else { throw fault("expected '\(word)'") }
            at += 1
        }
        return value
    }

    private mutating func number() throws(JSONError) -> JSONNumber {
        guard let end = JSONNumber.end(of: bytes, from: at) else { throw fault("malformed number") }
        let text = String(decoding: bytes[at..<end], as: UTF8.self)
        if end < bytes.count, bytes[end] &- 0x30 < 10 { throw fault("malformed number") }
        at = end
        return JSONNumber(checked: text)
    }
}

// MARK: - Strings

extension JSONParser {
    private mutating func string() throws(JSONError) -> String {
        at += 1
        let start = at
        at = endOfPlain(from: at)
        if peek == UInt8(ascii: "\"") {
            defer { at += 1 }
            return try text(bytes.span.extracting(start..<at), from: start)
        }
        var unescaped = Array(bytes[start..<at])
        while true {
            switch peek {
            case UInt8(ascii: "\""):
                at += 1
                return try text(unescaped.span, from: start)
            case UInt8(ascii: "\\"):
                try escape(into: &unescaped)
            case nil:
                throw fault("unterminated string")
            default:
                throw fault("unescaped control character in a string")
            }
            let run = at
            at = endOfPlain(from: at)
            unescaped.append(contentsOf: bytes[run..<at])
        }
    }

    /// Where the bytes of a string that stand for themselves end.
    private func endOfPlain(from start: Int) -> Int {
        let span = bytes.span
        var index = start
        while index < span.count {
            let byte = span[index]
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") || byte < 0x20 { break }
            index += 1
        }
        return index
    }

    private func text(_ utf8: Span<UInt8>, from start: Int) throws(JSONError) -> String {
        do {
            return String(copying: try UTF8Span(validating: utf8))
        } catch {
            throw JSONError("invalid UTF-8 in a string", at: start, of: bytes)
        }
    }

    private mutating func escape(into output: inout [UInt8]) throws(JSONError) {
        let start = at
        at += 1
        guard let letter = peek else { throw fault("unterminated string") }
        at += 1
        switch letter {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): output.append(letter)
        case UInt8(ascii: "b"): output.append(0x08)
        case UInt8(ascii: "f"): output.append(0x0C)
        case UInt8(ascii: "n"): output.append(0x0A)
        case UInt8(ascii: "r"): output.append(0x0D)
        case UInt8(ascii: "t"): output.append(0x09)
        case UInt8(ascii: "u"):
            let scalar = try unicodeEscape(from: start)
            output.append(contentsOf: Array(String(Character(scalar)).utf8))
        default: throw JSONError("unknown escape", at: start, of: bytes)
        }
    }

    private mutating func unicodeEscape(from start: Int) throws(JSONError) -> Unicode.Scalar {
        let first = try hexadecimal(from: start)
        if let scalar = Unicode.Scalar(first) { return scalar }
        guard first < 0xDC00, take(UInt8(ascii: "\\")), take(UInt8(ascii: "u")) else {
            throw JSONError("lone surrogate", at: start, of: bytes)
        }
        let second = try hexadecimal(from: start)
        guard (0xDC00...0xDFFF).contains(second),
            let scalar = Unicode.Scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00))
        else { throw JSONError("lone surrogate", at: start, of: bytes) }
        return scalar
    }

    private mutating func hexadecimal(from start: Int) throws(JSONError) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard let digit = peek.flatMap(hexadecimalDigit) else {
                throw JSONError("malformed \\u escape", at: start, of: bytes)
            }
            value = value << 4 | UInt32(digit)
            at += 1
        }
        return value
    }

    private func hexadecimalDigit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}

// MARK: - Bytes

extension JSONParser {
    private var peek: UInt8? {
        at < bytes.count ? bytes[at] : nil
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard peek == byte else { return false }
        at += 1
        return true
    }

    private mutating func skipSpace() {
        while let byte = peek, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { at += 1 }
    }

    private func fault(_ message: String) -> JSONError {
        JSONError(message, at: at, of: bytes)
    }
}
