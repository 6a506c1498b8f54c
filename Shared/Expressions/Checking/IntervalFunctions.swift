/// Functions of intervals, and those of timestamps that give or take them.
enum IntervalFunctions {
    static let all: [String: [Signature]] = [
        "age": [SQLType.timestamptz, .timestamp].map {
            Signature($0, $0, result: .interval, Lift.two(.interval, canFault: true, age))
        },
        "date_bin": [SQLType.timestamptz, .timestamp].map {
            Signature(.interval, $0, $0, result: $0, Lift.three($0, canFault: true, bin))
        },
        "justify_hours": [Signature(.interval, result: .interval, Lift.one(.interval, canFault: true, justifyHours))],
        "justify_days": [Signature(.interval, result: .interval, Lift.one(.interval, canFault: true, justifyDays))],
        "justify_interval": [Signature(.interval, result: .interval, Lift.one(.interval, canFault: true, justify))],
        "make_interval": (0...7).map { count in
            let wholes = [SQLType](repeating: .int8, count: min(count, 6))
            let signature = Signature(of: wholes + (count > 6 ? [.float8] : []), result: .interval, make)
            return signature.int4(Array(wholes.indices))
        },
    ]

    /// The symbolic difference: years, months and days by the calendar of the earlier of the two.
    private static func age(_ a: Int64, _ b: Int64) throws(Fault) -> Interval? {
        if DateTime.isInfinite(a) || DateTime.isInfinite(b) { throw .ageOfInfinity }
        let (later, earlier) = a >= b ? (a, b) : (b, a)
        let (days1, time1) = Calendar.split(later)
        let (days2, time2) = Calendar.split(earlier)
        let (date1, date2) = (Calendar.date(days1), Calendar.date(days2))
        var microseconds = time1 - time2
        var days = date1.day - date2.day
        var months = (date1.year - date2.year) * 12 + date1.month - date2.month
        if microseconds < 0 {
            microseconds += Calendar.microsecondsPerDay
            days -= 1
        }
        while days < 0 {
            // What is borrowed is the earlier one's month.
            days += Calendar.length(year: date2.year, month: date2.month)
            months -= 1
        }
        let sign: Int64 = a >= b ? 1 : -1
        return Interval(
            months: Int32(truncatingIfNeeded: sign * months), days: Int32(truncatingIfNeeded: sign * days),
            microseconds: sign * microseconds)
    }

    private static func bin(_ stride: Interval, _ value: Int64, _ origin: Int64) throws(Fault) -> Int64? {
        if DateTime.isInfinite(value) { return value }
        if DateTime.isInfinite(origin) { throw Fault("out_of_range", "origin out of range") }
        guard stride.months == 0 else {
            throw .invalid("timestamps cannot be binned into intervals containing months or years")
        }
        let length = Int128(stride.days) * Int128(Calendar.microsecondsPerDay) + Int128(stride.microseconds)
        guard length > 0 else { throw .range("stride must be greater than zero") }
        let distance = Int128(value) - Int128(origin)
        guard Int64(exactly: length) != nil, Int64(exactly: distance) != nil else { throw .intervalRange }
        let rest = distance % length
        let start = Int128(value) - rest - (rest < 0 ? length : 0)
        guard let start = Int64(exactly: start) else { throw .timestampRange }
        return try Calendar.timestamp(days: 0, time: start)
    }

    // MARK: Justifying

    private static func justifyHours(_ value: Interval) throws(Fault) -> Interval? {
        var result = value
        let whole = result.microseconds / Calendar.microsecondsPerDay
        result.microseconds -= whole * Calendar.microsecondsPerDay
        result.days = try sum(result.days, whole)
        return balancedTime(result)
    }

    private static func justifyDays(_ value: Interval) throws(Fault) -> Interval? {
        var result = value
        let whole = result.days / 30
        result.days -= whole * 30
        result.months = try sum(result.months, Int64(whole))
        if result.months > 0, result.days < 0 {
            result.days += 30
            result.months -= 1
        } else if result.months < 0, result.days > 0 {
            result.days -= 30
            result.months += 1
        }
        return result
    }

    private static func justify(_ value: Interval) throws(Fault) -> Interval? {
        var result = value
        if (result.days > 0 && result.microseconds > 0) || (result.days < 0 && result.microseconds < 0) {
            let whole = result.days / 30
            result.days -= whole * 30
            result.months = try sum(result.months, Int64(whole))
        }
        let wholeDays = result.microseconds / Calendar.microsecondsPerDay
        result.microseconds -= wholeDays * Calendar.microsecondsPerDay
        result.days = try sum(result.days, wholeDays)
        let wholeMonths = result.days / 30
        result.days -= wholeMonths * 30
        result.months = try sum(result.months, Int64(wholeMonths))
        if result.months > 0, result.days < 0 || (result.days == 0 && result.microseconds < 0) {
            result.days += 30
            result.months -= 1
        } else if result.months < 0, result.days > 0 || (result.days == 0 && result.microseconds > 0) {
            result.days -= 30
            result.months += 1
        }
        return balancedTime(result)
    }

    /// Gives days and time the same sign.
    private static func balancedTime(_ value: Interval) -> Interval {
        var result = value
        if result.days > 0, result.microseconds < 0 {
            result.microseconds += Calendar.microsecondsPerDay
            result.days -= 1
        } else if result.days < 0, result.microseconds > 0 {
            result.microseconds -= Calendar.microsecondsPerDay
            result.days += 1
        }
        return result
    }

    private static func sum(_ value: Int32, _ more: Int64) throws(Fault) -> Int32 {
        guard let result = Int32(exactly: Int64(value) + more) else { throw .intervalRange }
        return result
    }

    // MARK: Making

    /// Years, months, weeks, days, hours, minutes and seconds; those left out are 0.
    private static let make = Kernel(canFault: true) { arguments, frame, evaluation in
        let wholes = arguments.prefix(6).map { IntBuffer($0.values) }
        let seconds = arguments.count > 6 ? DoubleBuffer(arguments[6].values) : nil
        return Lift.run(.interval, arguments, frame, &evaluation) { (index) throws(Fault) -> Interval? in
            func part(_ number: Int) -> Int128 {
                number < wholes.count ? Int128(wholes[number][index & arguments[number].mask]) : 0
            }
            let fraction = seconds.map { $0[index & arguments[6].mask] * 1e6 } ?? 0
            guard fraction.magnitude < 9.2e18 else { throw .intervalRange }
            let time =
                part(4) * 3_600_000_000 + part(5) * 60_000_000 + Int128(fraction.rounded(.toNearestOrEven))
            guard let months = Int32(exactly: part(0) * 12 + part(1)), let days = Int32(exactly: part(2) * 7 + part(3)),
                let microseconds = Int64(exactly: time)
            else { throw .intervalRange }
            return Interval(months: months, days: days, microseconds: microseconds)
        }
    }
}

extension Fault {
    static var ageOfInfinity: Fault { Fault("out_of_range", "an infinite timestamp has no age") }
}
