import Observability
import Postgres
import TestSupport
import Testing

@testable import Queue

extension PostgresPool {
    /// Puts a schedule of workspace 1.
    @discardableResult
    func put(
        _ name: String = "hourly", _ cron: String = "@hourly", zone: String = "UTC", missed: MissedTicks = .once,
        queue: String = "transform", arguments: String = #"{"n": 1}"#, isPaused: Bool? = nil
    ) async throws -> ScheduleBook.Put {
        let job = JobRequest(queue: queue, kind: "test.tick", arguments: Array(arguments.utf8), workspace: 1)
        let request = ScheduleRequest(
            name: name, cron: try CronExpression(cron), zone: try #require(CronZone(zone)), missed: missed, job: job,
            isPaused: isPaused)
        return try await withTransaction { try await ScheduleBook.put(request, on: $0) }
    }

    func schedule(_ name: String = "hourly") async throws -> StoredSchedule? {
        try await withConnection { try await ScheduleBook.find(name, workspace: 1, on: $0) }
    }

    /// What the jobs of a schedule were told, in the order of their ids.
    func told(_ name: String = "hourly") async throws -> [String] {
        try await texts(
            """
            SELECT arguments #>> '{schedule,scheduled_at}' FROM queue.job
            WHERE arguments #>> '{schedule,name}' = \(.text(name)) ORDER BY id
            """)
    }

    /// As if the schedule's next tick were so many seconds from now, and none later had passed.
    func setNext(_ seconds: Double, _ name: String = "hourly") async throws {
        try await run(
            """
            UPDATE queue.schedule SET next_at = clock_timestamp() + make_interval(secs => \(.float8(seconds))),
                passed_at = clock_timestamp() - interval '10 years' WHERE name = \(.text(name))
            """)
    }

    /// Looks at the schedules once, as one who thinks that it leads.
    func look() async throws {
        var state = LeaderState(LeaderConfiguration(), now: .now)
        try await leader().fireSchedules(&state)
    }

    func leader(_ configuration: LeaderConfiguration = LeaderConfiguration()) -> QueueLeader {
        QueueLeader(pool: self, configuration: configuration, logger: .silent, metrics: MetricsRegistry())
    }
}
