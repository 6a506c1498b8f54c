/// The fields of intervals: a year is twelve months, nothing else is carried over.
extension DateTimeFields {
    static func truncateInterval(_ unit: Unit, _ name: Bytes, _ value: Interval) throws(Fault) -> Interval? {
        func years(_ count: Int32) -> Interval { Interval(months: value.months / (12 * count) * (12 * count)) }
        func cut(_ size: Int64) -> Interval {
            Interval(
                months: value.months, days: value.days,
                microseconds: value.microseconds - value.microseconds % size)
        }
        switch unit {
        case .millennium: return years(1000)
        case .century: return years(100)
        case .decade: return years(10)
        case .year: return years(1)
        case .quarter: return Interval(months: value.months / 12 * 12 + value.months % 12 / 3 * 3)
        case .month: return Interval(months: value.months)
        case .day: return Interval(months: value.months, days: value.days)
        case .hour: return cut(3_600_000_000)
        case .minute: return cut(60_000_000)
        case .second: return cut(1_000_000)
        case .milliseconds: return cut(1000)
        case .microseconds: return value
        default: throw unknown(name, interval)
        }
    }

    static func extractInterval(_ unit: Unit, _ name: Bytes, _ value: Interval) throws(Fault) -> Decimal? {
        let time = value.microseconds
        let (years, months) = (Int64(value.months / 12), Int64(value.months % 12))
        switch unit {
        case .microseconds: return Decimal(time % 60_000_000)
        case .milliseconds: return .small(Int128(time % 60_000_000), scale: 3)
        case .second: return .small(Int128(time % 60_000_000), scale: 6)
        case .minute: return Decimal(time / 60_000_000 % 60)
        case .hour: return Decimal(time / 3_600_000_000)
        case .day: return Decimal(Int64(value.days))
        case .month: return Decimal(months)
        case .quarter: return Decimal(months / 3 + 1)
        case .year: return Decimal(years)
        case .decade: return Decimal(years / 10)
        case .century: return Decimal(years / 100)
        case .millennium: return Decimal(years / 1000)
        case .epoch:
            // A year has 365.25 days, a month 30.
            let quarters = Int128(years) * 1461 + Int128(months) * 120 + Int128(value.days) * 4
            let seconds = quarters * 21_600
            return .small(seconds * 1_000_000 + Int128(time), scale: 6)
        default: throw unknown(name, interval)
        }
    }

    /// `date_part`: PostgreSQL adds fractions up in binary.
    static func intervalPart(_ unit: Unit, _ name: Bytes, _ value: Interval) throws(Fault) -> Double? {
        let time = value.microseconds
        let fraction = Double(time % 1_000_000)
        switch unit {
        case .milliseconds: return Double(time / 1_000_000 % 60) * 1000 + fraction / 1000
        case .second: return Double(time / 1_000_000 % 60) + fraction / 1_000_000
        case .epoch:
            var seconds = Double(time) / 1_000_000
            seconds += 365.25 * 86_400 * Double(value.months / 12)
            seconds += 30 * 86_400 * Double(value.months % 12)
            seconds += 86_400 * Double(value.days)
            return seconds
        default: return try extractInterval(unit, name, value)?.double
        }
    }
}
