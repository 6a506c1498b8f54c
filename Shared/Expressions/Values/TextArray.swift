/// A `text[]` of one dimension as bytes: of each item its length in four bytes, or all ones for NULL, and its text.
enum TextArray {
    private static let null = UInt32.max

    static func append(_ item: Bytes?, to output: inout [UInt8]) {
        let length = item.map { UInt32(truncatingIfNeeded: $0.count) } ?? null
        for shift in [UInt32(0), 8, 16, 24] { output.append(UInt8(truncatingIfNeeded: length >> shift)) }
        if let item { output.append(contentsOf: item) }
    }

    /// Goes through the items.
    struct Items: Sequence, IteratorProtocol {
        private var rest: Bytes

        init(_ array: Bytes) { rest = array }

        var isAtEnd: Bool { rest.isEmpty }

        /// The next item, which may be NULL.
        mutating func next() -> Bytes?? {
            guard rest.count >= 4 else { return nil }
            let length = rest.prefix(4).reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            rest = rest.dropFirst(4)
            if length == null { return .some(nil) }
            let item = rest.prefix(Int(length))
            rest = rest.dropFirst(Int(length))
            return item
        }
    }

    // MARK: As text

    /// Appends PostgreSQL's form: `{a,"b c",NULL}`.
    static func write(_ array: Bytes, to output: inout [UInt8]) {
        output.append(UInt8(ascii: "{"))
        var isFirst = true
        for item in Items(array) {
            if !isFirst { output.append(UInt8(ascii: ",")) }
            isFirst = false
            guard let item else {
                output.append(contentsOf: "NULL".utf8)
                continue
            }
            let isPlain = !item.isEmpty && !isNull(item) && item.allSatisfy { !needsQuotes($0) }
            if isPlain {
                output.append(contentsOf: item)
                continue
            }
            output.append(UInt8(ascii: "\""))
            for byte in item {
                if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { output.append(UInt8(ascii: "\\")) }
                output.append(byte)
            }
            output.append(UInt8(ascii: "\""))
        }
        output.append(UInt8(ascii: "}"))
    }

    private static func needsQuotes(_ byte: UInt8) -> Bool {
        ValueInput.isSpace(byte) || "\"\\{},".utf8.contains(byte)
    }

    private static func isNull(_ word: Bytes) -> Bool {
        word.count == 4 && zip(word, "null".utf8).allSatisfy { $0 | 0x20 == $1 }
    }

    private static func malformed(_ text: Bytes) -> Fault {
        Fault("invalid_cast", "malformed array literal: \"\(String(decoding: text, as: UTF8.self))\"")
    }

    /// Reads that form; of one dimension alone.
    static func read(_ text: Bytes, to output: inout [UInt8]) throws(Fault) {
        let whole = ValueInput.trimmed(text)
        guard whole.count >= 2, whole.first == UInt8(ascii: "{"), whole.last == UInt8(ascii: "}") else {
            throw malformed(text)
        }
        let inner = whole.dropFirst().dropLast()
        if ValueInput.trimmed(inner).isEmpty { return }
        var index = inner.startIndex
        while true {
            index = try readItem(inner, from: index, of: text, to: &output)
            if index == inner.endIndex { return }
            guard inner[index] == UInt8(ascii: ",") else { throw malformed(text) }
            index += 1
        }
    }

    /// Reads an item and answers where the comma or the end behind it is.
    private static func readItem(
        _ inner: Bytes, from start: Int, of text: Bytes, to output: inout [UInt8]
    ) throws(Fault) -> Int {
        var index = start
        while index < inner.endIndex, ValueInput.isSpace(inner[index]) { index += 1 }
        var item: [UInt8] = []
        var isQuoted = false
        if index < inner.endIndex, inner[index] == UInt8(ascii: "\"") {
            isQuoted = true
            index += 1
            while index < inner.endIndex, inner[index] != UInt8(ascii: "\"") {
                if inner[index] == UInt8(ascii: "\\") { index += 1 }
                guard index < inner.endIndex else { throw malformed(text) }
                item.append(inner[index])
                index += 1
            }
            guard index < inner.endIndex else { throw malformed(text) }
            index += 1
            while index < inner.endIndex, ValueInput.isSpace(inner[index]) { index += 1 }
        } else {
            var length = 0
            while index < inner.endIndex, inner[index] != UInt8(ascii: ",") {
                guard !"{}\"".utf8.contains(inner[index]) else { throw malformed(text) }
                let isEscaped = inner[index] == UInt8(ascii: "\\")
                if isEscaped { index += 1 }
                guard index < inner.endIndex else { throw malformed(text) }
                item.append(inner[index])
                // White space at the end is not part of the item, unless it is escaped.
                if isEscaped || !ValueInput.isSpace(inner[index]) { length = item.count }
                if isEscaped { isQuoted = true }
                index += 1
            }
            item.removeSubrange(length...)
            if item.isEmpty, !isQuoted { throw malformed(text) }
        }
        append(!isQuoted && isNull(item[...]) ? nil : item[...], to: &output)
        return index
    }
}
