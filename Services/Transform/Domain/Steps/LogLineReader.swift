import Records

/// Reads access logs in the common and combined formats of Apache httpd and nginx, one pass over the bytes.
///
/// ```
/// 203.0.113.9 - alice [10/Oct/2000:13:55:36 -0700] "GET /a HTTP/1.0" 200 2326 "https://e.org/" "curl/8"
/// ```
/// A `-` is NULL. A request that is not `METHOD path protocol` is kept whole in `path`.
struct LogLineReader {
    enum Format: Sendable { case common, combined }

    static func columns(_ format: Format) -> [(name: String, type: ColumnType)] {
        let common: [(name: String, type: ColumnType)] = [
            ("ip", .text), ("ident", .text), ("remote_user", .text), ("ts", .timestamptz),
            ("method", .text),
            ("path", .text), ("protocol", .text), ("status", .int8), ("bytes", .int8),
        ]
        return format == .common ? common : common + [("referer", .text), ("agent", .text)]
    }

    private struct Malformed: Error { let message: StaticString }

    private struct TextColumn {
        var values: ByteColumn
        var validity: [UInt8] = []

        init(rows: Int) {
            values = ByteColumn(reserving: rows, bytes: rows * 16)
            validity.reserveCapacity(rows)
        }

        /// `-` and nothing are NULL; `escaped` text holds backslashes.
        mutating func append(_ text: ArraySlice<UInt8>, escaped: Bool = false) {
            if text.isEmpty || (text.count == 1 && text[text.startIndex] == UInt8(ascii: "-")) {
                return appendNull()
            }
            if escaped {
                // Servers escape quotes and backslashes; other escapes, as of bytes, stay as they are written.
                var rest = text
                while let byte = rest.popFirst() {
                    let isEscape = byte == UInt8(ascii: "\\")
                    if isEscape, let next = rest.first, next == UInt8(ascii: "\"") || next == UInt8(ascii: "\\") {
                        rest.removeFirst()
                        values.data.append(next)
                    } else {
                        values.data.append(byte)
                    }
                }
                values.endValue()
            } else {
                values.append(text)
            }
            validity.append(1)
        }

        mutating func appendNull() {
            values.endValue()
            validity.append(0)
        }

        /// Takes back what was written for rows from `count` on.
        mutating func truncate(_ count: Int) {
            guard validity.count > count else { return }
            validity.removeLast(validity.count - count)
            values.offsets.removeLast(values.offsets.count - count - 1)
            values.data.removeLast(values.data.count - Int(values.offsets[count]))
        }

        var column: Column { Column(.text, .bytes(values), validity: validity) }
    }

    private struct IntColumn {
        var values: [Int64] = []
        var validity: [UInt8] = []

        init(rows: Int) {
            values.reserveCapacity(rows)
            validity.reserveCapacity(rows)
        }

        mutating func append(_ value: Int64?) {
            values.append(value ?? 0)
            validity.append(value == nil ? 0 : 1)
        }

        mutating func truncate(_ count: Int) {
            guard values.count > count else { return }
            values.removeLast(values.count - count)
            validity.removeLast(validity.count - count)
        }

        func column(_ type: ColumnType) -> Column { Column(type, .int64(values), validity: validity) }
    }

    private let format: Format
    private var ip, ident, user, method, path, version, referer, agent: TextColumn
    private var ts, status, bytes: IntColumn
    /// The day of the last time read, since most lines share it.
    private var day: (text: UInt64, year: UInt32, value: Int64) = (0, 0, 0)
    private(set) var failed: [(row: Int, message: String)] = []

    init(_ format: Format, rows: Int) {
        self.format = format
        (ip, ident, user) = (TextColumn(rows: rows), TextColumn(rows: rows), TextColumn(rows: rows))
        (method, path, version) = (
            TextColumn(rows: rows), TextColumn(rows: rows), TextColumn(rows: rows)
        )
        (referer, agent) = (TextColumn(rows: rows), TextColumn(rows: rows))
        (ts, status, bytes) = (IntColumn(rows: rows), IntColumn(rows: rows), IntColumn(rows: rows))
    }

    /// The columns, once all lines have been read.
    var columns: [NamedColumn] {
        let common = [
            ip.column, ident.column, user.column, ts.column(.timestamptz), method.column, path.column,
            version.column,
            status.column(.int8), bytes.column(.int8),
        ]
        let all = format == .common ? common : common + [referer.column, agent.column]
        return zip(Self.columns(format), all).map { NamedColumn($0.name, $1) }
    }

    /// Reads every line; a NULL gives NULLs, a malformed one too, and is in `failed`.
    mutating func read(_ lines: ByteColumn, validity: [UInt8]) {
        for row in 0..<lines.count {
            if validity[row] != 0 {
                var place = lines.range(row).lowerBound
                do throws(Malformed) {
                    try read(lines.data, &place, lines.range(row).upperBound)
                    continue
                } catch {
                    let column = place - lines.range(row).lowerBound + 1
                    failed.append((row, "not in \(format) log format: \(error.message) at byte \(column)"))
                }
            }
            truncate(row)
            for text in Self.texts { self[keyPath: text].appendNull() }
            for number in Self.numbers { self[keyPath: number].append(nil) }
        }
    }

    private static var texts: [WritableKeyPath<LogLineReader, TextColumn>] {
        [\.ip, \.ident, \.user, \.method, \.path, \.version, \.referer, \.agent]
    }

    private static var numbers: [WritableKeyPath<LogLineReader, IntColumn>] {
        [\.ts, \.status, \.bytes]
    }

    private mutating func truncate(_ count: Int) {
        for text in Self.texts { self[keyPath: text].truncate(count) }
        for number in Self.numbers { self[keyPath: number].truncate(count) }
    }
}

// MARK: - One line

extension LogLineReader {
    private mutating func read(_ data: [UInt8], _ place: inout Int, _ end: Int) throws(Malformed) {
        ip.append(try word(data, &place, end))
        ident.append(try word(data, &place, end))
        user.append(try userName(data, &place, end))
        ts.append(try time(data, &place, end))
        try space(data, &place, end)
        try request(data, &place, end)
        try space(data, &place, end)
        guard let code = try number(data, &place, end) else {
            throw Malformed(message: "expected a status")
        }
        status.append(code)
        try space(data, &place, end)
        bytes.append(try number(data, &place, end))
        if format == .combined {
            try space(data, &place, end)
            let from = try quoted(data, &place, end)
            referer.append(from.text, escaped: from.escaped)
            try space(data, &place, end)
            let by = try quoted(data, &place, end)
            agent.append(by.text, escaped: by.escaped)
        } else {
            referer.appendNull()
            agent.appendNull()
        }
        while place < end, data[place] == 0x20 || data[place] == 0x0D { place += 1 }
        guard place == end else { throw Malformed(message: "more than the format holds") }
    }

    private func space(_ data: [UInt8], _ place: inout Int, _ end: Int) throws(Malformed) {
        guard place < end, data[place] == 0x20 else { throw Malformed(message: "expected a space") }
        place += 1
    }

    /// Up to the next space, which is taken too.
    private func word(_ data: [UInt8], _ place: inout Int, _ end: Int) throws(Malformed)
        -> ArraySlice<UInt8>
    {
        let start = place
        while place < end, data[place] != 0x20 { place += 1 }
        guard place < end, place > start else {
            throw Malformed(message: "expected a word and a space")
        }
        place += 1
        return data[start..<place - 1]
    }

    /// Up to ` [`: user names may hold spaces.
    private func userName(_ data: [UInt8], _ place: inout Int, _ end: Int) throws(Malformed)
        -> ArraySlice<UInt8>
    {
        let start = place
        while place + 1 < end, data[place] != 0x20 || data[place + 1] != UInt8(ascii: "[") {
            place += 1
        }
        guard place + 1 < end else { throw Malformed(message: "expected a time in brackets") }
        place += 1
        return data[start..<place - 1]
    }

    private func quoted(
        _ data: [UInt8], _ place: inout Int, _ end: Int
    ) throws(Malformed) -> (text: ArraySlice<UInt8>, escaped: Bool) {
        guard place < end, data[place] == UInt8(ascii: "\"") else {
            throw Malformed(message: "expected a quote")
        }
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
        guard index < end else { throw Malformed(message: "unterminated quote") }
        place = index + 1
        return (data[start..<index], escaped)
    }

    private mutating func request(_ data: [UInt8], _ place: inout Int, _ end: Int) throws(Malformed) {
        let (text, escaped) = try quoted(data, &place, end)
        let first = text.firstIndex(of: 0x20)
        let last = text.lastIndex(of: 0x20)
        guard let first, let last, first < last, text[(last + 1)...].starts(with: "HTTP/".utf8) else {
            method.appendNull()
            path.append(text, escaped: escaped)
            version.appendNull()
            return
        }
        method.append(text[..<first])
        path.append(text[(first + 1)..<last], escaped: escaped)
        version.append(text[(last + 1)...])
    }

    /// Digits, or `-` for none.
    private func number(_ data: [UInt8], _ place: inout Int, _ end: Int) throws(Malformed) -> Int64? {
        if place < end, data[place] == UInt8(ascii: "-") {
            place += 1
            return nil
        }
        let start = place
        var value: Int64 = 0
        while place < end, data[place] &- 0x30 < 10 {
            guard place - start < 18 else { throw Malformed(message: "a number too large") }
            value = value * 10 + Int64(data[place] &- 0x30)
            place += 1
        }
        guard place > start else { throw Malformed(message: "expected a number") }
        return value
    }

    /// `[10/Oct/2000:13:55:36 -0700]` as microseconds since 2000-01-01 UTC.
    private mutating func time(_ data: [UInt8], _ place: inout Int, _ end: Int) throws(Malformed)
        -> Int64
    {
        guard end - place >= 28, data[place] == UInt8(ascii: "["),
            data[place + 27] == UInt8(ascii: "]"),
            data[place + 12] == UInt8(ascii: ":"), data[place + 15] == UInt8(ascii: ":"),
            data[place + 18] == UInt8(ascii: ":"), data[place + 21] == 0x20
        else { throw Malformed(message: "expected a time as [10/Oct/2000:13:55:36 -0700]") }
        func two(_ offset: Int) -> Int64 {
            let (high, low) = (data[place + offset] &- 0x30, data[place + offset + 1] &- 0x30)
            return high < 10 && low < 10 ? Int64(high) * 10 + Int64(low) : 1000
        }
        let days = try date(data, place + 1)
        let (hour, minute, second) = (two(13), two(16), two(19))
        let (zoneHours, zoneMinutes) = (two(23), two(25))
        let sign = data[place + 22]
        guard hour < 24, minute < 60, second <= 60, zoneHours < 16, zoneMinutes < 60,
            sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-")
        else { throw Malformed(message: "expected a time as [10/Oct/2000:13:55:36 -0700]") }
        let offset = (zoneHours * 60 + zoneMinutes) * (sign == UInt8(ascii: "-") ? -1 : 1)
        place += 28
        return (((days * 24 + hour) * 60 + minute - offset) * 60 + second) * 1_000_000
    }

    /// `10/Oct/2000` as days since 2000-01-01.
    private mutating func date(_ data: [UInt8], _ place: Int) throws(Malformed) -> Int64 {
        var text: UInt64 = 0
        for index in 0..<8 { text = text << 8 | UInt64(data[place + index]) }
        var year: UInt32 = 0
        for index in 7..<11 { year = year << 8 | UInt32(data[place + index]) }
        if text == day.text, year == day.year { return day.value }
        var digits: Int64 = 0
        for index in [0, 1, 7, 8, 9, 10] {
            let digit = data[place + index] &- 0x30
            guard digit < 10 else { throw Malformed(message: "no such date") }
            digits = digits * 10 + Int64(digit)
        }
        // Between two slashes, the month's name.
        let name = UInt32(truncatingIfNeeded: text >> 16) & 0xFF_FFFF
        guard data[place + 2] == UInt8(ascii: "/"), data[place + 6] == UInt8(ascii: "/"),
            let month = Self.months.firstIndex(of: name),
            let number = Self.days(year: digits % 10_000, month: Int64(month) + 1, day: digits / 10_000)
        else { throw Malformed(message: "no such date") }
        day = (text, year, number)
        return number
    }

    /// `Jan` to `Dec`, three bytes each.
    private static let months: [UInt32] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ].map { $0.utf8.reduce(0) { $0 << 8 | UInt32($1) } }

    /// Days since 2000-01-01 of a date in the Gregorian calendar; nil if there is none.
    private static func days(year: Int64, month: Int64, day: Int64) -> Int64? {
        let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        let lengths: [Int64] = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        guard year > 0, day >= 1, day <= lengths[Int(month) - 1] else { return nil }
        // Years begin in March, so that the leap day is the last; 730,425 days lie between 0000-03-01 and 2000-01-01.
        let shifted = month <= 2 ? year - 1 : year
        let dayOfYear = (153 * ((month + 9) % 12) + 2) / 5 + day - 1
        return shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400 + dayOfYear - 730_425
    }
}
