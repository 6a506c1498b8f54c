public import Postgres

/// The schedules of all workspaces: put, found, paused, triggered, removed. The queue's leader fires them.
///
/// After the commit of a change call `Wakeup.notify` with the schedule's queue: that wakes the leader too, which
/// otherwise learns of it at its next look (within 15 s).
public enum ScheduleBook {
    /// Schedules of one workspace.
    public static let limit = 1000

    public struct Put: Sendable {
        public let schedule: StoredSchedule
        public let created: Bool
    }

    /// Creates the schedule or changes it, in the caller's transaction; the same again changes nothing.
    ///
    /// `check` sees what there is before anything is written. Another expression or zone, and the end of a pause, make
    /// the next tick the first one after now; what was missed before is dropped then. Errors: `.invalidRequest`,
    /// `.limitReached`, those of `check`.
    public static func put(
        _ request: ScheduleRequest, on connection: PostgresConnection,
        check: (StoredSchedule?) throws -> Void = { _ in }
    ) async throws -> Put {
        try request.job.validate()
        for _ in 0..<2 {
            if let current = try await connection.query(LockScheduleForPut(request: request)).first {
                try check(current.schedule)
                return Put(schedule: try await replace(current, by: request, on: connection), created: false)
            }
            try check(nil)
            let statement = CountSchedules(workspace: request.job.workspace)
            guard let found = try await connection.query(statement).first, found.count < limit else {
                throw QueueError(.limitReached, "a workspace has at most \(limit) schedules", doing: "put")
            }
            let isPaused = request.isPaused ?? false
            let insert = InsertSchedule(
                request: request, now: found.now,
                nextAt: isPaused ? nil : request.cron.next(after: found.now, in: request.zone))
            // None when another one has just been made under this name: that one is changed then.
            if let made = try await connection.query(insert).first { return Put(schedule: made, created: true) }
        }
        throw QueueError(.unresolved, "the schedule \(request.name) came and went meanwhile", doing: "put")
    }

    private static func replace(
        _ current: LockScheduleForPut.Found, by request: ScheduleRequest, on connection: PostgresConnection
    ) async throws -> StoredSchedule {
        let before = current.schedule
        let isPaused = request.isPaused ?? before.isPaused
        let keepsTimes = before.cron == request.cron.text && before.timezone == request.zone.name
        if keepsTimes, isPaused == before.isPaused, current.isSameOtherwise { return before }
        var nextAt = before.nextAt
        if isPaused {
            nextAt = nil
        } else if before.isPaused || !keepsTimes {
            nextAt = request.cron.next(after: max(before.now, before.passedAt), in: request.zone)
        }
        let update = UpdateSchedule(id: before.id, request: request, isPaused: isPaused, nextAt: nextAt)
        guard let after = try await connection.query(update).first else {
            throw QueueError(.unresolved, "a locked schedule is gone", doing: "put")
        }
        return after
    }

    public static func find(
        _ name: String, workspace: Int64, on connection: PostgresConnection
    ) async throws -> StoredSchedule? {
        try await connection.query(FindSchedule(workspace: workspace, name: name)).first
    }

    /// By name, those after the one given; at most `limit`.
    public static func list(
        workspace: Int64, after name: String = "", limit: Int32, on connection: PostgresConnection
    ) async throws -> [StoredSchedule] {
        try await connection.query(ListSchedules(workspace: workspace, after: name, limit: limit))
    }

    /// Pauses or resumes in the caller's transaction; nil for an unknown schedule. Ticks of the pause never fire.
    /// `check` sees the schedule before anything is written, here as in what follows.
    public static func setPaused(
        _ paused: Bool, _ name: String, workspace: Int64, on connection: PostgresConnection,
        check: (StoredSchedule) throws -> Void = { _ in }
    ) async throws -> StoredSchedule? {
        guard let current = try await connection.query(LockSchedule(workspace: workspace, name: name)).first else {
            return nil
        }
        try check(current)
        if current.isPaused == paused { return current }
        var nextAt: Int64?
        if !paused {
            guard let cron = try? CronExpression(current.cron), let zone = CronZone(current.timezone) else {
                throw QueueError(.invalidRequest, "the zone \(current.timezone) is not known here", doing: "resume")
            }
            nextAt = cron.next(after: max(current.now, current.passedAt), in: zone)
        }
        return try await connection.query(PauseSchedule(id: current.id, isPaused: paused, nextAt: nextAt)).first
    }

    /// Starts the job now, once, whatever the next tick is, in the caller's transaction; nil for an unknown schedule.
    public static func trigger(
        _ name: String, workspace: Int64, on connection: PostgresConnection,
        check: (StoredSchedule) throws -> Void = { _ in }
    ) async throws -> TriggeredSchedule? {
        guard let current = try await connection.query(LockSchedule(workspace: workspace, name: name)).first else {
            return nil
        }
        try check(current)
        return try await connection.query(TriggerSchedule(workspace: workspace, name: name)).first.flatMap { $0 }
    }

    /// Removes a schedule in the caller's transaction; nil when there is none. Its jobs stay.
    public static func remove(
        _ name: String, workspace: Int64, on connection: PostgresConnection,
        check: (StoredSchedule) throws -> Void = { _ in }
    ) async throws -> StoredSchedule? {
        guard let current = try await connection.query(LockSchedule(workspace: workspace, name: name)).first else {
            return nil
        }
        try check(current)
        try await connection.execute(DeleteSchedule(id: current.id))
        return current
    }
}

/// A job that was started by hand.
public struct TriggeredSchedule: Sendable {
    public let job: Int64
    public let queue: String
    /// What the job was told, in microseconds since 2000-01-01 UTC.
    public let scheduledAt: Int64
}
