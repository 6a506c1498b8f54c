/// The proleptic Gregorian calendar by day numbers since 2000-01-01.
enum Calendar {
    static let microsecondsPerDay: Int64 = 86_400_000_000
    /// Seconds from 1970-01-01 to 2000-01-01.
    static let epochSeconds: Int64 = 946_684_800
    /// timestamptz's range: 4714-11-24 BC up to 294276 AD, in days.
    static let timestampDays: Range<Int64> = -2_451_545..<106_751_983
    /// date's range in days.
    static let dateDays: Range<Int64> = -2_451_545..<2_145_031_949

    struct Date: Hashable {
        /// Astronomical: 0 is 1 BC.
        var year: Int64
        var month: Int64
        var day: Int64
    }

    /// By Howard Hinnant's `civil_from_days`.
    static func date(_ days: Int64) -> Date {
        // Days since 0000-03-01.
        let shifted = days + 730_425
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        return Date(year: year, month: month, day: dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
    }

    static func days(year: Int64, month: Int64, day: Int64) -> Int64 {
        let shifted = month <= 2 ? year - 1 : year
        let era = (shifted >= 0 ? shifted : shifted - 399) / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 730_425
    }

    static func isLeap(_ year: Int64) -> Bool { year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) }

    static func length(year: Int64, month: Int64) -> Int64 {
        switch month {
        case 2: isLeap(year) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    /// A timestamp's day and the microseconds within it.
    static func split(_ microseconds: Int64) -> (days: Int64, time: Int64) {
        let days = microseconds.floorDivided(by: microsecondsPerDay)
        return (days, microseconds - days * microsecondsPerDay)
    }

    /// The timestamp of a day and microseconds, which may reach beyond it.
    static func timestamp(days: Int64, time: Int64) throws(Fault) -> Int64 {
        let total = Int128(days) * Int128(microsecondsPerDay) + Int128(time)
        guard total >= Int128(timestampDays.lowerBound) * Int128(microsecondsPerDay), total < 9_223_371_331_200_000_000
        else { throw .timestampRange }
        return Int64(total)
    }

    /// 0 for Sunday to 6.
    static func weekday(_ days: Int64) -> Int64 {
        // 2000-01-01 was a Saturday.
        let value = (days + 6) % 7
        return value < 0 ? value + 7 : value
    }

    /// The ISO 8601 year and week of a day.
    static func isoWeek(_ days: Int64) -> (year: Int64, week: Int64) {
        let thursday = days - (weekday(days) + 6) % 7 + 3
        let year = date(thursday).year
        return (year, (thursday - self.days(year: year, month: 1, day: 1)) / 7 + 1)
    }
}

extension Int64 {
    func floorDivided(by divisor: Int64) -> Int64 {
        let quotient = self / divisor
        return self % divisor < 0 ? quotient - 1 : quotient
    }
}
