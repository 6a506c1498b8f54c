/// A jsonb value taken apart: keys sorted as jsonb keeps them, each once; numbers as numerics.
///
/// For what must look at whole values: printing, comparing, changing. It allocates; `JSONBText` finds its way in the
/// text instead.
enum JSONBValue: Sendable {
    case null
    case bool(Bool)
    case number(Decimal)
    case string([UInt8])
    case array([JSONBValue])
    case object([Member])

    struct Member: Sendable {
        let key: [UInt8]
        var value: JSONBValue
    }

    var isContainer: Bool {
        switch self {
        case .array, .object: true
        default: false
        }
    }

    /// Reads JSON text that is known to be valid, and so to nest 1,000 levels at most.
    init(_ text: Bytes) throws(Fault) {
        var index = JSONBText.skipBlanks(text, text.startIndex)
        self = try Self.value(text, &index)
    }

    private static func value(_ text: Bytes, _ index: inout Int) throws(Fault) -> JSONBValue {
        switch text[index] {
        case UInt8(ascii: "{"): return try object(text, &index)
        case UInt8(ascii: "["): return try array(text, &index)
        case UInt8(ascii: "\""): return .string(string(text, &index))
        default:
            let end = JSONBText.end(of: text, from: index)
            let word = ValueInput.trimmed(text[index..<end])
            index = end
            switch word.first {
            case UInt8(ascii: "t"): return .bool(true)
            case UInt8(ascii: "f"): return .bool(false)
            case UInt8(ascii: "n"): return .null
            default:
                guard let number = Decimal(word) else { throw .numericOverflow }
                return .number(number)
            }
        }
    }

    private static func string(_ text: Bytes, _ index: inout Int) -> [UInt8] {
        let end = JSONBText.end(of: text, from: index)
        var decoded: [UInt8] = []
        JSONBText.unescape(text[index..<end], into: &decoded)
        index = end
        return decoded
    }

    private static func array(_ text: Bytes, _ index: inout Int) throws(Fault) -> JSONBValue {
        var items: [JSONBValue] = []
        index = JSONBText.skipBlanks(text, index + 1)
        while text[index] != UInt8(ascii: "]") {
            items.append(try value(text, &index))
            index = JSONBText.skipBlanks(text, index)
            if text[index] == UInt8(ascii: ",") { index = JSONBText.skipBlanks(text, index + 1) }
        }
        index += 1
        return .array(items)
    }

    private static func object(_ text: Bytes, _ index: inout Int) throws(Fault) -> JSONBValue {
        var members: [Member] = []
        index = JSONBText.skipBlanks(text, index + 1)
        while text[index] != UInt8(ascii: "}") {
            let key = string(text, &index)
            index = JSONBText.skipBlanks(text, JSONBText.skipBlanks(text, index) + 1)
            members.append(Member(key: key, value: try value(text, &index)))
            index = JSONBText.skipBlanks(text, index)
            if text[index] == UInt8(ascii: ",") { index = JSONBText.skipBlanks(text, index + 1) }
        }
        index += 1
        return .object(normalized(members))
    }

    /// Sorted by length of the key, then its bytes; of a repeated key the last value.
    static func normalized(_ members: [Member]) -> [Member] {
        let sorted = members.enumerated().sorted { a, b in
            let order = compare(a.element.key, b.element.key)
            return order == 0 ? a.offset < b.offset : order < 0
        }
        var result: [Member] = []
        result.reserveCapacity(sorted.count)
        for (_, member) in sorted {
            if let last = result.last, last.key == member.key { result.removeLast() }
            result.append(member)
        }
        return result
    }

    private static func compare(_ a: [UInt8], _ b: [UInt8]) -> Int {
        a.count != b.count ? (a.count < b.count ? -1 : 1) : UTF8Text.compare(a[...], b[...])
    }

    /// The value of a member by its key.
    static func find(_ key: some Collection<UInt8>, in members: [Member]) -> Int? {
        members.firstIndex { $0.key.count == key.count && $0.key.elementsEqual(key) }
    }

    // MARK: Comparing

    /// jsonb's `=`: numbers by value, objects whatever their order was.
    static func equals(_ a: JSONBValue, _ b: JSONBValue) -> Bool {
        switch (a, b) {
        case (.null, .null): true
        case (.bool(let x), .bool(let y)): x == y
        case (.number(let x), .number(let y)): Decimal.compare(x, y) == 0
        case (.string(let x), .string(let y)): x == y
        case (.array(let x), .array(let y)): x.count == y.count && zip(x, y).allSatisfy(equals)
        case (.object(let x), .object(let y)):
            x.count == y.count && zip(x, y).allSatisfy { $0.key == $1.key && equals($0.value, $1.value) }
        default: false
        }
    }

    /// jsonb's `@>`. A scalar is to be found in an array; elsewhere kinds must be the same.
    static func contains(_ whole: JSONBValue, _ part: JSONBValue) -> Bool {
        if case .array(let items) = whole, !part.isContainer { return items.contains { equals($0, part) } }
        return holds(whole, part)
    }

    private static func holds(_ whole: JSONBValue, _ part: JSONBValue) -> Bool {
        switch (whole, part) {
        case (.object(let a), .object(let b)):
            guard a.count >= b.count else { return false }
            return b.allSatisfy { member in
                find(member.key, in: a).map { holds(a[$0].value, member.value) } ?? false
            }
        case (.array(let a), .array(let b)):
            return b.allSatisfy { item in
                a.contains { item.isContainer ? $0.isContainer && holds($0, item) : equals($0, item) }
            }
        default: return equals(whole, part)
        }
    }

    // MARK: Printing

    /// Appends the value as PostgreSQL prints a jsonb.
    func write(to output: inout [UInt8]) {
        switch self {
        case .null: output.append(contentsOf: "null".utf8)
        case .bool(let flag): ValueOutput.bool(flag, to: &output)
        case .number(let number): number.write(to: &output)
        case .string(let bytes): JSONBText.quote(bytes, to: &output)
        case .array(let items):
            output.append(UInt8(ascii: "["))
            for (index, item) in items.enumerated() {
                if index > 0 { output.append(contentsOf: ", ".utf8) }
                item.write(to: &output)
            }
            output.append(UInt8(ascii: "]"))
        case .object(let members):
            output.append(UInt8(ascii: "{"))
            for (index, member) in members.enumerated() {
                if index > 0 { output.append(contentsOf: ", ".utf8) }
                JSONBText.quote(member.key, to: &output)
                output.append(contentsOf: ": ".utf8)
                member.value.write(to: &output)
            }
            output.append(UInt8(ascii: "}"))
        }
    }

    /// Appends the value as `jsonb_pretty` does: a line each, four blanks a level.
    func writeIndented(level: Int = 0, to output: inout [UInt8]) {
        func line(_ level: Int, _ output: inout [UInt8]) {
            output.append(0x0A)
            output.append(contentsOf: repeatElement(0x20, count: 4 * level))
        }
        switch self {
        case .array(let items):
            output.append(UInt8(ascii: "["))
            for (index, item) in items.enumerated() {
                if index > 0 { output.append(UInt8(ascii: ",")) }
                line(level + 1, &output)
                item.writeIndented(level: level + 1, to: &output)
            }
            line(level, &output)
            output.append(UInt8(ascii: "]"))
        case .object(let members):
            output.append(UInt8(ascii: "{"))
            for (index, member) in members.enumerated() {
                if index > 0 { output.append(UInt8(ascii: ",")) }
                line(level + 1, &output)
                JSONBText.quote(member.key, to: &output)
                output.append(contentsOf: ": ".utf8)
                member.value.writeIndented(level: level + 1, to: &output)
            }
            line(level, &output)
            output.append(UInt8(ascii: "}"))
        default: write(to: &output)
        }
    }
}
