import Records

/// Reads access logs in the common and combined formats of Apache httpd and nginx.
///
/// ```
/// 203.0.113.9 - alice [10/Oct/2000:13:55:36 -0700] "GET /a HTTP/1.0" 200 2326 "https://e.org/" "curl/8"
/// ```
/// A `-` is NULL. A request that is not `METHOD path protocol` is kept whole in `path`. None of the three fields before
/// the time holds a space: httpd writes a user's name as it was sent, but then nothing tells where it begins (most
/// readers of these formats want names without spaces, too), and a line of `vhost_combined`, which has a field more,
/// would pass for one of these. Escapes of the user and of quoted fields are decoded (``LoggedText``).
struct LogLineReader: LineReader {
    enum Format: Sendable { case common, combined }

    static func columns(_ format: Format) -> [(name: String, type: ColumnType)] {
        let common: [(name: String, type: ColumnType)] = [
            ("ip", .text), ("ident", .text), ("remote_user", .text), ("ts", .timestamptz), ("method", .text),
            ("path", .text), ("protocol", .text), ("status", .int8), ("bytes", .int8),
        ]
        return format == .common ? common : common + [("referer", .text), ("agent", .text)]
    }

    private let kind: Format
    private var ip, ident, user, method, path, version, referer, agent: TextBuilder
    private var ts, status, bytes: IntBuilder
    /// The day of the last time read, since most lines share it.
    private var day: (text: UInt64, year: UInt32, value: Int) = (0, 0, 0)
    var failed: [(row: Int, message: String)] = []

    init(_ format: Format, rows: Int) {
        kind = format
        (ip, ident, user) = (TextBuilder(rows: rows), TextBuilder(rows: rows), TextBuilder(rows: rows))
        (method, path, version) = (TextBuilder(rows: rows), TextBuilder(rows: rows), TextBuilder(rows: rows))
        (referer, agent) = (TextBuilder(rows: rows), TextBuilder(rows: rows))
        (ts, status, bytes) = (IntBuilder(rows: rows), IntBuilder(rows: rows), IntBuilder(rows: rows))
    }

    var format: String { "in \(kind) log format" }

    var columns: [NamedColumn] {
        let common = [
            ip.column(), ident.column(), user.column(), ts.column(.timestamptz), method.column(), path.column(),
            version.column(), status.column(.int8), bytes.column(.int8),
        ]
        let all = kind == .common ? common : common + [referer.column(), agent.column()]
        return zip(Self.columns(kind), all).map { NamedColumn($0.name, $1) }
    }

    static var texts: [WritableKeyPath<LogLineReader, TextBuilder>] {
        [\.ip, \.ident, \.user, \.method, \.path, \.version, \.referer, \.agent]
    }

    static var numbers: [WritableKeyPath<LogLineReader, IntBuilder>] { [\.ts, \.status, \.bytes] }

    mutating func read(_ data: Span<UInt8>, _ place: inout Int, _ end: Int) throws(MalformedText) {
        ip.append(loggedWord: data.extracting(try Self.word(data, &place, end)))
        ident.append(loggedWord: data.extracting(try Self.word(data, &place, end)))
        let name = try Self.word(data, &place, end)
        user.append(logged: data.extracting(name), escaped: LoggedText.isEscaped(data.extracting(name)))
        guard place < end, data[place] == UInt8(ascii: "[") else {
            throw MalformedText("expected the time in brackets behind three fields without spaces")
        }
        ts.append(try time(data, &place, end))
        try TextScan.takeSpace(data, &place, end)
        try request(data, &place, end)
        try TextScan.takeSpace(data, &place, end)
        guard let code = try Self.number(data, &place, end) else { throw MalformedText("expected a status") }
        status.append(code)
        try TextScan.takeSpace(data, &place, end)
        bytes.append(try Self.number(data, &place, end))
        if kind == .combined {
            try TextScan.takeSpace(data, &place, end)
            let from = try Self.quoted(data, &place, end)
            referer.append(logged: data.extracting(from.text), escaped: from.escaped)
            try TextScan.takeSpace(data, &place, end)
            let by = try Self.quoted(data, &place, end)
            agent.append(logged: data.extracting(by.text), escaped: by.escaped)
        } else {
            referer.appendNull()
            agent.appendNull()
        }
        while place < end, data[place] == 0x20 || data[place] == 0x0D { place += 1 }
        guard place == end else { throw MalformedText("more than the format holds") }
    }
}

extension TextBuilder {
    /// `-` and nothing are NULL.
    fileprivate mutating func append(loggedWord text: Span<UInt8>) {
        if text.count == 0 || (text.count == 1 && text[0] == UInt8(ascii: "-")) { return appendNull() }
        append(text)
    }

    /// The same of text with escapes.
    fileprivate mutating func append(logged text: Span<UInt8>, escaped: Bool) {
        guard escaped else { return append(loggedWord: text) }
        append { output in LoggedText.append(text, into: &output) }
    }
}

// The parts of a line.
extension LogLineReader {
    /// Up to the next space, which is taken too.
    private static func word(_ data: Span<UInt8>, _ place: inout Int, _ end: Int) throws(MalformedText) -> Range<Int> {
        let word = TextScan.word(data, &place, end)
        guard place < end, !word.isEmpty else { throw MalformedText("expected a word and a space") }
        place += 1
        return word
    }

    private static func quoted(
        _ data: Span<UInt8>, _ place: inout Int, _ end: Int
    ) throws(MalformedText) -> (text: Range<Int>, escaped: Bool) {
        guard place < end, data[place] == UInt8(ascii: "\"") else { throw MalformedText("expected a quote") }
        let start = place + 1
        var index = start
        var escaped = false
        while index < end, data[index] != UInt8(ascii: "\"") {
            if data[index] == UInt8(ascii: "\\") {
                escaped = true
                index += 1
            }
            index += 1
        }
        guard index < end else { throw MalformedText("unterminated quote") }
        place = index + 1
        return (start..<index, escaped)
    }

    private mutating func request(_ data: Span<UInt8>, _ place: inout Int, _ end: Int) throws(MalformedText) {
        let (text, escaped) = try Self.quoted(data, &place, end)
        var first = text.lowerBound
        while first < text.upperBound, data[first] != 0x20 { first += 1 }
        var last = text.upperBound
        while last > first + 1, data[last - 1] != 0x20 { last -= 1 }
        // Behind the last space, which is not the first one.
        guard last > first + 1, Self.isProtocol(data.extracting(last..<text.upperBound)) else {
            method.appendNull()
            path.append(logged: data.extracting(text), escaped: escaped)
            version.appendNull()
            return
        }
        method.append(logged: data.extracting(text.lowerBound..<first), escaped: escaped)
        path.append(logged: data.extracting(first + 1..<last - 1), escaped: escaped)
        version.append(logged: data.extracting(last..<text.upperBound), escaped: escaped)
    }

    private static func isProtocol(_ text: Span<UInt8>) -> Bool {
        text.count > 4 && text[0] == UInt8(ascii: "H") && text[1] == UInt8(ascii: "T") && text[2] == UInt8(ascii: "T")
            && text[3] == UInt8(ascii: "P") && text[4] == UInt8(ascii: "/")
    }

    /// Digits, or `-` for none.
    private static func number(_ data: Span<UInt8>, _ place: inout Int, _ end: Int) throws(MalformedText) -> Int64? {
        if place < end, data[place] == UInt8(ascii: "-") {
            place += 1
            return nil
        }
        guard let number = try TextScan.number(data, &place, end) else { throw MalformedText("expected a number") }
        return number
    }

    /// `[10/Oct/2000:13:55:36 -0700]` as microseconds since 2000-01-01 UTC.
    private mutating func time(_ data: Span<UInt8>, _ place: inout Int, _ end: Int) throws(MalformedText) -> Int64 {
        guard end - place >= 28, data[place] == UInt8(ascii: "["), data[place + 27] == UInt8(ascii: "]"),
            data[place + 12] == UInt8(ascii: ":"), data[place + 15] == UInt8(ascii: ":"),
            data[place + 18] == UInt8(ascii: ":"), data[place + 21] == 0x20
        else { throw MalformedText("expected a time as [10/Oct/2000:13:55:36 -0700]") }
        let days = try date(data, place + 1)
        let sign = data[place + 22]
        guard let hour = TextScan.two(data, place + 13), let minute = TextScan.two(data, place + 16),
            let second = TextScan.two(data, place + 19), let zoneHours = TextScan.two(data, place + 23),
            let zoneMinutes = TextScan.two(data, place + 25), hour < 24, minute < 60, second <= 60, zoneHours < 16,
            zoneMinutes < 60, sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-")
        else { throw MalformedText("expected a time as [10/Oct/2000:13:55:36 -0700]") }
        let offset = (zoneHours * 60 + zoneMinutes) * (sign == UInt8(ascii: "-") ? -1 : 1)
        place += 28
        return Int64(((days * 24 + hour) * 60 + minute - offset) * 60 + second) * 1_000_000
    }

    /// `10/Oct/2000` as days since 2000-01-01.
    private mutating func date(_ data: Span<UInt8>, _ place: Int) throws(MalformedText) -> Int {
        var text: UInt64 = 0
        for index in 0..<8 { text = text << 8 | UInt64(data[place + index]) }
        var year: UInt32 = 0
        for index in 7..<11 { year = year << 8 | UInt32(data[place + index]) }
        if text == day.text, year == day.year { return day.value }
        guard data[place + 2] == UInt8(ascii: "/"), data[place + 6] == UInt8(ascii: "/"),
            let number = TextScan.two(data, place), let month = TextScan.month(data, place + 3),
            let century = TextScan.two(data, place + 7), let rest = TextScan.two(data, place + 9),
            let value = TextScan.days(year: century * 100 + rest, month: month, day: number)
        else { throw MalformedText("no such date") }
        day = (text, year, value)
        return value
    }
}
