/// The proleptic Gregorian calendar as PostgreSQL counts it: days from 2000-01-01, years astronomically (0 is 1 BC).
public enum CivilDate {
    public static let microsecondsPerDay: Int64 = 86_400_000_000

    /// The day number. Month from 1 to 12; the day may be any number.
    public static func days(year: Int, month: Int, day: Int) -> Int {
        // Years begin in March, so that the leap day is the last: Howard Hinnant, "chrono-compatible low-level date
        // algorithms".
        let shifted = month <= 2 ? year - 1 : year
        let era = (shifted >= 0 ? shifted : shifted - 399) / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 730_425
    }

    public static func civil(days: Int) -> (year: Int, month: Int, day: Int) {
        let shifted = days + 730_425
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        return (year, month, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
    }

    public static func daysInMonth(year: Int, month: Int) -> Int {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    /// Day numbers PostgreSQL's date holds: 4713-01-01 BC (exclusive of nothing) up to 5874897-12-31.
    static let dateRange = -2_451_545...2_145_031_948
    /// Microseconds its timestamps hold: 4714-11-24 BC up to 294276-12-31.
    static let timestampRange: Range<Int64> = -211_813_488_000_000_000..<9_223_371_331_200_000_000
}
