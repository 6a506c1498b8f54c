/// Times are microseconds since 2000-01-01 00:00 UTC, as the database has them.
extension CronExpression {
    /// The first tick after a moment, by the clocks of a zone; nil past the year 9999.
    ///
    /// | the zone's clock | hour is fixed (`2`, `1-5`, `0-23`) | hour begins with `*` |
    /// |---|---|---|
    /// | shows the time once | at that time | at that time |
    /// | skips it (a gap) | once, when the gap ends | not at all |
    /// | shows it twice | once, the first time | both times |
    public func next(after moment: Int64, in zone: CronZone) -> Int64? {
        next(after: Seconds.since1970(moment), by: zone.clock).map(Seconds.microsSince2000)
    }

    /// The next ticks after a moment, in order; fewer than `count` only past the year 9999.
    public func upcoming(_ count: Int, after moment: Int64, in zone: CronZone) -> [Int64] {
        let clock = zone.clock
        var ticks: [Int64] = []
        var last = Seconds.since1970(moment)
        while ticks.count < count, let tick = next(after: last, by: clock) {
            ticks.append(Seconds.microsSince2000(tick))
            last = tick
        }
        return ticks
    }

    /// The latest ticks after `start` and not after `end`, at most `limit`, in order.
    ///
    /// What it costs goes with the limit and not with how long ago `start` is: it looks back from the end.
    public func latest(_ limit: Int, after start: Int64, through end: Int64, in zone: CronZone) -> [Int64] {
        let clock = zone.clock
        let (start, end) = (Seconds.since1970(start), Seconds.since1970(end))
        var span = Int64(limit) * 60
        while true {
            let from = max(start, end - span)
            var found: [Int64] = []
            var last = from
            while let tick = next(after: last, by: clock), tick <= end {
                found.append(tick)
                last = tick
            }
            if found.count >= limit || from == start { return found.suffix(limit).map(Seconds.microsSince2000) }
            span *= 4
        }
    }
}

extension CronExpression {
    /// Seconds since 1970-01-01 00:00 UTC.
    private enum Seconds {
        /// The last second of the year 9999.
        static let last: Int64 = 253_402_300_799

        /// Of what lies before 1970 the beginning of that year; moments after 9999 are the last second of that.
        static func since1970(_ microseconds: Int64) -> Int64 {
            let seconds = microseconds / 1_000_000 - (microseconds % 1_000_000 < 0 ? 1 : 0)
            return min(max(seconds + 946_684_800, 0), last)
        }

        static func microsSince2000(_ seconds: Int64) -> Int64 { (seconds - 946_684_800) * 1_000_000 }
    }

    private func next(after moment: Int64, by clock: CivilClock) -> Int64? {
        let tick = runsByRealHours ? nextShown(after: moment, by: clock) : nextReached(after: moment, by: clock)
        return tick.flatMap { $0 <= Seconds.last ? $0 : nil }
    }

    /// The next moment at which the clock first reaches, or passes, a time that is allowed.
    private func nextReached(after moment: Int64, by clock: CivilClock) -> Int64? {
        var minute = (moment + clock.offset(at: moment)).dividedDown(by: 60)
        while let found = firstMinute(from: minute) {
            let tick = clock.firstMoment(ofLocal: found * 60)
            if tick > moment { return tick }
            minute = found + 1
        }
        return nil
    }

    /// The next moment at which the clock shows a time that is allowed: looked for between two changes of the offset.
    private func nextShown(after moment: Int64, by clock: CivilClock) -> Int64? {
        var from = moment + 1
        while from <= Seconds.last {
            let offset = clock.offset(at: from)
            guard let found = firstMinute(from: (from + offset + 59).dividedDown(by: 60)) else { return nil }
            let change = clock.nextChange(after: from)
            if found * 60 - offset < change { return found * 60 - offset }
            from = change
        }
        return nil
    }

    /// The first civil minute, counted from 1970-01-01 00:00, that is not before `minute` and allowed. A leap day on a
    /// given day of the week comes within forty years.
    private func firstMinute(from minute: Int64) -> Int64? {
        let first = minute.dividedDown(by: 1440)
        var minuteOfDay = Int(minute - first * 1440)
        var day = CivilDay(first)
        let end = first + 41 * 366
        while day.number < end {
            if !months.contains(day.month) {
                day = CivilDay(day.nextMonth)
            } else {
                if allows(day), let found = firstMinuteOfDay(from: minuteOfDay) {
                    return day.number * 1440 + Int64(found)
                }
                day = CivilDay(day.number + 1)
            }
            minuteOfDay = 0
        }
        return nil
    }

    private func firstMinuteOfDay(from minute: Int) -> Int? {
        guard let hour = hours.first(from: minute / 60) else { return nil }
        if hour == minute / 60 {
            if let found = minutes.first(from: minute % 60) { return hour * 60 + found }
            return hours.first(from: hour + 1).flatMap { hour in minutes.first(from: 0).map { hour * 60 + $0 } }
        }
        return minutes.first(from: 0).map { hour * 60 + $0 }
    }
}

extension Int64 {
    /// Rounded down, below zero too.
    fileprivate func dividedDown(by divisor: Int64) -> Int64 {
        self / divisor - (self % divisor < 0 ? 1 : 0)
    }
}
