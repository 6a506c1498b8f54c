extension DateFormat {
    /// Refuses what `to_date` and `to_timestamp` cannot read here: ISO weeks, centuries, Julian days and the like,
    /// whose rules are many, and zones by name.
    func checkReadable() throws(Fault) {
        for case .field(let field, _, _) in nodes {
            switch field {
            case .hour24, .hour12, .hour, .minute, .second, .millisecond, .microsecond, .tenths, .hundredths,
                .thousandths, .fourDigits, .fiveDigits, .sixDigits, .secondsOfDay, .secondsOfDayLong, .dottedAM,
                .dottedPM, .am, .pm, .dottedAD, .dottedBC, .ad, .bc, .year, .year3, .year2, .year1, .month, .shortMonth,
                .monthNumber, .day, .shortDay, .dayOfYear, .dayOfMonth, .zoneHour, .zoneMinute, .quarter:
                continue
            default: throw .invalid("\(field.rawValue) is supported in to_char only")
            }
        }
    }

    /// Reads a text as PostgreSQL's `DCH_from_char` does.
    func read(_ text: Bytes) throws(Fault) -> DateFields {
        var reader = DateReader(text)
        for (place, node) in nodes.enumerated() where !reader.isAtEnd {
            switch node {
            case .field(let field, _, let style):
                reader.skipBlanks()
                let isFollowed = style.ordinal != nil || isDelimited(place + 1)
                try reader.read(field, isWhole: !style.isFilled || isFollowed)
                if style.ordinal != nil, field.isNumber, field != .zoneMinute { reader.skipOrdinal() }
                reader.restartCounting()
            case .separator, .blank:
                if place == 0 { reader.skipBlanks() }
                reader.passSeparator()
            case .literal:
                if place == 0 { reader.skipBlanks() }
                reader.passCharacter()
            }
        }
        return reader.fields
    }

    /// Whether what stands at a place of the format ends a number before it.
    private func isDelimited(_ place: Int) -> Bool {
        guard place < nodes.count else { return true }
        switch nodes[place] {
        case .field(let field, _, _): return !field.isNumber
        case .literal(let bytes): return !(bytes.count == 1 && bytes[0] &- 0x30 < 10)
        case .separator, .blank: return true
        }
    }
}

/// Goes through a text along a format.
private struct DateReader {
    private let text: Bytes
    private var index: Int
    /// Blanks passed beyond those that the format asked for.
    private var extra = 0
    private(set) var fields = DateFields()

    init(_ text: Bytes) {
        self.text = text
        index = text.startIndex
    }

    var isAtEnd: Bool { index >= text.endIndex }

    mutating func skipBlanks() {
        while index < text.endIndex, ValueInput.isSpace(text[index]) {
            index += 1
            extra += 1
        }
    }

    mutating func restartCounting() {
        extra = 0
        skipBlanks()
    }

    mutating func passSeparator() {
        extra -= 1
        guard index < text.endIndex, ValueInput.isSpace(text[index]) || DateFormat.isSeparator(text[index]) else {
            return
        }
        index += 1
        extra += 1
    }

    mutating func passCharacter() {
        if extra > 0 {
            extra -= 1
        } else {
            index = UTF8Text.advance(text, from: index, by: 1)
        }
    }

    mutating func skipOrdinal() {
        index = UTF8Text.advance(text, from: index, by: 2)
    }

    // MARK: Fields

    mutating func read(_ field: DateFormat.Field, isWhole: Bool) throws(Fault) {
        switch field {
        case .hour24, .hour12, .hour:
            try set(\.hour, try number(field, 2, isWhole).value, field)
            if field != .hour24 { fields.isHalfDay = true }
        case .minute: try set(\.minute, try number(field, 2, isWhole).value, field)
        case .second: try set(\.second, try number(field, 2, isWhole).value, field)
        case .millisecond: try fraction(field, 3, isWhole, \.milliseconds)
        case .microsecond: try fraction(field, 6, isWhole, \.microseconds)
        case .tenths: try rounded(field, 1, isWhole)
        case .hundredths: try rounded(field, 2, isWhole)
        case .thousandths: try rounded(field, 3, isWhole)
        case .fourDigits: try rounded(field, 4, isWhole)
        case .fiveDigits: try rounded(field, 5, isWhole)
        case .sixDigits: try rounded(field, 6, isWhole)
        case .secondsOfDay, .secondsOfDayLong:
            try set(\.secondsOfDay, try number(field, field.rawValue.count, isWhole).value, field)
        case .dottedAM, .dottedPM:
            try set(\.afternoon, try word(DateFormat.dottedHalfDays, field), field)
            fields.isHalfDay = true
        case .am, .pm:
            try set(\.afternoon, try word(DateFormat.halfDays, field), field)
            fields.isHalfDay = true
        case .dottedAD, .dottedBC: try set(\.beforeChrist, try word(DateFormat.dottedEras, field), field)
        case .ad, .bc: try set(\.beforeChrist, try word(DateFormat.eras, field), field)
        case .monthNumber: try set(\.month, try number(field, 2, isWhole).value, field)
        case .month: try set(\.month, try word(DateFormat.monthNames, field) + 1, field)
        case .shortMonth:
            try set(\.month, try word(DateFormat.shortMonthNames, field) + 1, field)
        case .day: try weekday(DateFormat.dayNames, field)
        case .shortDay: try weekday(DateFormat.shortDayNames, field)
        case .dayOfYear: try set(\.dayOfYear, try number(field, 3, isWhole).value, field)
        case .dayOfMonth: try set(\.day, try number(field, 2, isWhole).value, field)
        case .quarter: _ = try number(field, 1, isWhole)
        case .zoneHour:
            zoneSign()
            try set(\.zoneHour, try number(field, 2, isWhole).value, field)
        case .zoneMinute:
            if fields.zoneSign == 0 { fields.zoneSign = 1 }
            try set(\.zoneMinute, try number(field, 2, isWhole).value, field)
        default: try year(field, isWhole)
        }
    }

    private mutating func year(_ field: DateFormat.Field, _ isWhole: Bool) throws(Fault) {
        let (value, length) = try number(field, field.rawValue.count, isWhole)
        try set(\.year, value, field)
        if field != .year, length < 4 { fields.year = Self.near2020(value) }
    }

    /// A year of up to three digits is the one next to 2020.
    private static func near2020(_ year: Int64) -> Int64 {
        switch year {
        case ..<70: year + 2000
        case ..<100: year + 1900
        case ..<520: year + 2000
        case ..<1000: year + 1000
        default: year
        }
    }

    private mutating func zoneSign() {
        if index < text.endIndex, [UInt8(ascii: "+"), UInt8(ascii: "-"), 0x20].contains(text[index]) {
            fields.zoneSign = text[index] == UInt8(ascii: "-") ? -1 : 1
            index += 1
        } else {
            // The sign may have been passed as a separator.
            let isNegative = extra > 0 && index > text.startIndex && text[index - 1] == UInt8(ascii: "-")
            fields.zoneSign = isNegative ? -1 : 1
        }
    }

    private mutating func weekday(_ names: [String], _ field: DateFormat.Field) throws(Fault) {
        try set(\.weekday, try word(names, field), field)
        fields.weekday += 1
    }

    /// `FF3`: as many digits as any other number would take, in the place of microseconds; what they make with all the
    /// rest is rounded in the end.
    private mutating func rounded(_ field: DateFormat.Field, _ width: Int, _ isWhole: Bool) throws(Fault) {
        fields.precision = width
        try fraction(field, width, isWhole, \.microseconds)
    }

    /// Digits after the point: `5` is five tenths.
    private mutating func fraction(
        _ field: DateFormat.Field, _ width: Int, _ isWhole: Bool, _ path: WritableKeyPath<DateFields, Int64>
    ) throws(Fault) {
        let (value, length) = try number(field, width, isWhole)
        let digits = path == \DateFields.milliseconds ? 3 : 6
        try set(path, value, field)
        for _ in min(length, digits)..<digits { fields[keyPath: path] *= 10 }
    }

    /// A field that was read before must be the same. What came before is compared as it is kept, with all its digits,
    /// and the new one as it was read: `24` does not repeat a `24` that became 2024.
    private mutating func set(
        _ path: WritableKeyPath<DateFields, Int64>, _ value: Int64, _ field: DateFormat.Field
    ) throws(Fault) {
        guard fields[keyPath: path] == 0 || fields[keyPath: path] == value else {
            throw Fault("invalid_cast", "conflicting values for \"\(field.rawValue)\" field in formatting string")
        }
        fields[keyPath: path] = value
    }

    /// A number of so many digits, or of as many as there are.
    private mutating func number(
        _ field: DateFormat.Field, _ width: Int, _ isWhole: Bool
    ) throws(Fault) -> (value: Int64, length: Int) {
        let start = index
        while index < text.endIndex, ValueInput.isSpace(text[index]) { index += 1 }
        let limit = isWhole ? text.endIndex : min(index + width, text.endIndex)
        guard isWhole || text.endIndex - index >= width else {
            throw Fault("invalid_cast", "source string too short for \"\(field.rawValue)\" formatting field")
        }
        let first = index
        while index < limit, ValueInput.isSpace(text[index]) { index += 1 }
        var isNegative = false
        if index < limit, text[index] == UInt8(ascii: "-") || text[index] == UInt8(ascii: "+") {
            isNegative = text[index] == UInt8(ascii: "-")
            index += 1
        }
        var value: Int64 = 0
        let digits = index
        while index < limit, text[index] &- 0x30 < 10 {
            value = value * 10 + Int64(text[index] &- 0x30)
            guard value <= 1 << 32 else {
                throw Fault("out_of_range", "value for \"\(field.rawValue)\" is out of range")
            }
            index += 1
        }
        if isNegative { value = -value }
        guard index > digits, isWhole || index - first == width else {
            let found = String(decoding: text[first..<limit], as: UTF8.self)
            throw Fault("invalid_cast", "invalid value \"\(found)\" for \"\(field.rawValue)\"")
        }
        guard Int32(exactly: value) != nil else {
            throw Fault("out_of_range", "value for \"\(field.rawValue)\" is out of range")
        }
        return (value, index - start)
    }

    /// The place of the word that the text goes on with.
    private mutating func word(_ words: [String], _ field: DateFormat.Field) throws(Fault) -> Int64 {
        for (place, word) in words.enumerated() {
            let found = text[index...].prefix(word.utf8.count)
            guard found.count == word.utf8.count,
                zip(found, word.utf8).allSatisfy({ Self.lowered($0) == Self.lowered($1) })
            else { continue }
            index += found.count
            return Int64(place)
        }
        let rest = text[index...].prefix { !ValueInput.isSpace($0) }
        throw Fault(
            "invalid_cast", "invalid value \"\(String(decoding: rest, as: UTF8.self))\" for \"\(field.rawValue)\"")
    }

    private static func lowered(_ byte: UInt8) -> UInt8 { byte &- 0x41 < 26 ? byte | 0x20 : byte }
}
