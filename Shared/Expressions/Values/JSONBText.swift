/// jsonb values as they lie: JSON text that is known to be valid.
enum JSONBText {
    enum Kind: String { case object, array, string, number, boolean, null }

    static func kind(_ text: Bytes) -> Kind {
        switch text[skipBlanks(text, text.startIndex)...].first {
        case UInt8(ascii: "{"): .object
        case UInt8(ascii: "["): .array
        case UInt8(ascii: "\""): .string
        case UInt8(ascii: "t"), UInt8(ascii: "f"): .boolean
        case UInt8(ascii: "n"): .null
        default: .number
        }
    }

    static func skipBlanks(_ text: Bytes, _ start: Int) -> Int {
        var index = start
        while index < text.endIndex, text[index] == 0x20 || text[index] &- 0x09 < 5 { index += 1 }
        return index
    }

    /// Where the value that begins at `start` ends.
    static func end(of text: Bytes, from start: Int) -> Int {
        var index = start
        var depth = 0
        while index < text.endIndex {
            switch text[index] {
            case UInt8(ascii: "\""):
                index = endOfString(text, from: index)
                if depth == 0 { return index }
                continue
            case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                if depth == 0 { return index }
                depth -= 1
                if depth == 0 { return index + 1 }
            case UInt8(ascii: ","), UInt8(ascii: ":"), 0x20, 0x09, 0x0A, 0x0D:
                if depth == 0 { return index }
            default: break
            }
            index += 1
        }
        return index
    }

    /// Where the string whose quote is at `start` ends.
    private static func endOfString(_ text: Bytes, from start: Int) -> Int {
        var index = start + 1
        while index < text.endIndex, text[index] != UInt8(ascii: "\"") {
            index += text[index] == UInt8(ascii: "\\") ? 2 : 1
        }
        return min(index + 1, text.endIndex)
    }

    /// The value of an object's field, nil if there is none. Of a repeated key the last counts.
    static func field(_ text: Bytes, _ name: Bytes) -> Bytes? {
        var index = skipBlanks(text, text.startIndex)
        guard index < text.endIndex, text[index] == UInt8(ascii: "{") else { return nil }
        index += 1
        var found: Bytes?
        while true {
            index = skipBlanks(text, index)
            guard index < text.endIndex, text[index] == UInt8(ascii: "\"") else { return found }
            let keyEnd = endOfString(text, from: index)
            let matches = equals(text[index..<keyEnd], name)
            index = skipBlanks(text, skipBlanks(text, keyEnd) + 1)
            let valueEnd = end(of: text, from: index)
            if matches { found = text[index..<valueEnd] }
            index = skipBlanks(text, valueEnd)
            guard index < text.endIndex, text[index] == UInt8(ascii: ",") else { return found }
            index += 1
        }
    }

    /// The item of an array; negative numbers count from its end.
    static func item(_ text: Bytes, _ number: Int64) -> Bytes? {
        let start = skipBlanks(text, text.startIndex)
        guard start < text.endIndex, text[start] != UInt8(ascii: "{") else { return nil }
        // To PostgreSQL a scalar is an array of one.
        guard text[start] == UInt8(ascii: "[") else { return number == 0 || number == -1 ? text : nil }
        var wanted = number
        if wanted < 0 { wanted += Int64(items(text, from: start + 1, upTo: nil).count) }
        guard wanted >= 0 else { return nil }
        let result = items(text, from: start + 1, upTo: wanted)
        return result.count == wanted + 1 ? result.last : nil
    }

    /// The number of an array's items.
    static func itemCount(_ text: Bytes) -> Int64 {
        items(text, from: skipBlanks(text, text.startIndex) + 1, upTo: nil).count
    }

    /// How many items an array has up to the number given, and that one.
    private static func items(_ text: Bytes, from start: Int, upTo last: Int64?) -> (count: Int64, last: Bytes?) {
        var index = skipBlanks(text, start)
        var count: Int64 = 0
        guard index < text.endIndex, text[index] != UInt8(ascii: "]") else { return (0, nil) }
        while true {
            let valueEnd = end(of: text, from: index)
            count += 1
            if count - 1 == last { return (count, text[index..<valueEnd]) }
            index = skipBlanks(text, valueEnd)
            guard index < text.endIndex, text[index] == UInt8(ascii: ",") else { return (count, nil) }
            index = skipBlanks(text, index + 1)
        }
    }

    /// Whether a quoted JSON string says the given bytes.
    private static func equals(_ quoted: Bytes, _ name: Bytes) -> Bool {
        let inner = quoted.dropFirst().dropLast()
        if !inner.contains(UInt8(ascii: "\\")) { return inner.elementsEqual(name) }
        var decoded: [UInt8] = []
        unescape(quoted, into: &decoded)
        return decoded.elementsEqual(name)
    }

    /// Appends what a quoted JSON string says.
    static func unescape(_ quoted: Bytes, into output: inout [UInt8]) {
        let inner = quoted.dropFirst().dropLast()
        var index = inner.startIndex
        while index < inner.endIndex {
            let byte = inner[index]
            guard byte == UInt8(ascii: "\\"), index + 1 < inner.endIndex else {
                output.append(byte)
                index += 1
                continue
            }
            let escape = inner[index + 1]
            index += 2
            switch escape {
            case UInt8(ascii: "b"): output.append(0x08)
            case UInt8(ascii: "f"): output.append(0x0C)
            case UInt8(ascii: "n"): output.append(0x0A)
            case UInt8(ascii: "r"): output.append(0x0D)
            case UInt8(ascii: "t"): output.append(0x09)
            case UInt8(ascii: "u"): index = unescapeUnicode(inner, index, into: &output)
            default: output.append(escape)
            }
        }
    }

    private static func unescapeUnicode(_ text: Bytes, _ start: Int, into output: inout [UInt8]) -> Int {
        func unit(_ index: Int) -> UInt32? {
            guard index + 4 <= text.endIndex else { return nil }
            var value: UInt32 = 0
            for byte in text[index..<index + 4] {
                guard let nibble = ValueInput.nibble(byte) else { return nil }
                value = value << 4 | UInt32(nibble)
            }
            return value
        }
        guard let first = unit(start) else { return text.endIndex }
        var (value, next) = (first, start + 4)
        if first & 0xFC00 == 0xD800, next + 6 <= text.endIndex, let second = unit(next + 2), second & 0xFC00 == 0xDC00 {
            value = 0x10000 + (first & 0x3FF) << 10 + second & 0x3FF
            next += 6
        }
        UTF8Text.append(value, to: &output)
        return next
    }
}

// MARK: - PostgreSQL's printed form

extension JSONBText {
    /// Appends the value as PostgreSQL prints a jsonb.
    static func write(_ text: Bytes, to output: inout [UInt8]) {
        switch kind(text) {
        case .object, .array, .string:
            guard let value = try? JSONBValue(text) else { return output.append(contentsOf: text) }
            value.write(to: &output)
        case .number:
            let number = ValueInput.trimmed(text)
            if let value = Decimal(number) { value.write(to: &output) } else { output.append(contentsOf: number) }
        case .boolean, .null: output.append(contentsOf: ValueInput.trimmed(text))
        }
    }

    /// Appends a JSON string that says the given bytes.
    static func quote(_ bytes: some Sequence<UInt8>, to output: inout [UInt8]) {
        output.append(UInt8(ascii: "\""))
        for byte in bytes {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                output.append(UInt8(ascii: "\\"))
                output.append(byte)
            case 0x08: output.append(contentsOf: "\\b".utf8)
            case 0x0C: output.append(contentsOf: "\\f".utf8)
            case 0x0A: output.append(contentsOf: "\\n".utf8)
            case 0x0D: output.append(contentsOf: "\\r".utf8)
            case 0x09: output.append(contentsOf: "\\t".utf8)
            case 0..<0x20:
                output.append(contentsOf: "\\u00".utf8)
                ValueOutput.hex(byte, to: &output)
            default: output.append(byte)
            }
        }
        output.append(UInt8(ascii: "\""))
    }
}
