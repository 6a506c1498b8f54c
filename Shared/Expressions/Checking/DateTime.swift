/// Operators on timestamps, dates and intervals, in UTC: there a timestamptz and a timestamp are computed alike.
enum DateTime {
    static let operators: [String: [Signature]] = [
        "+": sums(.timestamptz) + sums(.timestamp) + [
            Signature(
                .date, .interval, result: .timestamp,
                Lift.two(.timestamp, canFault: true) {
                    (a: Int64, b: Interval) throws(Fault) in try add(midnight(a), b)
                }),
            Signature(
                .interval, .date, result: .timestamp,
                Lift.two(.timestamp, canFault: true) {
                    (a: Interval, b: Int64) throws(Fault) in try add(midnight(b), a)
                }),
            Signature(.date, .int8, result: .date, Lift.two(.date, canFault: true, addDays)).int4(1),
            Signature(
                .int8, .date, result: .date,
                Lift.two(.date, canFault: true) {
                    (a: Int64, b: Int64) throws(Fault) in try addDays(b, a)
                }
            ).int4(0),
            Signature(.interval, .interval, result: .interval, Lift.two(.interval, canFault: true, sum)),
        ],
        "-": differences(.timestamptz) + differences(.timestamp) + [
            Signature(
                .date, .interval, result: .timestamp,
                Lift.two(.timestamp, canFault: true) {
                    (a: Int64, b: Interval) throws(Fault) -> Int64? in
                    guard let negated = try negated(b) else { return nil }
                    return try add(midnight(a), negated)
                }),
            Signature(
                .date, .date, result: .int8,
                Lift.two(.int8, canFault: true) {
                    (a: Int64, b: Int64) throws(Fault) in
                    if isInfinite(a) || isInfinite(b) {
                        throw Fault("out_of_range", "cannot subtract infinite dates")
                    }
                    return a - b
                }),
            Signature(
                .date, .int8, result: .date,
                Lift.two(.date, canFault: true) {
                    (a: Int64, b: Int64) throws(Fault) in
                    guard b != .min else { throw .dateRange }
                    return try addDays(a, -b)
                }
            ).int4(1),
            Signature(
                .interval, .interval, result: .interval,
                Lift.two(.interval, canFault: true) {
                    (a: Interval, b: Interval) throws(Fault) -> Interval? in
                    guard let negated = try negated(b) else { return nil }
                    return try sum(a, negated)
                }),
        ],
        "*": [
            Signature(.interval, .float8, result: .interval, Lift.two(.interval, canFault: true, product)),
            Signature(
                .float8, .interval, result: .interval,
                Lift.two(.interval, canFault: true) {
                    (a: Double, b: Interval) throws(Fault) in try product(b, a)
                }),
        ],
        "/": [Signature(.interval, .float8, result: .interval, Lift.two(.interval, canFault: true, quotient))],
    ]

    private static func sums(_ type: SQLType) -> [Signature] {
        [
            Signature(type, .interval, result: type, Lift.two(type, canFault: true, add)),
            Signature(
                .interval, type, result: type,
                Lift.two(type, canFault: true) {
                    (a: Interval, b: Int64) throws(Fault) in try add(b, a)
                }),
        ]
    }

    private static func differences(_ type: SQLType) -> [Signature] {
        [
            Signature(
                type, .interval, result: type,
                Lift.two(type, canFault: true) {
                    (a: Int64, b: Interval) throws(Fault) -> Int64? in
                    guard let negated = try negated(b) else { return nil }
                    return try add(a, negated)
                }),
            Signature(type, type, result: .interval, Lift.two(.interval, canFault: true, difference)),
        ]
    }

    static func isInfinite(_ value: Int64) -> Bool { value == .max || value == .min }

    static func midnight(_ days: Int64) throws(Fault) -> Int64 {
        if isInfinite(days) { return days }
        guard Calendar.timestampDays.contains(days) else { throw .dateToTimestamp }
        return days * Calendar.microsecondsPerDay
    }

    /// Months first, to the last day of a shorter month; then days; then time.
    static func add(_ timestamp: Int64, _ interval: Interval) throws(Fault) -> Int64? {
        if isInfinite(timestamp) { return timestamp }
        var (days, time) = Calendar.split(timestamp)
        if interval.months != 0 {
            var date = Calendar.date(days)
            let months = date.year * 12 + date.month - 1 + Int64(interval.months)
            date.year = months.floorDivided(by: 12)
            date.month = months - date.year * 12 + 1
            date.day = min(date.day, Calendar.length(year: date.year, month: date.month))
            days = Calendar.days(year: date.year, month: date.month, day: date.day)
        }
        days += Int64(interval.days)
        let (sum, overflow) = time.addingReportingOverflow(interval.microseconds)
        if overflow { throw .timestampRange }
        time = sum
        return try Calendar.timestamp(days: days, time: time)
    }

    private static func addDays(_ date: Int64, _ days: Int64) throws(Fault) -> Int64? {
        if isInfinite(date) { return date }
        let (sum, overflow) = date.addingReportingOverflow(days)
        guard !overflow, Calendar.dateDays.contains(sum) else { throw .dateRange }
        return sum
    }

    private static func difference(_ a: Int64, _ b: Int64) throws(Fault) -> Interval? {
        if isInfinite(a) || isInfinite(b) {
            throw Fault("out_of_range", "cannot subtract infinite timestamps")
        }
        let total = Int128(a) - Int128(b)
        let days = total / Int128(Calendar.microsecondsPerDay)
        return Interval(days: Int32(days), microseconds: Int64(total - days * Int128(Calendar.microsecondsPerDay)))
    }

    static func negated(_ value: Interval) throws(Fault) -> Interval? {
        guard value.months != .min, value.days != .min, value.microseconds != .min else { throw .intervalRange }
        return Interval(months: -value.months, days: -value.days, microseconds: -value.microseconds)
    }

    private static func sum(_ a: Interval, _ b: Interval) throws(Fault) -> Interval? {
        let (months, first) = a.months.addingReportingOverflow(b.months)
        let (days, second) = a.days.addingReportingOverflow(b.days)
        let (time, third) = a.microseconds.addingReportingOverflow(b.microseconds)
        if first || second || third { throw .intervalRange }
        return Interval(months: months, days: days, microseconds: time)
    }

    private static func product(_ a: Interval, _ factor: Double) throws(Fault) -> Interval? {
        try scaled(Double(a.months) * factor, Double(a.days) * factor, Double(a.microseconds) * factor)
    }

    private static func quotient(_ a: Interval, _ divisor: Double) throws(Fault) -> Interval? {
        if divisor == 0 { throw .divisionByZero }
        return try scaled(Double(a.months) / divisor, Double(a.days) / divisor, Double(a.microseconds) / divisor)
    }

    /// Fractions of months become days of 30, fractions of days become time.
    private static func scaled(
        _ months: Double, _ days: Double, _ microseconds: Double
    ) throws(Fault) -> Interval {
        guard let wholeMonths = Int32(exactly: months.rounded(.towardZero)),
            let wholeDays = Int32(exactly: days.rounded(.towardZero))
        else { throw .intervalRange }
        let restDays = ((months - Double(wholeMonths)) * 30 * 1e6).rounded(.toNearestOrEven) / 1e6
        var seconds =
            ((days - Double(wholeDays) + restDays - restDays.rounded(.towardZero)) * 86_400 * 1e6)
            .rounded(.toNearestOrEven) / 1e6
        var carried = 0.0
        if seconds.magnitude >= 86_400 {
            carried = (seconds / 86_400).rounded(.towardZero)
            seconds -= carried * 86_400
        }
        let time = (microseconds + seconds * 1e6).rounded(.toNearestOrEven)
        guard time.magnitude < 9.2e18, let more = Int32(exactly: restDays.rounded(.towardZero) + carried) else {
            throw .intervalRange
        }
        let (sum, overflow) = wholeDays.addingReportingOverflow(more)
        if overflow { throw .intervalRange }
        return Interval(months: wholeMonths, days: sum, microseconds: Int64(time))
    }
}
