/// Tells the parts of a SQL text apart as PostgreSQL's lexer does with `standard_conforming_strings`: what stands in
/// quotes, what in comments, and what is left. It looks at nothing else: whether the text is SQL is the parser's word.
struct SQLTextScanner {
    enum Part: Equatable {
        /// A string, a dollar-quoted string or a quoted name, with its quotes; to the text's end where it is not
        /// closed.
        case quoted(Range<Int>)
        case comment(Range<Int>)
        /// `$` and digits.
        case numbered(Range<Int>)
        /// `{{`; the scanner stands before it, for nothing in SQL begins so.
        case opening
        case other(Range<Int>)
    }

    let text: [UInt8]
    /// The byte that comes next.
    var at = 0

    init(_ text: [UInt8]) {
        self.text = text
    }

    /// The next part, nil at the end. After `.opening` the caller moves on.
    mutating func next() -> Part? {
        guard at < text.count else { return nil }
        let start = at
        let following = peek(1)
        switch text[at] {
        case UInt8(ascii: "{") where following == UInt8(ascii: "{"): return .opening
        case UInt8(ascii: "'"), UInt8(ascii: "\""):
            skipQuoted(text[at])
            return .quoted(start..<at)
        case UInt8(ascii: "-") where following == UInt8(ascii: "-"):
            skipLine()
            return .comment(start..<at)
        case UInt8(ascii: "/") where following == UInt8(ascii: "*"):
            skipBlock()
            return .comment(start..<at)
        case UInt8(ascii: "$"): return dollar()
        case let byte where byte | 0x20 == UInt8(ascii: "e") && following == UInt8(ascii: "'"):
            at += 1
            skipEscaped()
            return .quoted(start..<at)
        case let byte where Self.beginsName(byte):
            at += 1
            while at < text.count, Self.continuesName(text[at]) { at += 1 }
        default: at += 1
        }
        return .other(start..<at)
    }

    private func peek(_ distance: Int) -> UInt8? {
        at + distance < text.count ? text[at + distance] : nil
    }

    /// Up to the closing quote. One that is doubled closes and opens again, which comes to the same.
    private mutating func skipQuoted(_ quote: UInt8) {
        at += 1
        while at < text.count, text[at] != quote { at += 1 }
        at = min(at + 1, text.count)
    }

    /// A string in which a backslash escapes. A doubled quote, and one that follows after a line end, go on with it.
    private mutating func skipEscaped() {
        while true {
            at += 1
            while at < text.count, text[at] != UInt8(ascii: "'") {
                at += text[at] == UInt8(ascii: "\\") ? 2 : 1
            }
            at = min(at + 1, text.count)
            guard let next = continuation() else { return }
            at = next
        }
    }

    /// Where the string that ends here is taken up again, if it is.
    private func continuation() -> Int? {
        if peek(0) == UInt8(ascii: "'") { return at }
        var ahead = self
        var hasLineEnd = false
        while let byte = ahead.peek(0) {
            switch byte {
            case UInt8(ascii: "\n"), UInt8(ascii: "\r"):
                hasLineEnd = true
                ahead.at += 1
            case UInt8(ascii: " "), UInt8(ascii: "\t"), 0x0B, 0x0C: ahead.at += 1
            case UInt8(ascii: "-") where ahead.peek(1) == UInt8(ascii: "-"): ahead.skipLine()
            case UInt8(ascii: "'") where hasLineEnd: return ahead.at
            default: return nil
            }
        }
        return nil
    }

    /// Up to the line's end, which is no part of the comment.
    private mutating func skipLine() {
        while at < text.count, text[at] != UInt8(ascii: "\n"), text[at] != UInt8(ascii: "\r") { at += 1 }
    }

    /// Comments in `/*` nest.
    private mutating func skipBlock() {
        var depth = 0
        while at < text.count {
            if text[at] == UInt8(ascii: "/"), peek(1) == UInt8(ascii: "*") {
                depth += 1
                at += 2
            } else if text[at] == UInt8(ascii: "*"), peek(1) == UInt8(ascii: "/") {
                depth -= 1
                at += 2
                if depth == 0 { return }
            } else {
                at += 1
            }
        }
    }

    /// `$1`, `$tag$ … $tag$`, or a `$` by itself.
    private mutating func dollar() -> Part {
        let start = at
        at += 1
        if let digit = peek(0), Self.isDigit(digit) {
            while let digit = peek(0), Self.isDigit(digit) { at += 1 }
            return .numbered(start..<at)
        }
        var end = at
        if end < text.count, Self.beginsName(text[end]) {
            while end < text.count, Self.beginsName(text[end]) || Self.isDigit(text[end]) { end += 1 }
        }
        guard end < text.count, text[end] == UInt8(ascii: "$") else { return .other(start..<at) }
        let tag = text[start...end]
        at = end + 1
        while at < text.count {
            if text[at] == UInt8(ascii: "$"), text[at...].starts(with: tag) {
                at += tag.count
                break
            }
            at += 1
        }
        return .quoted(start..<at)
    }

    private static func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }

    private static func beginsName(_ byte: UInt8) -> Bool {
        byte | 0x20 &- 0x61 < 26 || byte == UInt8(ascii: "_") || byte >= 0x80
    }

    private static func continuesName(_ byte: UInt8) -> Bool {
        beginsName(byte) || isDigit(byte) || byte == UInt8(ascii: "$")
    }
}
