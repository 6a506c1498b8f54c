import Testing

@testable import Queue

/// Moments as tests write them: `2026-03-29T01:00Z`, or with seconds, or with an offset: `2026-03-29T03:00+02:00`.
enum Civil {
    /// Microseconds since 2000-01-01 UTC.
    static func at(_ text: String) throws -> Int64 {
        let numbers = text.split { !$0.isNumber }.compactMap { Int64($0) }
        var seconds = try days(#require(numbers.first), numbers[1], numbers[2]) * 86_400
        seconds += numbers[3] * 3_600 + numbers[4] * 60
        let isUTC = text.hasSuffix("Z")
        let rest = numbers[5...]
        if isUTC {
            seconds += rest.first ?? 0
        } else {
            let offset = rest.suffix(2)
            let isEast = text.contains("+")
            if rest.count == 3 { seconds += rest[5] }
            let east = (offset.first ?? 0) * 3_600 + (offset.last ?? 0) * 60
            seconds -= isEast ? east : -east
        }
        return (seconds - 946_684_800) * 1_000_000
    }

    /// As a zone's clock shows it, with the offset; seconds only where there are any.
    static func show(_ moment: Int64, in zone: CronZone) -> String {
        let seconds = moment / 1_000_000 + 946_684_800
        let offset = zone.clock.offset(at: seconds)
        let local = seconds + offset
        let day = CivilDay(local / 86_400)
        let time = local % 86_400
        var text = "\(day.year)-\(two(day.month))-\(two(day.day))T\(two(time / 3_600)):\(two(time / 60 % 60))"
        if time % 60 != 0 { text += ":\(two(time % 60))" }
        guard offset != 0 else { return text + "Z" }
        return text + (offset < 0 ? "-" : "+") + "\(two(abs(offset) / 3_600)):\(two(abs(offset) / 60 % 60))"
    }

    private static func two(_ number: some BinaryInteger) -> String { number < 10 ? "0\(number)" : "\(number)" }

    /// Days since 1970-01-01, counted year by year.
    static func days(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
        var days: Int64 = day - 1
        for past in 1970..<max(year, 1970) { days += CivilDay.length(ofMonth: 2, year: past) == 29 ? 366 : 365 }
        for past in 1..<Int(month) { days += Int64(CivilDay.length(ofMonth: past, year: year)) }
        return days
    }
}

/// The ticks of an expression after a moment, as the zone's clocks show them.
func ticks(_ text: String, after moment: String, _ zone: String = "UTC", _ count: Int = 1) throws -> [String] {
    let zone = try #require(CronZone(zone))
    return try CronExpression(text).upcoming(count, after: Civil.at(moment), in: zone).map { Civil.show($0, in: zone) }
}
