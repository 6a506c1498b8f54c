/// What becomes of ticks that were not fired in time: nobody led the queue, or the database's clock went forward.
public enum MissedTicks: String, Sendable, CaseIterable {
    /// They are dropped. A tick counts as missed once it is later than ``tolerance``.
    case skip
    /// One job for all of them, with the time of the latest.
    case once
    /// A job each, the oldest first; of more than ``limit`` the latest.
    case all

    /// How late a tick may fire under ``skip``: the leadership passes on within half a minute.
    public static let tolerance: Duration = .seconds(60)
    /// The most jobs that one firing makes.
    public static let limit = 1000
}

/// What the firing of a due schedule does: a value, made of what was seen in the database.
struct TickPlan: Sendable, Equatable {
    /// Ticks that get a job each, in order.
    let ticks: [Int64]
    /// Nil past the year 9999.
    let next: Int64?

    /// Times are microseconds since 2000-01-01 UTC; `seen`, the next tick as stored, is not after `now`.
    init(_ cron: CronExpression, in zone: CronZone, missed: MissedTicks, seen: Int64, now: Int64) {
        // `seen` itself fires even where the zone's rules have changed since it was worked out.
        switch missed {
        case .skip:
            let latest = cron.latest(1, after: seen, through: now, in: zone).last ?? seen
            ticks = now - latest <= Int64(MissedTicks.tolerance.seconds * 1e6) ? [latest] : []
        case .once:
            ticks = [cron.latest(1, after: seen, through: now, in: zone).last ?? seen]
        case .all:
            let later = cron.latest(MissedTicks.limit, after: seen, through: now, in: zone)
            ticks = Array(([seen] + later).suffix(MissedTicks.limit))
        }
        next = cron.next(after: now, in: zone)
    }
}
