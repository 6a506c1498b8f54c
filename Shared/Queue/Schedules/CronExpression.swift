/// A cron expression: five fields (minute, hour, day of month, month, day of week), or `@hourly`, `@daily`, `@weekly`,
/// `@monthly`, `@yearly`.
///
/// A field is a list, by commas, of `*`, a value, a range `a-b`, or a step through one of the last: `*/5`, `10-30/2`.
/// Months and days of the week may have English names of three letters; 7 is Sunday, as 0 is. Where neither day field
/// begins with `*`, a day that either of them allows is one; else both must (as in Vixie's cron).
///
/// Ticks are whole minutes of a zone's civil time, see ``next(after:in:)``.
public struct CronExpression: Sendable, Hashable, CustomStringConvertible {
    public static let maximumLength = 255
    /// The nicknames with what they stand for.
    public static let nicknames: KeyValuePairs = [
        "@hourly": "0 * * * *", "@daily": "0 0 * * *", "@weekly": "0 0 * * 0", "@monthly": "0 0 1 * *",
        "@yearly": "0 0 1 1 *",
    ]

    /// As it was given, with single spaces.
    public let text: String
    let minutes: CronSet
    let hours: CronSet
    let days: CronSet
    let months: CronSet
    let weekdays: CronSet

    /// Errors: what is wrong, by field; an expression that no day can meet is one too.
    public init(_ text: String) throws(CronFault) {
        guard text.utf8.count <= Self.maximumLength else {
            throw CronFault(nil, "is longer than \(Self.maximumLength) bytes")
        }
        let given = text.split { $0 == " " || $0 == "\t" }
        self.text = given.joined(separator: " ")
        let fields = try Self.fields(given)
        minutes = try Self.set(fields[0], .minute)
        hours = try Self.set(fields[1], .hour)
        days = try Self.set(fields[2], .dayOfMonth)
        months = try Self.set(fields[3], .month)
        weekdays = try Self.set(fields[4], .dayOfWeek)
        guard canFire else { throw CronFault(.dayOfMonth, "no month that is allowed has such a day: it never fires") }
    }

    public var description: String { text }

    /// Time runs on by real hours where the hour is `*` or a step through it: what the clock shows twice is met twice,
    /// and nothing is made up for what it never shows.
    var runsByRealHours: Bool { hours.isOpen }

    func allows(_ day: CivilDay) -> Bool {
        let (byDate, byWeekday) = (days.contains(day.day), weekdays.contains(day.weekday))
        return days.isOpen || weekdays.isOpen ? byDate && byWeekday : byDate || byWeekday
    }

    /// Every date, a leap day too, falls on each day of the week in some year.
    private var canFire: Bool {
        guard days.isOpen || weekdays.isOpen else { return true }
        return CronField.month.all.contains { month in
            guard months.contains(month), let first = days.first(from: 1) else { return false }
            return first <= CivilDay.length(ofMonth: month, year: 2000)
        }
    }
}
