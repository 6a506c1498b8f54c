/// `date_trunc`, `extract` and `date_part`.
enum DateTimeFields {
    static let zoned = "timestamp with time zone"
    static let unzoned = "timestamp without time zone"
    static let interval = "interval"

    static let all: [String: [Signature]] = [
        "date_trunc": [
            Signature(
                .text, .timestamptz, result: .timestamptz,
                byUnit(.timestamptz, of: zoned, shortcut: infinity) { (unit, name, value: Int64) throws(Fault) in
                    try truncate(unit, name, value, type: zoned)
                }),
            Signature(
                .text, .timestamp, result: .timestamp,
                byUnit(.timestamp, of: unzoned, shortcut: infinity) { (unit, name, value: Int64) throws(Fault) in
                    try truncate(unit, name, value, type: unzoned)
                }),
            Signature(
                .text, .interval, result: .interval,
                byUnit(.interval, of: interval, truncateInterval)),
            Signature(.text, .timestamptz, .text, result: .timestamptz, truncateInZone)
                .checking(2, TimeZones.check),
        ],
        "extract": [
            Signature(.text, .timestamptz, result: .numeric, byUnit(.numeric, of: zoned, extract)),
            Signature(
                .text, .timestamp, result: .numeric,
                byUnit(.numeric, of: unzoned) { (unit, name, value: Int64) throws(Fault) in
                    try refuseZone(unit, name, value)
                    return try extract(unit, name, value)
                }),
            Signature(.text, .date, result: .numeric, byUnit(.numeric, of: "date", extractDate)),
            Signature(.text, .interval, result: .numeric, byUnit(.numeric, of: interval, extractInterval)),
        ],
        "date_part": [
            Signature(.text, .timestamptz, result: .float8, byUnit(.float8, of: zoned, part)),
            Signature(
                .text, .timestamp, result: .float8,
                byUnit(.float8, of: unzoned) { (unit, name, value: Int64) throws(Fault) in
                    try refuseZone(unit, name, value)
                    return try part(unit, name, value)
                }),
            Signature(
                .text, .date, result: .float8,
                byUnit(.float8, of: zoned) { (unit, name, value: Int64) throws(Fault) in
                    try refuseZone(unit, name, value)
                    let time = DateTime.isInfinite(value) ? value : value * Calendar.microsecondsPerDay
                    return try part(unit, name, time)
                }),
            Signature(.text, .interval, result: .float8, byUnit(.float8, of: interval, intervalPart)),
        ],
        "isfinite": [SQLType.date, .timestamptz, .timestamp].map {
            Signature($0, result: .bool, Lift.one(.bool) { (value: Int64) in !DateTime.isInfinite(value) })
        } + [Signature(.interval, result: .bool, Lift.one(.bool) { (_: Interval) in true })],
    ]

    enum Unit: String {
        case microseconds, milliseconds, second, minute, hour, day, week, month, quarter, year, decade,
            century
        case millennium, dow, isodow, doy, isoyear, epoch, julian, timezone
        case timezoneHour = "timezone_hour"
        case timezoneMinute = "timezone_minute"
    }

    /// The unit of a name, nil if it is none.
    private static func unit(_ name: Bytes) -> Unit? {
        let word = String(decoding: ValueInput.trimmed(name), as: UTF8.self).lowercased()
        return Unit(rawValue: word) ?? aliases[word]
    }

    /// Infinity is cut to itself, whatever the unit is called.
    @Sendable private static func infinity(_ value: Int64) -> Int64? { DateTime.isInfinite(value) ? value : nil }

    /// A kernel of a unit's name and a point in time or an interval; the name is nearly always a literal, and then read
    /// once. What the shortcut answers needs no unit.
    private static func byUnit<A: SQLValue, R: SQLValue>(
        _ type: SQLType, of what: String, shortcut: @escaping @Sendable (A) -> R? = { _ in nil },
        _ body: @escaping @Sendable (Unit, Bytes, A) throws(Fault) -> R?
    ) -> Kernel {
        Kernel(canFault: true) { arguments, frame, evaluation in
            let names = BytesBuffer(arguments[0].values)
            let times = A.Buffer(arguments[1].values)
            let (maskA, maskB) = (arguments[0].mask, arguments[1].mask)
            let fixed = arguments[0].isConstant ? unit(names[0]) : nil
            return Lift.run(type, arguments, frame, &evaluation) { (index) throws(Fault) -> R? in
                let (name, time) = (names[index & maskA], times[index & maskB])
                if let answer = shortcut(time) { return answer }
                guard let unit = fixed ?? unit(name) else { throw unknown(name, what) }
                return try body(unit, name, time)
            }
        }
    }

    private static let aliases: [String: Unit] = [
        "microsecond": .microseconds, "us": .microseconds, "usec": .microseconds,
        "usecs": .microseconds,
        "millisecond": .milliseconds, "ms": .milliseconds, "msec": .milliseconds,
        "msecs": .milliseconds,
        "seconds": .second, "sec": .second, "secs": .second, "s": .second, "minutes": .minute,
        "min": .minute,
        "mins": .minute, "m": .minute, "hours": .hour, "hr": .hour, "hrs": .hour, "h": .hour,
        "days": .day,
        "d": .day, "weeks": .week, "w": .week, "months": .month, "mon": .month, "mons": .month,
        "qtr": .quarter,
        "years": .year, "yr": .year, "yrs": .year, "y": .year, "decades": .decade, "dec": .decade,
        "centuries": .century, "c": .century, "cent": .century, "millennia": .millennium,
        "mil": .millennium,
        "mils": .millennium,
    ]

    static func unknown(_ name: Bytes, _ type: String) -> Fault {
        .invalid("unit \"\(String(decoding: name, as: UTF8.self))\" not recognized for type \(type)")
    }

    /// Refuses the fields of a zone, which the value has not; of infinity PostgreSQL says NULL.
    private static func refuseZone(_ unit: Unit, _ name: Bytes, _ value: Int64) throws(Fault) {
        if DateTime.isInfinite(value) { return }
        switch unit {
        case .timezone, .timezoneHour, .timezoneMinute: throw unknown(name, unzoned)
        default: break
        }
    }

    /// `date_trunc` by the clock of a zone.
    private static let truncateInZone = Kernel(canFault: true) { arguments, frame, evaluation in
        let (names, zones) = (BytesBuffer(arguments[0].values), BytesBuffer(arguments[2].values))
        let times = IntBuffer(arguments[1].values)
        let masks = arguments.map(\.mask)
        var known = TimeZones.Known()
        return Lift.run(.timestamptz, arguments, frame, &evaluation) { (index) throws(Fault) -> Int64? in
            let name = names[index & masks[0]]
            let value = times[index & masks[1]]
            if DateTime.isInfinite(value) { return value }
            guard let unit = unit(name) else { throw unknown(name, zoned) }
            let zone = try known.zone(zones[index & masks[2]])
            guard let local = try TimeZones.local(zone, value), let start = try truncate(unit, name, local, type: zoned)
            else {
                return nil
            }
            switch unit {
            case .microseconds, .milliseconds, .second, .minute, .hour:
                // Keeps the offset: within an hour that a clock shows twice it is still the same.
                return try Calendar.timestamp(days: 0, time: value - local + start)
            default: return try TimeZones.moment(zone, start)
            }
        }
    }

    private static func truncate(
        _ unit: Unit, _ name: Bytes, _ value: Int64, type: String
    ) throws(Fault) -> Int64? {
        if DateTime.isInfinite(value) { return value }
        let (days, time) = Calendar.split(value)
        func cut(_ size: Int64) throws(Fault) -> Int64 {
            try Calendar.timestamp(days: days, time: time - time % size)
        }
        func first(_ year: Int64, _ month: Int64 = 1) throws(Fault) -> Int64 {
            try Calendar.timestamp(days: Calendar.days(year: year, month: month, day: 1), time: 0)
        }
        let date = Calendar.date(days)
        switch unit {
        case .microseconds: return value
        case .milliseconds: return try cut(1000)
        case .second: return try cut(1_000_000)
        case .minute: return try cut(60_000_000)
        case .hour: return try cut(3_600_000_000)
        case .day: return try cut(Calendar.microsecondsPerDay)
        case .week:
            return try Calendar.timestamp(days: days - (Calendar.weekday(days) + 6) % 7, time: 0)
        case .month: return try first(date.year, date.month)
        case .quarter: return try first(date.year, (date.month - 1) / 3 * 3 + 1)
        case .year: return try first(date.year)
        case .decade: return try first(date.year.floorDivided(by: 10) * 10)
        case .century: return try first(period(date.year, 100))
        case .millennium: return try first(period(date.year, 1000))
        default: throw unknown(name, type)
        }
    }

    /// The first year of a century or millennium: 2001, 1901; -99 (100 BC).
    private static func period(_ year: Int64, _ length: Int64) -> Int64 {
        year > 0
            ? (year + length - 1) / length * length - length + 1
            : -((length - year) / length) * length + 1
    }

    private static func extractDate(_ unit: Unit, _ name: Bytes, _ value: Int64) throws(Fault)
        -> Decimal?
    {
        switch unit {
        case .microseconds, .milliseconds, .second, .minute, .hour, .timezone, .timezoneHour,
            .timezoneMinute:
            throw .invalid(
                "unit \"\(String(decoding: name, as: UTF8.self))\" not supported for type date")
        default: break
        }
        if DateTime.isInfinite(value) { return try extract(unit, name, value) }
        return try extractDays(unit, name, value, type: "date")
    }

    private static func extract(_ unit: Unit, _ name: Bytes, _ value: Int64) throws(Fault) -> Decimal? {
        if DateTime.isInfinite(value) {
            switch unit {
            case .year, .decade, .century, .millennium, .epoch, .julian, .isoyear:
                return .infinity(negative: value == .min)
            default: return nil
            }
        }
        let (days, time) = Calendar.split(value)
        switch unit {
        case .microseconds: return Decimal(time % 60_000_000)
        case .milliseconds: return .small(Int128(time % 60_000_000), scale: 3)
        case .second: return .small(Int128(time % 60_000_000), scale: 6)
        case .minute: return Decimal(time / 60_000_000 % 60)
        case .hour: return Decimal(time / 3_600_000_000)
        case .epoch: return .small(Int128(value) + Int128(Calendar.epochSeconds) * 1_000_000, scale: 6)
        case .timezone, .timezoneHour, .timezoneMinute: return Decimal(0)
        case .julian:
            let day = Decimal(days + 2_451_545)
            let fraction = try Decimal.divide(Decimal(time), Decimal(Calendar.microsecondsPerDay))
            return try Decimal.add(day, fraction)
        default: return try extractDays(unit, name, days, type: zoned)
        }
    }

    /// `date_part`: PostgreSQL adds fractions up in binary, where `extract` gives the decimals themselves.
    private static func part(_ unit: Unit, _ name: Bytes, _ value: Int64) throws(Fault) -> Double? {
        if DateTime.isInfinite(value) { return try extract(unit, name, value)?.double }
        let (days, time) = Calendar.split(value)
        let fraction = Double(time % 1_000_000)
        switch unit {
        case .milliseconds: return Double(time / 1_000_000 % 60) * 1000 + fraction / 1000
        case .second: return Double(time / 1_000_000 % 60) + fraction / 1_000_000
        case .julian:
            let seconds = Double(time / 1_000_000) + fraction / 1_000_000
            return Double(days + 2_451_545) + seconds / 86_400
        case .epoch:
            let offset = Calendar.epochSeconds * 1_000_000
            let (sum, overflow) = value.addingReportingOverflow(offset)
            return (overflow ? Double(value) + Double(offset) : Double(sum)) / 1_000_000
        default: return try extract(unit, name, value)?.double
        }
    }

    private static func extractDays(
        _ unit: Unit, _ name: Bytes, _ days: Int64, type: String
    ) throws(Fault) -> Decimal? {
        let date = Calendar.date(days)
        // There is no year 0: 1 BC is -1.
        func printed(_ year: Int64) -> Int64 { year > 0 ? year : year - 1 }
        func count(_ length: Int64) -> Int64 {
            date.year > 0 ? (date.year + length - 1) / length : -((length - 1 - (date.year - 1)) / length)
        }
        switch unit {
        case .day: return Decimal(date.day)
        case .month: return Decimal(date.month)
        case .quarter: return Decimal((date.month - 1) / 3 + 1)
        case .year: return Decimal(printed(date.year))
        case .decade: return Decimal(date.year.floorDivided(by: 10))
        case .century: return Decimal(count(100))
        case .millennium: return Decimal(count(1000))
        case .week: return Decimal(Calendar.isoWeek(days).week)
        case .isoyear: return Decimal(printed(Calendar.isoWeek(days).year))
        case .dow: return Decimal(Calendar.weekday(days))
        case .isodow: return Decimal((Calendar.weekday(days) + 6) % 7 + 1)
        case .doy: return Decimal(days - Calendar.days(year: date.year, month: 1, day: 1) + 1)
        case .epoch: return Decimal(days * 86_400 + Calendar.epochSeconds)
        case .julian: return Decimal(days + 2_451_545)
        default: throw unknown(name, type)
        }
    }
}
