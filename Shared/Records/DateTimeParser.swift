/// Reads dates and times as PostgreSQL 15 does with DateStyle ISO, MDY.
///
/// Dates: `2026-11-20`, `20261120`, `11/20/2026`, `20-Nov-2026`, `20/Nov/2026`, `Nov 20, 2026`, `20 November 2026`,
/// `J2461365`, with `BC` or `AD`; weekdays are passed over. Times: `13:25`, `13:25:00.5`, `1:25 PM`, `T132500`,
/// `24:00`, `23:59:60`. Zones: `Z`, `+5`, `+05:30`, `+0530`, `UTC`, `EST`, `Europe/Berlin`. Also `epoch`, `infinity`,
/// `-infinity`. Fields may come in any order that is not ambiguous; without a zone, a time is UTC.
struct DateTimeParser {
    private var fields = DateTime()
    private var at = 0
    /// The last word was the T of ISO 8601: digits that follow are a time.
    private var expectsTime = false
    private var hasNumericMonth = false
    private var hasFields = false

    mutating func parse(_ text: Span<UInt8>) throws(InputFault) -> DateTime {
        let text = text.extracting(TextInput.trimmed(text))
        guard text.count > 0, text.count <= 128 else { throw .syntax }
        while at < text.count {
            let byte = text[at]
            if TextInput.isSpace(byte) || byte == 0x2C {
                at += 1
            } else if TextInput.isDigit(byte) {
                try number(text)
            } else if TextInput.isLetter(byte) {
                try word(text)
            } else if byte == 0x2B || byte == 0x2D {
                try sign(text)
            } else {
                throw .syntax
            }
        }
        guard hasFields, !expectsTime else { throw .syntax }
        return fields
    }

    // MARK: Numbers

    private func digits(_ text: Span<UInt8>, from start: Int) -> Int {
        var end = start
        while end < text.count, TextInput.isDigit(text[end]) { end += 1 }
        return end - start
    }

    /// The number of up to nine digits at a place.
    private func value(_ text: Span<UInt8>, _ start: Int, _ count: Int) throws(InputFault) -> Int {
        guard count > 0, count <= 9 else { throw .field }
        var value = 0
        for i in start..<(start + count) { value = value * 10 + Int(text[i] &- 0x30) }
        return value
    }

    private mutating func number(_ text: Span<UInt8>) throws(InputFault) {
        guard fields.special == nil else { throw .syntax }
        hasFields = true
        let count = digits(text, from: at)
        let next = at + count < text.count ? text[at + count] : 0
        let after = at + count + 1 < text.count ? text[at + count + 1] : 0
        if next == 0x3A { return try clock(text) }
        let isDate =
            (next == 0x2D || next == 0x2F || next == 0x2E) && (TextInput.isDigit(after) || TextInput.isLetter(after))
        if isDate, !expectsTime, fields.day == nil || fields.month == nil { return try date(text, separator: next) }
        if expectsTime || (hasDate && fields.hour == nil && count >= 4) { return try packedTime(text, count) }
        if hasDate == false, fields.month == nil, fields.year == nil, fields.day == nil,
            count == 8 || count == 6
        {
            return try packedDate(text, count)
        }
        guard !hasDate, fields.month != nil else {
            // "8 January": the number before a month's name.
            guard !hasDate, fields.day == nil || fields.year == nil else { throw .syntax }
            return try dayOrYear(text, at, count)
        }
        try dayOrYear(text, at, count)
    }

    private var hasDate: Bool {
        fields.dayNumber != nil || (fields.year != nil && fields.month != nil && fields.day != nil)
    }

    private mutating func dayOrYear(_ text: Span<UInt8>, _ start: Int, _ count: Int) throws(InputFault) {
        guard count <= 4, fields.dayNumber == nil, fields.day == nil || fields.month != nil else { throw .syntax }
        let number = try value(text, start, count)
        if count >= 3 || fields.day != nil {
            guard fields.year == nil else { throw .syntax }
            fields.year = number
            fields.yearDigits = count
        } else {
            fields.day = number
        }
        at = start + count
    }

    private mutating func packedDate(_ text: Span<UInt8>, _ count: Int) throws(InputFault) {
        let yearCount = count - 4
        fields.year = try value(text, at, yearCount)
        fields.yearDigits = yearCount
        fields.month = try value(text, at + yearCount, 2)
        fields.day = try value(text, at + yearCount + 2, 2)
        at += count
    }

    /// Three parts with the same separator between them: numbers, or one of them a month's name.
    private mutating func date(_ text: Span<UInt8>, separator: UInt8) throws(InputFault) {
        guard fields.year == nil, fields.month == nil, fields.day == nil else { throw .syntax }
        var parts: InlineArray<3, (start: Int, count: Int)> = .init(repeating: (0, 0))
        var month: Int?
        var count = 0
        while count < 3 {
            let start = at
            if at < text.count, TextInput.isDigit(text[at]) {
                at += digits(text, from: at)
                parts[count] = (start, at - start)
            } else {
                while at < text.count, TextInput.isLetter(text[at]) { at += 1 }
                guard month == nil, fields.month == nil, let name = Self.month(text.extracting(start..<at)) else {
                    throw .syntax
                }
                month = name
            }
            count += 1
            guard at < text.count, text[at] == separator, count < 3 else { break }
            at += 1
        }
        guard count == 3 else { throw .syntax }
        try assign(text, parts, month)
    }

    private mutating func assign(
        _ text: Span<UInt8>, _ parts: InlineArray<3, (start: Int, count: Int)>, _ month: Int?
    ) throws(InputFault) {
        var rest: [(start: Int, count: Int)] = []
        for i in 0..<3 where parts[i].count > 0 { rest.append(parts[i]) }
        let yearFirst = rest[0].count >= 3
        let year = yearFirst ? rest.removeFirst() : rest.removeLast()
        fields.year = try value(text, year.start, year.count)
        fields.yearDigits = year.count
        guard month == nil || rest.count == 1, month != nil || rest.count == 2 else { throw .syntax }
        if let month {
            fields.month = month
        } else {
            fields.month = try value(text, rest[0].start, rest[0].count)
        }
        let day = rest[rest.count - 1]
        guard rest.allSatisfy({ $0.count <= 2 }) else { throw .field }
        fields.day = try value(text, day.start, day.count)
    }

    // MARK: Times

    private mutating func clock(_ text: Span<UInt8>) throws(InputFault) {
        guard fields.hour == nil else { throw .syntax }
        expectsTime = false
        fields.hour = try take(text)
        at += 1
        fields.minute = try take(text)
        guard at < text.count, text[at] == 0x3A else {
            // "25:00.5" is minutes and seconds.
            if at < text.count, text[at] == 0x2E {
                (fields.hour, fields.minute, fields.second) = (0, fields.hour ?? 0, fields.minute)
            }
            return try fraction(text)
        }
        at += 1
        fields.second = try take(text)
        try fraction(text)
    }

    private mutating func take(_ text: Span<UInt8>) throws(InputFault) -> Int {
        let count = digits(text, from: at)
        guard count > 0 else { throw .syntax }
        let number = try value(text, at, count)
        at += count
        return number
    }

    private mutating func packedTime(_ text: Span<UInt8>, _ count: Int) throws(InputFault) {
        guard fields.hour == nil, count == 4 || count == 6 else { throw .syntax }
        expectsTime = false
        fields.hour = try value(text, at, 2)
        fields.minute = try value(text, at + 2, 2)
        if count == 6 { fields.second = try value(text, at + 4, 2) }
        at += count
        if count == 6, digits(text, from: at + 1) > 0 { try fraction(text) }
    }

    /// A fraction of a second, rounded to microseconds as PostgreSQL rounds it.
    private mutating func fraction(_ text: Span<UInt8>) throws(InputFault) {
        guard at < text.count, text[at] == 0x2E else { return }
        let count = digits(text, from: at + 1)
        let value = count == 0 ? 0 : try TextInput.float8(text.extracting(at..<(at + 1 + count)))
        fields.micros = Int64((value * 1_000_000).rounded(.toNearestOrEven))
        at += 1 + count
    }

    // MARK: Zones and words

    private mutating func sign(_ text: Span<UInt8>) throws(InputFault) {
        let isNegative = text[at] == 0x2D
        at += 1
        if at < text.count, TextInput.isLetter(text[at]), !hasFields {
            let start = at
            while at < text.count, TextInput.isLetter(text[at]) { at += 1 }
            let name = text.extracting(start..<at)
            guard isNegative, TextInput.isWord(name, "infinity"), at == text.count else { throw .syntax }
            fields.special = .minusInfinity
            hasFields = true
            return
        }
        guard fields.hour != nil, fields.zone == nil else { throw .syntax }
        let count = digits(text, from: at)
        guard (1...6).contains(count) else { throw .syntax }
        var hours: Int
        var minutes = 0
        var seconds = 0
        if count > 2 {
            // Hours and minutes run together; PostgreSQL knows no seconds here.
            hours = try value(text, at, count - 2)
            minutes = try value(text, at + count - 2, 2)
            at += count
        } else {
            hours = try take(text)
            if at < text.count, text[at] == 0x3A {
                at += 1
                minutes = try take(text)
                if at < text.count, text[at] == 0x3A {
                    at += 1
                    seconds = try take(text)
                }
            }
        }
        guard hours <= 15, minutes < 60, seconds < 60 else { throw .displacement }
        let offset = hours * 3_600 + minutes * 60 + seconds
        fields.zone = .fixed(isNegative ? -offset : offset)
    }

    private mutating func word(_ text: Span<UInt8>) throws(InputFault) {
        let start = at
        while at < text.count, TextInput.isLetter(text[at]) { at += 1 }
        let name = text.extracting(start..<at)
        let next = at < text.count ? text[at] : 0
        if name.count == 1, TextInput.isWord(name, "t"), hasDate, fields.hour == nil, TextInput.isDigit(next) {
            expectsTime = true
            return
        }
        let after = at + 1 < text.count ? text[at + 1] : 0
        if next == 0x2D || next == 0x2F, TextInput.isDigit(after), Self.month(name) != nil, fields.month == nil {
            at = start
            hasFields = true
            return try date(text, separator: next)
        }
        if TextInput.isWord(name, "j"), fields.year == nil, fields.month == nil, fields.day == nil,
            fields.dayNumber == nil,
            fields.special == nil,
            TextInput.isDigit(next)
        {
            return try julian(text)
        }
        // Behind a whole date, a word that goes on with a dash names a zone, "AM-5" too: POSIX spells them so.
        let isJoined = hasDate && (next == 0x2D || next == 0x2E)
        if next == 0x2F || next == 0x5F || isJoined { return try namedZone(text, start) }
        if keyword(name) {
            hasFields = true
            return
        }
        try namedZone(text, start)
    }

    private mutating func julian(_ text: Span<UInt8>) throws(InputFault) {
        let count = digits(text, from: at)
        fields.dayNumber = try value(text, at, count) - 2_451_545
        at += count
        hasFields = true
    }

    private mutating func keyword(_ name: Span<UInt8>) -> Bool {
        if let month = Self.month(name) {
            // "Nov 20": a number read as a day stays one.
            guard fields.month == nil, fields.dayNumber == nil else { return false }
            fields.month = month
            return true
        }
        if Self.isWeekday(name) { return true }
        if TextInput.isWord(name, "am") || TextInput.isWord(name, "pm") {
            guard fields.hour != nil, fields.isAfternoon == nil else { return false }
            fields.isAfternoon = TextInput.isWord(name, "pm")
            return true
        }
        if TextInput.isWord(name, "bc") || TextInput.isWord(name, "ad") {
            guard hasDate else { return false }
            fields.isBC = TextInput.isWord(name, "bc")
            return true
        }
        guard !hasFields else { return false }
        if TextInput.isWord(name, "infinity") {
            fields.special = .infinity
        } else if TextInput.isWord(name, "epoch") {
            fields.special = .epoch
        } else {
            return false
        }
        return true
    }

    private mutating func namedZone(_ text: Span<UInt8>, _ start: Int) throws(InputFault) {
        while at < text.count, Self.isZoneByte(text[at]) { at += 1 }
        guard fields.zone == nil, hasFields, fields.special == nil else { throw .syntax }
        var name = ""
        for i in start..<at { name.unicodeScalars.append(UnicodeScalar(TextInput.lower(text[i]))) }
        guard let zone = TimeZoneTable.zone(name) else {
            throw name.contains("/") ? .unknownZone(name) : .syntax
        }
        fields.zone = zone
    }

    private static func isZoneByte(_ byte: UInt8) -> Bool {
        TextInput.isLetter(byte) || TextInput.isDigit(byte) || byte == 0x2F || byte == 0x5F || byte == 0x2B
            || byte == 0x2D
    }

    private static func month(_ name: Span<UInt8>) -> Int? {
        guard name.count >= 3 else { return nil }
        let names: InlineArray<12, StaticString> = [
            "january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
            "november", "december",
        ]
        return (0..<12).first { names[$0].isSpelled(by: name, orBy: 3) }
            .map { $0 + 1 } ?? (TextInput.isWord(name, "sept") ? 9 : nil)
    }

    private static func isWeekday(_ name: Span<UInt8>) -> Bool {
        let names: InlineArray<7, StaticString> = [
            "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday",
        ]
        let isName = (0..<7).contains { names[$0].isSpelled(by: name, orBy: 3) }
        return isName || TextInput.isWord(name, "tues") || TextInput.isWord(name, "weds")
            || TextInput.isWord(name, "wednes")
            || TextInput.isWord(name, "thur") || TextInput.isWord(name, "thurs")
    }
}

extension StaticString {
    /// Whether the name is this word or its first few letters, in any case.
    fileprivate func isSpelled(by name: Span<UInt8>, orBy short: Int) -> Bool {
        guard name.count == short || name.count == utf8CodeUnitCount else { return false }
        for i in 0..<name.count where unsafe TextInput.lower(name[i]) != utf8Start[i] { return false }
        return true
    }
}
