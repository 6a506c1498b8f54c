import Records

/// Reads URLs, and references relative to one, by RFC 3986.
///
/// ```
/// https://ada@Example.org:8443/a%20b?x=1#top
/// scheme  userinfo  host  port  path  query  fragment
/// ```
/// What is missing is NULL; the path, which cannot be missing, is then empty. Scheme and host are in lower case, the
/// brackets of an IPv6 address are left out. All but the query is percent-decoded (``PercentDecoder``): the query is
/// what format `query_string` takes. White space and control characters are malformed, other characters are taken as
/// they are.
struct URLReader: LineReader {
    static let columns: [(name: String, type: ColumnType)] = [
        ("scheme", .text), ("userinfo", .text), ("host", .text), ("port", .int8), ("path", .text), ("query", .text),
        ("fragment", .text),
    ]

    private var scheme, userinfo, host, path, query, fragment: TextBuilder
    private var port: IntBuilder
    var failed: [(row: Int, message: String)] = []

    init(rows: Int) {
        (scheme, userinfo, host) = (TextBuilder(rows: rows), TextBuilder(rows: rows), TextBuilder(rows: rows))
        (path, query, fragment) = (TextBuilder(rows: rows), TextBuilder(rows: rows), TextBuilder(rows: rows))
        port = IntBuilder(rows: rows)
    }

    var format: String { "a URL" }

    var columns: [NamedColumn] {
        let all = [
            scheme.column(), userinfo.column(), host.column(), port.column(.int8), path.column(), query.column(),
            fragment.column(),
        ]
        return zip(Self.columns, all).map { NamedColumn($0.name, $1) }
    }

    static var texts: [WritableKeyPath<URLReader, TextBuilder>] {
        [\.scheme, \.userinfo, \.host, \.path, \.query, \.fragment]
    }

    static var numbers: [WritableKeyPath<URLReader, IntBuilder>] { [\.port] }

    mutating func read(_ data: Span<UInt8>, _ place: inout Int, _ end: Int) throws(MalformedText) {
        for index in place..<end where data[index] <= 0x20 || data[index] == 0x7F {
            place = index
            throw MalformedText("a space or a control character")
        }
        takeScheme(data, &place, end)
        if place + 1 < end, data[place] == UInt8(ascii: "/"), data[place + 1] == UInt8(ascii: "/") {
            place += 2
            try authority(data, &place, Self.find(data, place, end) { "/?#".utf8.contains($0) })
        } else {
            userinfo.appendNull()
            host.appendNull()
            port.append(nil)
        }
        let pathEnd = Self.find(data, place, end) { $0 == UInt8(ascii: "?") || $0 == UInt8(ascii: "#") }
        let text = data.extracting(place..<pathEnd)
        path.append { PercentDecoder.append(text, into: &$0) }
        place = pathEnd
        if place < end, data[place] == UInt8(ascii: "?") {
            let queryEnd = Self.find(data, place, end) { $0 == UInt8(ascii: "#") }
            query.append(data.extracting(place + 1..<queryEnd))
            place = queryEnd
        } else {
            query.appendNull()
        }
        if place < end {
            let text = data.extracting(place + 1..<end)
            fragment.append { PercentDecoder.append(text, into: &$0) }
            place = end
        } else {
            fragment.appendNull()
        }
    }

    /// The first place between two that holds such a byte, or the end.
    private static func find(_ data: Span<UInt8>, _ start: Int, _ end: Int, _ isWanted: (UInt8) -> Bool) -> Int {
        var index = start
        while index < end, !isWanted(data[index]) { index += 1 }
        return index
    }

    private mutating func takeScheme(_ data: Span<UInt8>, _ place: inout Int, _ end: Int) {
        let stop = Self.find(data, place, end) {
            !(TextScan.isLetter($0) || TextScan.isDigit($0) || "+-.".utf8.contains($0))
        }
        guard stop < end, data[stop] == UInt8(ascii: ":"), stop > place, TextScan.isLetter(data[place]) else {
            return scheme.appendNull()
        }
        let text = data.extracting(place..<stop)
        scheme.append { Self.appendLowercase(text, into: &$0) }
        place = stop + 1
    }

    private static func appendLowercase(_ text: Span<UInt8>, into output: inout [UInt8]) {
        for index in 0..<text.count { output.append(lowercase(text[index])) }
    }

    private static func lowercase(_ byte: UInt8) -> UInt8 { byte &- 0x41 < 26 ? byte | 0x20 : byte }

    private mutating func authority(_ data: Span<UInt8>, _ place: inout Int, _ end: Int) throws(MalformedText) {
        var at = end
        while at > place, data[at - 1] != UInt8(ascii: "@") { at -= 1 }
        if at > place {
            let text = data.extracting(place..<at - 1)
            userinfo.append { PercentDecoder.append(text, into: &$0) }
            place = at
        } else {
            userinfo.appendNull()
        }
        if place < end, data[place] == UInt8(ascii: "[") {
            try address(data, &place, end)
        } else {
            let stop = Self.find(data, place, end) { $0 == UInt8(ascii: ":") }
            let text = data.extracting(place..<stop)
            if text.count == 0 { host.appendNull() } else { host.append { Self.appendHost(text, into: &$0) } }
            place = stop
        }
        guard place < end else { return port.append(nil) }
        guard data[place] == UInt8(ascii: ":") else { throw MalformedText("expected a port") }
        place += 1
        let start = place
        let number = try TextScan.number(data, &place, end)
        guard place == end else { throw MalformedText("expected a port") }
        guard number ?? 0 <= 65_535 else {
            place = start
            throw MalformedText("no such port")
        }
        port.append(number)
    }

    private static func appendHost(_ text: Span<UInt8>, into output: inout [UInt8]) {
        let start = output.count
        PercentDecoder.append(text, into: &output)
        for index in start..<output.count { output[index] = lowercase(output[index]) }
    }

    /// `[2001:db8::1]`, or a later version's form.
    private mutating func address(_ data: Span<UInt8>, _ place: inout Int, _ end: Int) throws(MalformedText) {
        let start = place + 1
        let stop = Self.find(data, start, end) { $0 == UInt8(ascii: "]") }
        guard stop < end, stop > start else { throw MalformedText("expected an address in brackets") }
        let text = data.extracting(start..<stop)
        host.append { Self.appendLowercase(text, into: &$0) }
        place = stop + 1
    }
}
