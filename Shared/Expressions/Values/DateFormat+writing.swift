extension DateFormat {
    /// A point in time taken apart for writing.
    struct Moment {
        let days: Int64
        let time: Int64
        let date: Calendar.Date
        /// Whether it is a timestamptz, which knows the name of its zone.
        let isZoned: Bool

        init(_ value: Int64, isZoned: Bool) {
            (days, time) = Calendar.split(value)
            date = Calendar.date(days)
            self.isZoned = isZoned
        }

        var hour: Int64 { time / 3_600_000_000 }
        var fraction: Int64 { time % 1_000_000 }
        /// Counted without a year 0, before Christ too.
        var shownYear: Int64 { date.year > 0 ? date.year : 1 - date.year }
        var dayOfYear: Int64 { days - Calendar.days(year: date.year, month: 1, day: 1) + 1 }
        var isoYear: Int64 { Calendar.isoWeek(days).year }
        var shownISOYear: Int64 { isoYear > 0 ? isoYear : 1 - isoYear }
        /// From the Monday of the first week on.
        var isoDayOfYear: Int64 {
            let fourth = Calendar.days(year: isoYear, month: 1, day: 4)
            return days - (fourth - (Calendar.weekday(fourth) + 6) % 7) + 1
        }
    }

    /// Appends what `to_char` makes of a timestamp that is finite, in UTC.
    func write(_ value: Int64, isZoned: Bool, to output: inout [UInt8]) {
        let moment = Moment(value, isZoned: isZoned)
        for node in nodes {
            switch node {
            case .literal(let bytes), .separator(let bytes), .blank(let bytes): output.append(contentsOf: bytes)
            case .field(let field, let casing, let style):
                if let (number, width) = Self.number(field, moment) {
                    Self.write(number, width: style.isFilled ? width : 0, style.ordinal, to: &output)
                } else {
                    Self.writeWord(field, casing, style, moment, to: &output)
                }
            }
        }
    }

    /// A field that is written as a number, and how many digits it has at least.
    private static func number(_ field: Field, _ moment: Moment) -> (Int64, width: Int)? {
        switch field {
        case .hour24: (moment.hour, 2)
        case .hour12, .hour: (moment.hour % 12 == 0 ? 12 : moment.hour % 12, 2)
        case .minute: (moment.time / 60_000_000 % 60, 2)
        case .second: (moment.time / 1_000_000 % 60, 2)
        case .secondsOfDay, .secondsOfDayLong: (moment.time / 1_000_000, 0)
        case .year: (moment.shownYear, 4)
        case .year3: (moment.shownYear % 1000, 3)
        case .year2: (moment.shownYear % 100, 2)
        case .year1: (moment.shownYear % 10, 0)
        case .isoYear: (moment.shownISOYear, 4)
        case .isoYear3: (moment.shownISOYear % 1000, 3)
        case .isoYear2: (moment.shownISOYear % 100, 2)
        case .isoYear1: (moment.shownISOYear % 10, 0)
        case .monthNumber: (moment.date.month, 2)
        case .dayOfYear: (moment.dayOfYear, 3)
        case .isoDayOfYear: (moment.isoDayOfYear, 3)
        case .dayOfMonth: (moment.date.day, 2)
        case .weekday: (Calendar.weekday(moment.days) + 1, 0)
        case .isoWeekday: ((Calendar.weekday(moment.days) + 6) % 7 + 1, 0)
        case .week: ((moment.dayOfYear - 1) / 7 + 1, 2)
        case .isoWeek: (Calendar.isoWeek(moment.days).week, 2)
        case .weekOfMonth: ((moment.date.day - 1) / 7 + 1, 0)
        case .century: (century(moment.date.year), 2)
        case .julian: (moment.days + 2_451_545, 0)
        case .quarter: ((moment.date.month - 1) / 3 + 1, 0)
        default: nil
        }
    }

    private static func century(_ year: Int64) -> Int64 { year > 0 ? (year - 1) / 100 + 1 : year / 100 - 1 }

    private static func write(_ number: Int64, width: Int, _ ordinal: Casing?, to output: inout [UInt8]) {
        if number < 0 { output.append(UInt8(ascii: "-")) }
        ValueOutput.digits(number.magnitude, width: number < 0 ? max(width, 1) : width, to: &output)
        writeOrdinal(number.magnitude, ordinal, to: &output)
    }

    private static func writeOrdinal(_ number: UInt64, _ ordinal: Casing?, to output: inout [UInt8]) {
        guard let ordinal else { return }
        let suffix =
            switch (number / 10 % 10 == 1, number % 10) {
            case (false, 1): "st"
            case (false, 2): "nd"
            case (false, 3): "rd"
            default: "th"
            }
        output.append(contentsOf: (ordinal == .upper ? suffix.uppercased() : suffix).utf8)
    }

    private static func writeWord(
        _ field: Field, _ casing: Casing, _ style: Style, _ moment: Moment, to output: inout [UInt8]
    ) {
        func put(_ word: String, _ casing: Casing, width: Int = 0) {
            let start = output.count
            for byte in word.utf8 {
                let isLetter = (byte | 0x20) &- 0x61 < 26
                switch casing {
                case .upper: output.append(isLetter ? byte & ~0x20 : byte)
                case .lower: output.append(isLetter ? byte | 0x20 : byte)
                case .capitalised: output.append(byte)
                }
            }
            while style.isFilled, output.count - start < width { output.append(0x20) }
        }
        let month = monthNames[Int(moment.date.month - 1)]
        let day = dayNames[Int(Calendar.weekday(moment.days))]
        switch field {
        case .millisecond, .thousandths: digits(moment.fraction / 1000, 3, style, to: &output)
        case .microsecond, .sixDigits: digits(moment.fraction, 6, style, to: &output)
        case .tenths: digits(moment.fraction / 100_000, 1, style, to: &output)
        case .hundredths: digits(moment.fraction / 10_000, 2, style, to: &output)
        case .fourDigits: digits(moment.fraction / 100, 4, style, to: &output)
        case .fiveDigits: digits(moment.fraction / 10, 5, style, to: &output)
        case .dottedAM, .dottedPM: put(moment.hour >= 12 ? "p.m." : "a.m.", casing)
        case .am, .pm: put(moment.hour >= 12 ? "pm" : "am", casing)
        case .dottedAD, .dottedBC: put(moment.date.year > 0 ? "a.d." : "b.c.", casing)
        case .ad, .bc: put(moment.date.year > 0 ? "ad" : "bc", casing)
        case .month: put(month, casing, width: 9)
        case .shortMonth: put(shortMonthNames[Int(moment.date.month - 1)], casing)
        case .day: put(day, casing, width: 9)
        case .shortDay: put(shortDayNames[Int(Calendar.weekday(moment.days))], casing)
        case .romanMonth: put(romanMonths[Int(moment.date.month - 1)], casing, width: 4)
        case .commaYear:
            ValueOutput.digits(UInt64(moment.shownYear / 1000), width: 1, to: &output)
            output.append(UInt8(ascii: ","))
            ValueOutput.digits(UInt64(moment.shownYear % 1000), width: 3, to: &output)
            writeOrdinal(UInt64(moment.shownYear), style.ordinal, to: &output)
        case .zone: if moment.isZoned { put("utc", casing) }
        case .zoneHour: output.append(contentsOf: "+00".utf8)
        case .zoneMinute: output.append(contentsOf: "00".utf8)
        default: output.append(contentsOf: (style.isFilled ? "+00" : "+0").utf8)
        }
    }

    private static func digits(_ value: Int64, _ width: Int, _ style: Style, to output: inout [UInt8]) {
        ValueOutput.digits(UInt64(value), width: width, to: &output)
        writeOrdinal(UInt64(value), style.ordinal, to: &output)
    }
}
