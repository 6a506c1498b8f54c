/// When the leader ticks next, from where it looks at deferred jobs, and whether it may declare workers lost.
struct LeaderState: Sendable {
    /// A nudge brings the next tick no nearer than this to the last.
    static let nudgePause: Duration = .seconds(1)
    /// A tick that took so long, or came so much too late, says that the database or this process was stalled: others
    /// may have been unable to beat.
    static let hiccup: Duration = .seconds(3)
    /// Where jobs are due all the time, a move takes no more than a twentieth of it, and none waits longer than this.
    static let longestPace: Duration = .milliseconds(250)

    /// How long a partition that somebody held is left alone.
    static let heldPause: Duration = .seconds(60)

    let configuration: LeaderConfiguration
    private(set) var isLeader = false
    private(set) var tickAt: ContinuousClock.Instant
    /// A nudged tick comes no sooner.
    private(set) var soonest: ContinuousClock.Instant
    private var troubledAt: ContinuousClock.Instant
    private var failures = 0
    private var looks = DeferredLooks()
    /// From where it looks at schedules.
    var schedules = ScheduleWatch()
    private var inspectAt: ContinuousClock.Instant
    private var retireAt: ContinuousClock.Instant

    init(_ configuration: LeaderConfiguration, now: ContinuousClock.Instant) {
        self.configuration = configuration
        tickAt = now
        soonest = now
        troubledAt = now
        inspectAt = now
        retireAt = now
    }

    /// Returns whether the leadership has just been won.
    mutating func ticked(
        _ row: LeadStatement.Row, began: ContinuousClock.Instant, ended: ContinuousClock.Instant, random: Double
    ) -> Bool {
        let wins = row.isLeader && !isLeader
        if wins || ended - began > Self.hiccup || began - tickAt > Self.hiccup { troubledAt = ended }
        if wins {
            looks = DeferredLooks()
            schedules = ScheduleWatch()
        }
        isLeader = row.isLeader
        failures = 0
        soonest = ended + Self.nudgePause
        if isLeader {
            tickAt = ended + (row.isBusy ? min(configuration.watch, configuration.renewal) : configuration.renewal)
            // What is due already is moved now, and the move says when to come again.
            let isDue = row.dueIn.map { $0 <= .zero } ?? false
            if !isDue {
                looks.looked(at: ended, took: ended - began)
                if let dueIn = row.dueIn { due(in: dueIn, at: ended) }
            }
        } else {
            tickAt = ended + max(row.remaining, .milliseconds(100)) + .seconds(2 * random)
        }
        return wins
    }

    mutating func failed(at now: ContinuousClock.Instant, random: Double) {
        troubledAt = now
        failures = min(failures + 1, 10)
        let pause = min(Duration.milliseconds(100) * (1 << failures), .seconds(3))
        tickAt = now + pause * (0.5 + random / 2)
        soonest = tickAt
    }

    /// Everything due up to the server's time `now` (microseconds since 2000) was moved, of what was looked at.
    mutating func moved(
        upTo now: Int64, dueIn: Duration?, began: ContinuousClock.Instant, ended: ContinuousClock.Instant
    ) {
        let took = ended - began
        looks.looked(at: ended, took: took)
        looks.moved(upTo: now)
        if let dueIn { due(in: max(dueIn, min(took * 20, Self.longestPace)), at: ended) }
    }

    /// From when on deferred jobs are looked at, of those that are due (microseconds since 2000).
    mutating func deferredAfter(at now: ContinuousClock.Instant) -> Int64 {
        looks.after(at: now)
    }

    func mayDeclareLost(at now: ContinuousClock.Instant) -> Bool {
        isLeader && now - troubledAt >= configuration.grace
    }

    /// Whether the depth of the queues is to be looked at: once a renewal, however often it ticks.
    mutating func mustInspect(at now: ContinuousClock.Instant) -> Bool {
        guard now >= inspectAt else { return false }
        inspectAt = now + configuration.renewal - .milliseconds(100)
        return true
    }

    func mustRetire(at now: ContinuousClock.Instant) -> Bool {
        now >= retireAt
    }

    /// Partitions were looked at. With more to do the next tick goes on; what somebody held is tried again in a while.
    mutating func retired(again: Bool, isHeld: Bool, at now: ContinuousClock.Instant) {
        if isHeld {
            retireAt = now + min(Self.heldPause, configuration.retirement)
        } else if !again {
            retireAt = now + configuration.retirement
        }
    }

    /// Something is due so much later: the next tick is not after that.
    mutating func due(in time: Duration, at now: ContinuousClock.Instant) {
        tickAt = min(tickAt, now + max(time, .zero))
    }
}
