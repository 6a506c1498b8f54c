/// Cuts an endpoint's text into SQL and uses of parameters, noting everything that is wrong.
struct TemplateReader {
    /// One `{{…}}`.
    struct Use {
        var range: Range<Int>
        var name: String
        /// Nil where the parameter is declared elsewhere.
        var type: String?
        /// As it is written; nil where there is none.
        var value: Default?
    }

    enum Default: Equatable {
        case word(String)
        case quoted(String)
    }

    enum Piece {
        case text(Range<Int>)
        case use(Use)
    }

    struct Fault {
        var message: String
        var byte: Int
    }

    let text: [UInt8]
    private(set) var pieces: [Piece] = []
    private(set) var faults: [Fault] = []
    /// Texts in quotes, in which a parameter may have been meant.
    private(set) var quotes: [Range<Int>] = []
    private var scanner: SQLTextScanner

    init(_ text: [UInt8]) {
        self.text = text
        scanner = SQLTextScanner(text)
    }

    var uses: [Use] {
        pieces.compactMap { if case .use(let use) = $0 { use } else { nil } }
    }

    mutating func fault(_ message: String, at byte: Int) {
        faults.append(Fault(message: message, byte: byte))
    }

    /// How many characters stand before a byte.
    func character(at byte: Int) -> Int {
        text[..<byte].count { $0 & 0xC0 != 0x80 }
    }

    mutating func read() {
        var start = 0
        while let part = scanner.next() {
            switch part {
            case .opening:
                if start < scanner.at { pieces.append(.text(start..<scanner.at)) }
                readUse()
                start = scanner.at
            case .numbered(let range):
                let number = String(decoding: text[range], as: UTF8.self)
                fault("write {{name:type}} instead of \(number)", at: range.lowerBound)
            case .quoted(let range): quotes.append(range)
            case .comment, .other: break
            }
        }
        if start < text.count { pieces.append(.text(start..<text.count)) }
    }

    /// Reads from `{{` to `}}`; after a fault goes on behind the next `}}`.
    private mutating func readUse() {
        let start = scanner.at
        var cursor = TemplateCursor(text, at: start + 2)
        do throws(TemplateCursor.Fault) {
            let use = try cursor.use(from: start)
            pieces.append(.use(use))
        } catch {
            fault(error.message, at: start)
            cursor.skipBehindClosing()
        }
        scanner.at = cursor.at
    }
}

/// Reads what stands between `{{` and `}}`.
private struct TemplateCursor {
    struct Fault: Error { var message: String }

    let text: [UInt8]
    var at: Int

    init(_ text: [UInt8], at: Int) {
        self.text = text
        self.at = at
    }

    mutating func use(from start: Int) throws(Fault) -> TemplateReader.Use {
        let name = word()
        guard !name.isEmpty else { throw Fault(message: "expected a parameter, {{name:type}}") }
        var use = TemplateReader.Use(range: start..<start, name: name)
        if take(UInt8(ascii: ":")) {
            let type = word()
            guard !type.isEmpty else { throw Fault(message: "expected a type after {{\(name):") }
            use.type = type
            if take(UInt8(ascii: "=")) { use.value = try value(of: name) }
        }
        guard take(UInt8(ascii: "}")), at < text.count, text[at] == UInt8(ascii: "}") else {
            throw Fault(message: "expected {{name}}, {{name:type}} or {{name:type=default}}")
        }
        at += 1
        use.range = start..<at
        return use
    }

    private mutating func value(of name: String) throws(Fault) -> TemplateReader.Default {
        skipSpace()
        let hint = "put the default of \(name) into single quotes, and double those within"
        if at < text.count, text[at] == UInt8(ascii: "'") {
            guard let quoted = quoted() else { throw Fault(message: hint) }
            return .quoted(quoted)
        }
        let start = at
        while at < text.count, text[at] != UInt8(ascii: "}") {
            guard !"'\"{;\n\r".utf8.contains(text[at]) else { throw Fault(message: hint) }
            at += 1
        }
        var end = at
        while end > start, Self.isSpace(text[end - 1]) { end -= 1 }
        guard end > start else { throw Fault(message: "expected a default of \(name); the empty text is ''") }
        return .word(String(decoding: text[start..<end], as: UTF8.self))
    }

    /// A text in single quotes; nil where it is not closed.
    private mutating func quoted() -> String? {
        var bytes: [UInt8] = []
        at += 1
        while at < text.count {
            let byte = text[at]
            at += 1
            if byte == UInt8(ascii: "'") {
                guard at < text.count, text[at] == byte else { return String(decoding: bytes, as: UTF8.self) }
                at += 1
            }
            bytes.append(byte)
        }
        return nil
    }

    /// The letters, digits and underscores that come next, with space around them.
    private mutating func word() -> String {
        skipSpace()
        let start = at
        while at < text.count, text[at] | 0x20 &- 0x61 < 26 || text[at] &- 0x30 < 10 || text[at] == UInt8(ascii: "_") {
            at += 1
        }
        defer { skipSpace() }
        return String(decoding: text[start..<at], as: UTF8.self)
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        skipSpace()
        guard at < text.count, text[at] == byte else { return false }
        at += 1
        return true
    }

    private mutating func skipSpace() {
        while at < text.count, Self.isSpace(text[at]) { at += 1 }
    }

    mutating func skipBehindClosing() {
        while at < text.count, !text[at...].starts(with: "}}".utf8) { at += 1 }
        at = min(at + 2, text.count)
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte &- 0x09 < 5 }
}
