/// A schedule as it is put: when it ticks, and the job that each tick starts.
public struct ScheduleRequest: Sendable {
    /// Unique in the workspace of the job: `^[a-z][a-z0-9_]{0,47}$`.
    public var name: String
    public var cron: CronExpression
    public var zone: CronZone
    public var missed: MissedTicks
    /// Its arguments are a JSON object of at most 32 KiB; each job's get a member `schedule` besides:
    /// `{"name": …, "scheduled_at": "2026-01-01T00:00:00Z"}`. `delay` and `trace` are passed over.
    public var job: JobRequest
    /// Nil leaves it as it is; a new one is not paused.
    public var isPaused: Bool?
    /// What the owner wants to read again: JSON, which nothing here looks into.
    public var definition: [UInt8]

    public init(
        name: String, cron: CronExpression, zone: CronZone, missed: MissedTicks = .once, job: JobRequest,
        isPaused: Bool? = nil, definition: [UInt8] = Array("{}".utf8)
    ) {
        self.name = name
        self.cron = cron
        self.zone = zone
        self.missed = missed
        self.job = job
        self.isPaused = isPaused
        self.definition = definition
    }
}

/// A schedule as it is stored. Times are microseconds since 2000-01-01 UTC.
public struct StoredSchedule: Sendable {
    public let id: Int64
    public let name: String
    /// 1, and one more with every change of what was put. Ticks change nothing.
    public let version: Int32
    public let cron: String
    public let timezone: String
    public let missed: MissedTicks
    public let isPaused: Bool
    public let definition: [UInt8]
    public let queue: String
    /// Nil while it is paused.
    public let nextAt: Int64?
    /// No tick up to here fires any more.
    public let passedAt: Int64
    /// The tick of the last job, or when it was triggered.
    public let lastAt: Int64?
    public let lastJob: Int64?
    public let createdAt: Int64
    public let updatedAt: Int64
    /// The server's time when this was read.
    public let now: Int64

    /// The ticks to come, whether it is paused or not; none where this system does not know the zone.
    public func upcoming(_ count: Int) -> [Int64] {
        guard let cron = try? CronExpression(cron), let zone = CronZone(timezone) else { return [] }
        return cron.upcoming(count, after: max(now, passedAt), in: zone)
    }
}
