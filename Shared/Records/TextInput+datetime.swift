extension TextInput {
    /// `timestamptz`: microseconds since 2000-01-01 00:00 UTC; `Int64.max` and `Int64.min` for infinity.
    ///
    /// Takes ISO 8601 and the common PostgreSQL forms (see ``DateTimeParser``). Words that mean another time at every
    /// reading (`now`, `today`, …) are turned down, since a replay would give other rows.
    public static func timestamptz(_ text: Span<UInt8>) throws(InputFault) -> Int64 {
        if let value = rfc3339(text) { return value }
        var parser = DateTimeParser()
        return try parser.parse(text).timestamp()
    }

    /// `timestamp`: like ``timestamptz(_:)``, but as the text's own clock shows it; its zone is ignored.
    public static func timestamp(_ text: Span<UInt8>) throws(InputFault) -> Int64 {
        var parser = DateTimeParser()
        var fields = try parser.parse(text)
        fields.zone = nil
        return try fields.timestamp()
    }

    /// `date`: days since 2000-01-01; `Int64.max` and `Int64.min` for infinity. Takes what ``timestamptz(_:)`` takes.
    public static func date(_ text: Span<UInt8>) throws(InputFault) -> Int64 {
        if let day = isoDay(text) { return day }
        var parser = DateTimeParser()
        return try parser.parse(text).date()
    }

    /// `date`, without what ``date(_:)`` drops: a time other than midnight UTC is `loss`.
    static func day(_ text: Span<UInt8>) throws(InputFault) -> Int64 {
        if let day = isoDay(text) { return day }
        var parser = DateTimeParser()
        let fields = try parser.parse(text)
        let day = try fields.date()
        guard fields.hour != nil else { return day }
        // Within the range of timestamps, where the product below cannot overflow.
        let moment = try fields.timestamp()
        guard moment == day * CivilDate.microsecondsPerDay else { throw .loss }
        return day
    }

    /// `yyyy-mm-dd`; nil for anything else.
    static func isoDay(_ text: Span<UInt8>) -> Int64? {
        text.count == 10 ? isoDate(text, 0).map { Int64($0) } : nil
    }

    /// RFC 3339 with time and zone, a space allowed for the T; nil for anything else. Years from 0001 to 9999.
    public static func rfc3339(_ text: Span<UInt8>) -> Int64? {
        let count = text.count
        guard count >= 20, text[10] | 0x20 == 0x74 || text[10] == 0x20, let days = isoDate(text, 0),
            text[13] == 0x3A, text[16] == 0x3A, let hour = two(text, 11), let minute = two(text, 14),
            let second = two(text, 17), hour < 24, minute < 60, second < 60
        else { return nil }
        var at = 19
        var micros: Int64 = 0
        if text[19] == 0x2E {
            at = 20
            var scale: Int64 = 100_000
            while at < count, isDigit(text[at]) {
                guard scale > 0 else { return nil }
                micros += Int64(text[at] &- 0x30) * scale
                scale /= 10
                at += 1
            }
            guard at > 20 else { return nil }
        }
        guard at < count, let offset = zone(text, at) else { return nil }
        let seconds = Int64(days) * 86_400 + Int64(hour * 3_600 + minute * 60 + second - offset)
        return seconds * 1_000_000 + micros
    }

    /// `Z` or ±hh:mm at the text's end, in seconds east.
    private static func zone(_ text: Span<UInt8>, _ at: Int) -> Int? {
        if text[at] | 0x20 == 0x7A { return at + 1 == text.count ? 0 : nil }
        guard text.count == at + 6, text[at] == 0x2B || text[at] == 0x2D, text[at + 3] == 0x3A,
            let hours = two(text, at + 1), let minutes = two(text, at + 4), hours < 16, minutes < 60
        else { return nil }
        let offset = hours * 3_600 + minutes * 60
        return text[at] == 0x2D ? -offset : offset
    }

    /// yyyy-mm-dd at a place with room for it; nil unless it is a day.
    private static func isoDate(_ text: Span<UInt8>, _ at: Int) -> Int? {
        guard text[at + 4] == 0x2D, text[at + 7] == 0x2D, let century = two(text, at), let rest = two(text, at + 2),
            let month = two(text, at + 5), let day = two(text, at + 8), (1...12).contains(month), day > 0
        else { return nil }
        let year = century * 100 + rest
        guard year > 0, day <= CivilDate.daysInMonth(year: year, month: month) else { return nil }
        return CivilDate.days(year: year, month: month, day: day)
    }

    private static func two(_ text: Span<UInt8>, _ at: Int) -> Int? {
        let high = text[at] &- 0x30
        let low = text[at + 1] &- 0x30
        return high < 10 && low < 10 ? Int(high) * 10 + Int(low) : nil
    }
}
