/// What a format found in a text; 0 stands for what it did not find, as in PostgreSQL.
struct DateFields {
    var year: Int64 = 0
    var month: Int64 = 0
    var day: Int64 = 0
    var dayOfYear: Int64 = 0
    var weekday: Int64 = 0
    var beforeChrist: Int64 = 0
    var hour: Int64 = 0
    var minute: Int64 = 0
    var second: Int64 = 0
    var secondsOfDay: Int64 = 0
    var milliseconds: Int64 = 0
    var microseconds: Int64 = 0
    /// The digits of the fraction that the moment is rounded to.
    var precision = 6
    /// Whether hours count to 12.
    var isHalfDay = false
    var afternoon: Int64 = 0
    var zoneSign: Int64 = 0
    var zoneHour: Int64 = 0
    var zoneMinute: Int64 = 0

    private static let invalid = Fault("out_of_range", "date/time field value out of range")

    /// The day; what is missing is that of 1 BC-01-01.
    func days() throws(Fault) -> Int64 {
        _ = try time()
        // Before Christ there is no year 0, in either notation.
        var year = beforeChrist == 1 ? -self.year : self.year
        if year < 0 { year += 1 }
        var (month, day) = (self.month == 0 ? 1 : self.month, self.day == 0 ? 1 : self.day)
        if dayOfYear != 0, month <= 1 || day <= 1 {
            guard year != 0 || beforeChrist == 1 else {
                throw Fault("invalid_cast", "cannot calculate day of year without year information")
            }
            let date = Self.date(dayOfYear, of: year)
            if month <= 1 { month = date.month }
            if day <= 1 { day = date.day }
        }
        guard (1...12).contains(month), (1...31).contains(day) else { throw Self.invalid }
        // Without a year, as with a part of a date, no month is known to be short: February the 30th is in March.
        guard self.year == 0 || day <= Calendar.length(year: year, month: month) else { throw Self.invalid }
        let days = Calendar.days(year: year, month: month, day: day)
        guard Calendar.dateDays.contains(days) else { throw .dateRange }
        return days
    }

    /// The month and day of a day of the year. Of one that is in no month the nearest, and the days from its first.
    private static func date(_ dayOfYear: Int64, of year: Int64) -> (month: Int64, day: Int64) {
        var (month, day) = (Int64(1), dayOfYear)
        while month <= 12, day > Calendar.length(year: year, month: month) {
            day -= Calendar.length(year: year, month: month)
            month += 1
        }
        return (month, day)
    }

    /// Microseconds of the day.
    func time() throws(Fault) -> Int64 {
        var hour = secondsOfDay / 3600
        var minute = secondsOfDay / 60 % 60
        var second = secondsOfDay % 60
        if self.second != 0 { second = self.second }
        if self.minute != 0 { minute = self.minute }
        if self.hour != 0 { hour = self.hour }
        if isHalfDay {
            guard (1...12).contains(hour) else {
                throw Fault("invalid_cast", "hour \"\(hour)\" is invalid for the 12-hour clock")
            }
            hour = hour % 12 + (afternoon == 1 ? 12 : 0)
        }
        let fraction = milliseconds * 1000 + microseconds
        guard (0..<24).contains(hour), (0..<60).contains(minute), (0..<60).contains(second),
            (0..<1_000_000).contains(fraction), (0...15).contains(zoneHour), (0..<60).contains(zoneMinute)
        else { throw Self.invalid }
        return ((hour * 60 + minute) * 60 + second) * 1_000_000 + fraction
    }

    /// The moment, read as UTC where the text had no zone.
    func timestamp() throws(Fault) -> Int64 {
        let days = try days()
        guard Calendar.timestampDays.contains(days) else { throw .timestampRange }
        let offset = zoneSign * (zoneHour * 3600 + zoneMinute * 60)
        return rounded(try Calendar.timestamp(days: days, time: try time() - offset * 1_000_000))
    }

    /// Half a step is rounded away from 2000-01-01.
    private func rounded(_ moment: Int64) -> Int64 {
        var step: Int64 = 1
        for _ in precision..<6 { step *= 10 }
        let half = moment < 0 ? -step / 2 : step / 2
        return (moment + half) / step * step
    }
}
