/// From which time on the leader looks at schedules: a minute before the last look, and at all once a minute, so that
/// the dead entries of past ticks, which a held snapshot keeps, are passed over.
struct ScheduleWatch: Sendable {
    static let slack: Duration = .seconds(60)

    private var mark = Int64.min
    private var fullAt: ContinuousClock.Instant?

    /// Microseconds since 2000-01-01 UTC.
    func after(at now: ContinuousClock.Instant) -> Int64 {
        guard let fullAt, now - fullAt < Self.slack else { return .min }
        return mark
    }

    /// All that was due at the server's time `now` was seen.
    mutating func looked(upTo now: Int64, at instant: ContinuousClock.Instant) {
        if after(at: instant) == .min { fullAt = instant }
        mark = now - Int64(Self.slack.seconds * 1e6)
    }
}
