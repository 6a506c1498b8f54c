import Records

/// Reads syslog messages as RFC 5424 has them, with structured data, and as RFC 3164 and the relays after it do.
///
/// ```
/// <165>1 2003-10-11T22:14:15.003Z host evntslog 12 ID47 [exampleSDID@32473 iut="3"] An event
/// <34>Oct 11 22:14:15 host su[12]: 'su root' failed
/// ```
/// `facility` (0 to 23) and `severity` (0 to 7) are numbers; `-` and what is missing are NULL. Structured data are an
/// object of objects; of a repeated name the last counts. Of the old form these are taken, too: no `<priority>` (as in
/// files), no time, no host, RFC 3339 times (as rsyslog writes them), a year behind the day, fractions of a second, the
/// `*` and the colon around Cisco's times. A tag is what ends in a colon or in `[procid]`; without one all is
/// `message`.
/// Times without a zone are UTC, those without a year are the last ones that are no more than a day later than the
/// record was received.
struct SyslogReader: LineReader {
    static let columns: [(name: String, type: ColumnType)] = [
        ("facility", .int8), ("severity", .int8), ("ts", .timestamptz), ("hostname", .text), ("appname", .text),
        ("procid", .text), ("msgid", .text), ("structured_data", .jsonb), ("message", .text),
    ]

    private static let day: Int64 = 86_400_000_000

    private var facility, severity, ts: IntBuilder
    private var hostname, appname, procid, msgid, structured, message: TextBuilder
    /// When the records were received, in µs since 2000-01-01 UTC.
    private let received: Int64?
    var failed: [(row: Int, message: String)] = []

    init(rows: Int, received: Int64?) {
        self.received = received
        (facility, severity, ts) = (IntBuilder(rows: rows), IntBuilder(rows: rows), IntBuilder(rows: rows))
        (hostname, appname, procid) = (TextBuilder(rows: rows), TextBuilder(rows: rows), TextBuilder(rows: rows))
        (msgid, structured, message) = (TextBuilder(rows: rows), TextBuilder(rows: rows), TextBuilder(rows: rows))
    }

    var format: String { "a syslog message" }

    var columns: [NamedColumn] {
        let all = [
            facility.column(.int8), severity.column(.int8), ts.column(.timestamptz), hostname.column(),
            appname.column(), procid.column(), msgid.column(), structured.column(.jsonb), message.column(),
        ]
        return zip(Self.columns, all).map { NamedColumn($0.name, $1) }
    }

    static var texts: [WritableKeyPath<SyslogReader, TextBuilder>] {
        [\.hostname, \.appname, \.procid, \.msgid, \.structured, \.message]
    }

    static var numbers: [WritableKeyPath<SyslogReader, IntBuilder>] { [\.facility, \.severity, \.ts] }

    mutating func read(_ data: Span<UInt8>, _ place: inout Int, _ end: Int) throws(MalformedText) {
        let priority = try Self.priority(data, &place, end)
        facility.append(priority.map { $0 / 8 })
        severity.append(priority.map { $0 % 8 })
        if priority != nil, place + 1 < end, data[place] == UInt8(ascii: "1"), data[place + 1] == TextScan.space {
            place += 2
            try current(data, &place, end)
        } else {
            try old(data, &place, end, hasPriority: priority != nil)
        }
    }

    /// `<34>`; nil without one.
    private static func priority(_ data: Span<UInt8>, _ place: inout Int, _ end: Int) throws(MalformedText) -> Int64? {
        guard place < end, data[place] == UInt8(ascii: "<") else { return nil }
        var at = place + 1
        let start = at
        var value: Int64 = 0
        while at < end, at < start + 3, TextScan.isDigit(data[at]) {
            value = value * 10 + Int64(data[at] &- 0x30)
            at += 1
        }
        guard at < end, at > start, data[at] == UInt8(ascii: ">"), value <= 191,
            data[start] != 0x30 || at == start + 1
        else { throw MalformedText("expected a priority from <0> to <191>") }
        place = at + 1
        return value
    }

    private mutating func appendRest(_ data: Span<UInt8>, _ place: inout Int, _ end: Int) {
        if place < end { message.append(data.extracting(place..<end)) } else { message.appendNull() }
        place = end
    }
}

// RFC 5424.
extension SyslogReader {
    /// What follows the version and its space.
    private mutating func current(_ data: Span<UInt8>, _ place: inout Int, _ end: Int) throws(MalformedText) {
        let time = TextScan.word(data, &place, end)
        if TextScan.isDash(data, time) {
            ts.append(nil)
        } else if time.count > 10, data[time.lowerBound + 10] == UInt8(ascii: "T"),
            let value = TextInput.rfc3339(data.extracting(time))
        {
            ts.append(value)
        } else {
            place = time.lowerBound
            throw MalformedText("expected a time as 2003-10-11T22:14:15.003Z")
        }
        try field(\.hostname, data, &place, end)
        try field(\.appname, data, &place, end)
        try field(\.procid, data, &place, end)
        try field(\.msgid, data, &place, end)
        try TextScan.takeSpace(data, &place, end)
        if place < end, data[place] == UInt8(ascii: "-") {
            place += 1
            structured.appendNull()
        } else {
            try structured.append { (output: inout [UInt8]) throws(MalformedText) in
                try Self.structuredData(data, &place, end, into: &output)
            }
        }
        guard place < end else { return message.appendNull() }
        try TextScan.takeSpace(data, &place, end)
        // A byte order mark says that the message is UTF-8, which it is anyway.
        if place + 2 < end, data[place] == 0xEF, data[place + 1] == 0xBB, data[place + 2] == 0xBF { place += 3 }
        appendRest(data, &place, end)
    }

    private mutating func field(
        _ column: WritableKeyPath<SyslogReader, TextBuilder>, _ data: Span<UInt8>, _ place: inout Int, _ end: Int
    ) throws(MalformedText) {
        try TextScan.takeSpace(data, &place, end)
        let word = TextScan.word(data, &place, end)
        guard !word.isEmpty else { throw MalformedText("expected a field, or - for none") }
        if TextScan.isDash(data, word) {
            self[keyPath: column].appendNull()
        } else {
            self[keyPath: column].append(data.extracting(word))
        }
    }

    /// `[id name="value" …][…]` as `{"id":{"name":"value"},…}`.
    private static func structuredData(
        _ data: Span<UInt8>, _ place: inout Int, _ end: Int, into output: inout [UInt8]
    ) throws(MalformedText) {
        guard place < end, data[place] == UInt8(ascii: "[") else {
            throw MalformedText("expected structured data, or - for none")
        }
        output.append(UInt8(ascii: "{"))
        while place < end, data[place] == UInt8(ascii: "[") {
            if output.last != UInt8(ascii: "{") { output.append(UInt8(ascii: ",")) }
            place += 1
            try name(data, &place, end, into: &output)
            output.append(UInt8(ascii: "{"))
            while place < end, data[place] == TextScan.space {
                while place < end, data[place] == TextScan.space { place += 1 }
                if place < end, data[place] == UInt8(ascii: "]") { break }
                if output.last != UInt8(ascii: "{") { output.append(UInt8(ascii: ",")) }
                try name(data, &place, end, into: &output)
                try value(data, &place, end, into: &output)
            }
            guard place < end, data[place] == UInt8(ascii: "]") else {
                throw MalformedText("expected the end of the structured data")
            }
            place += 1
            output.append(UInt8(ascii: "}"))
        }
        output.append(UInt8(ascii: "}"))
    }

    /// A name, as a JSON key with its colon.
    private static func name(
        _ data: Span<UInt8>, _ place: inout Int, _ end: Int, into output: inout [UInt8]
    ) throws(MalformedText) {
        let start = place
        while place < end, data[place] > 0x20, !"=]\"".utf8.contains(data[place]) { place += 1 }
        guard place > start else { throw MalformedText("expected a name in the structured data") }
        JSONText.appendString(data.extracting(start..<place), into: &output)
        output.append(UInt8(ascii: ":"))
    }

    /// `="value"`, in which a backslash stands before quotes, backslashes and closing brackets.
    private static func value(
        _ data: Span<UInt8>, _ place: inout Int, _ end: Int, into output: inout [UInt8]
    ) throws(MalformedText) {
        guard place + 1 < end, data[place] == UInt8(ascii: "="), data[place + 1] == UInt8(ascii: "\"") else {
            throw MalformedText("expected a value in quotes")
        }
        place += 2
        output.append(UInt8(ascii: "\""))
        while place < end, data[place] != UInt8(ascii: "\"") {
            if data[place] == UInt8(ascii: "\\"), place + 1 < end, "\"\\]".utf8.contains(data[place + 1]) { place += 1 }
            JSONText.appendStringByte(data[place], into: &output)
            place += 1
        }
        guard place < end else { throw MalformedText("a value that is never closed") }
        place += 1
        output.append(UInt8(ascii: "\""))
    }
}

// RFC 3164.
extension SyslogReader {
    private mutating func old(
        _ data: Span<UInt8>, _ place: inout Int, _ end: Int, hasPriority: Bool
    ) throws(MalformedText) {
        msgid.appendNull()
        structured.appendNull()
        guard let time = try time(data, &place, end) else {
            guard hasPriority else { throw MalformedText("expected <priority> or a time") }
            ts.append(nil)
            hostname.appendNull()
            return content(data, &place, end)
        }
        ts.append(time)
        // Cisco ends its times with a colon, and names no host.
        if place < end, data[place] == UInt8(ascii: ":") {
            place += 1
            hostname.appendNull()
        } else {
            guard place < end else {
                hostname.appendNull()
                return content(data, &place, end)
            }
            try TextScan.takeSpace(data, &place, end)
            let start = place
            let word = TextScan.word(data, &place, end)
            if word.isEmpty || Self.isTag(data.extracting(word)) {
                hostname.appendNull()
                place = start
                return content(data, &place, end)
            }
            hostname.append(data.extracting(word))
        }
        if place < end, data[place] == TextScan.space { place += 1 }
        content(data, &place, end)
    }

    /// `su:` or `su[12]:`, where a host could be.
    private static func isTag(_ word: Span<UInt8>) -> Bool {
        let last = word[word.count - 1]
        if last == UInt8(ascii: ":") { return true }
        guard last == UInt8(ascii: "]") else { return false }
        for index in 1..<word.count where word[index] == UInt8(ascii: "[") { return true }
        return false
    }

    /// A tag, if there is one, and the message.
    private mutating func content(_ data: Span<UInt8>, _ place: inout Int, _ end: Int) {
        var stop = place
        while stop < end, data[stop] > 0x20, data[stop] != UInt8(ascii: "["), data[stop] != UInt8(ascii: ":") {
            stop += 1
        }
        var next = stop
        var process: Range<Int>?
        if stop < end, data[stop] == UInt8(ascii: "[") {
            while next < end, data[next] > 0x20, data[next] != UInt8(ascii: "]") { next += 1 }
            guard next < end, data[next] == UInt8(ascii: "]") else { return message(data, &place, end) }
            process = stop + 1..<next
            next += 1
        }
        let hasColon = next < end && data[next] == UInt8(ascii: ":")
        if hasColon { next += 1 }
        guard stop > place, hasColon || process != nil, next == end || data[next] == TextScan.space else {
            return message(data, &place, end)
        }
        appname.append(data.extracting(place..<stop))
        if let process, !process.isEmpty { procid.append(data.extracting(process)) } else { procid.appendNull() }
        place = next
        if place < end { place += 1 }
        appendRest(data, &place, end)
    }

    private mutating func message(_ data: Span<UInt8>, _ place: inout Int, _ end: Int) {
        appname.appendNull()
        procid.appendNull()
        appendRest(data, &place, end)
    }

    /// A time, or nil, and nothing is taken, where there is none.
    private func time(_ data: Span<UInt8>, _ place: inout Int, _ end: Int) throws(MalformedText) -> Int64? {
        var at = place
        let word = TextScan.word(data, &at, end)
        if word.count >= 20, TextScan.isDigit(data[word.lowerBound]), data[word.lowerBound + 10] == UInt8(ascii: "T"),
            let value = TextInput.rfc3339(data.extracting(word))
        {
            place = at
            return value
        }
        at = place
        // Of clocks that are not synchronised.
        if at < end, data[at] == UInt8(ascii: "*") || data[at] == UInt8(ascii: ".") { at += 1 }
        // Jan 1 00:00:00
        guard at + 14 <= end, let month = TextScan.month(data, at), data[at + 3] == TextScan.space else { return nil }
        at += 4
        if data[at] == TextScan.space { at += 1 }
        guard let day = try TextScan.number(data, &at, end), day <= 31, at < end, data[at] == TextScan.space else {
            return nil
        }
        at += 1
        let year = Self.year(data, &at, end)
        guard let clock = Self.clock(data, &at, end) else { return nil }
        let days = year.map { TextScan.days(year: $0, month: month, day: Int(day)) }
        place = at
        if let days {
            guard let days else { throw MalformedText("no such date") }
            return Int64(days) * Self.day + clock
        }
        return try nearest(month, Int(day), clock)
    }

    /// `2003 `; nil, and nothing is taken, where there is none.
    private static func year(_ data: Span<UInt8>, _ at: inout Int, _ end: Int) -> Int? {
        guard at + 5 <= end, data[at + 4] == TextScan.space, let century = TextScan.two(data, at),
            let rest = TextScan.two(data, at + 2)
        else { return nil }
        at += 5
        return century * 100 + rest
    }

    /// `22:14:15`, and a fraction if there is one, in microseconds.
    private static func clock(_ data: Span<UInt8>, _ at: inout Int, _ end: Int) -> Int64? {
        guard at + 8 <= end, data[at + 2] == UInt8(ascii: ":"), data[at + 5] == UInt8(ascii: ":"),
            let hour = TextScan.two(data, at), let minute = TextScan.two(data, at + 3),
            let second = TextScan.two(data, at + 6), hour < 24, minute < 60, second <= 60
        else { return nil }
        at += 8
        var micros: Int64 = 0
        if at + 1 < end, data[at] == UInt8(ascii: "."), TextScan.isDigit(data[at + 1]) {
            at += 1
            var unit: Int64 = 100_000
            while at < end, TextScan.isDigit(data[at]) {
                micros += Int64(data[at] &- 0x30) * unit
                unit /= 10
                at += 1
            }
        }
        return Int64((hour * 60 + minute) * 60 + second) * 1_000_000 + micros
    }

    /// The last such time that is no more than a day later than the records were received.
    private func nearest(_ month: Int, _ day: Int, _ clock: Int64) throws(MalformedText) -> Int64 {
        guard let received else { throw MalformedText("a time without a year, and nothing says when it came") }
        let (date, _) = received.quotientAndRemainder(dividingBy: Self.day)
        let year = CivilDate.civil(days: Int(date)).year
        // The 29th of February comes every four years, and once in eight.
        for year in stride(from: year + 1, through: year - 8, by: -1) {
            guard let days = TextScan.days(year: year, month: month, day: day) else { continue }
            let time = Int64(days) * Self.day + clock
            if time <= received + Self.day { return time }
        }
        throw MalformedText("no such date")
    }
}
