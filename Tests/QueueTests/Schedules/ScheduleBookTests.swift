import Postgres
import TestSupport
import Testing

@testable import Queue

@Suite("Schedules: put, paused, triggered, removed")
struct ScheduleBookTests {
    private func withPool(_ body: @Sendable (PostgresPool) async throws -> Void) async throws {
        try await QueueDatabase.make().withPool(size: 6, body)
    }

    @Test("The same again makes no version; another time makes the next tick anew, another job does not")
    func puts() async throws {
        try await withPool { pool in
            let first = try await pool.put()
            #expect(first.created)
            #expect(first.schedule.version == 1)
            let next = try #require(first.schedule.nextAt)
            #expect(next > first.schedule.now && next - first.schedule.now <= 3_600_000_000)
            let again = try await pool.put("hourly", " @hourly ", arguments: #"{ "n" : 1 }"#)
            #expect(!again.created)
            #expect(again.schedule.version == 1)

            try await pool.setNext(-7200)
            let missed = try #require(try await pool.schedule()?.nextAt)
            let job = try await pool.put(arguments: #"{"n": 2}"#).schedule
            #expect(job.version == 2)
            #expect(job.nextAt == missed, "a missed tick stays so")
            let policy = try await pool.put(missed: .all, arguments: #"{"n": 2}"#).schedule
            #expect(policy.version == 3)
            #expect(policy.nextAt == missed)
            let zone = try await pool.put(zone: "Asia/Kolkata", missed: .all, arguments: #"{"n": 2}"#).schedule
            #expect(zone.version == 4)
            #expect(try #require(zone.nextAt) > zone.now, "what was missed by the old times is dropped")
        }
    }

    @Test("A pause drops the ticks within it; to pause twice is to pause once")
    func pauses() async throws {
        try await withPool { pool in
            let set: @Sendable (Bool) async throws -> StoredSchedule? = { paused in
                try await pool.withTransaction {
                    try await ScheduleBook.setPaused(paused, "hourly", workspace: 1, on: $0)
                }
            }
            #expect(try await set(true) == nil)
            try await pool.put()
            let paused = try #require(try await set(true))
            #expect(paused.isPaused && paused.nextAt == nil && paused.version == 2)
            #expect(paused.upcoming(2).count == 2, "what would come")
            #expect(try await set(true)?.version == 2)
            #expect(try await pool.put().schedule.isPaused, "what is not said stays")
            try await pool.look()
            let resumed = try #require(try await set(false))
            #expect(!resumed.isPaused && resumed.version == 3)
            #expect(try #require(resumed.nextAt) > resumed.now)
            #expect(try await pool.put(isPaused: true).schedule.nextAt == nil)
            #expect(try await pool.put(isPaused: false).schedule.nextAt != nil)
            #expect(try await pool.told().isEmpty)
        }
    }

    @Test("Triggered it starts once, paused or not, and its next tick stays")
    func triggers() async throws {
        try await withPool { pool in
            let trigger: @Sendable () async throws -> TriggeredSchedule? = {
                try await pool.withConnection { try await ScheduleBook.trigger("hourly", workspace: 1, on: $0) }
            }
            #expect(try await trigger() == nil)
            let next = try await pool.put(isPaused: true).schedule.nextAt
            let started = try #require(try await trigger())
            let after = try #require(try await pool.schedule())
            #expect(after.lastJob == started.job && after.lastAt == started.scheduledAt)
            #expect(started.queue == "transform")
            #expect(after.nextAt == next && after.version == 1)
            let told = try #require(try await pool.told().first)
            let shown = Civil.show(started.scheduledAt / 1_000_000 * 1_000_000, in: try #require(CronZone("UTC")))
            #expect(told.hasPrefix(shown.dropLast()) && told.hasSuffix("Z"))
            #expect(try await pool.int("SELECT (arguments ->> 'n')::int FROM queue.job") == 1)
            #expect(try await pool.int("SELECT count(*) FROM queue.ready") == 1)
        }
    }

    @Test("Removed it fires no more; its name is free; other workspaces' are others")
    func removes() async throws {
        try await withPool { pool in
            try await pool.put()
            try await pool.setNext(-1)
            let remove: @Sendable (Int64) async throws -> StoredSchedule? = { workspace in
                try await pool.withTransaction {
                    try await ScheduleBook.remove("hourly", workspace: workspace, on: $0)
                }
            }
            #expect(try await remove(2) == nil)
            #expect(try await remove(1)?.name == "hourly")
            #expect(try await remove(1) == nil)
            try await pool.look()
            #expect(try await pool.told().isEmpty)
            #expect(try await pool.put().created)
        }
    }

    @Test("What cannot be is refused, and there is a limit")
    func refuses() async throws {
        try await withPool { pool in
            await #expect(throws: PostgresError.self) { try await pool.put(queue: "none") }
            await #expect(throws: PostgresError.self) { try await pool.put(arguments: "[]") }
            try await pool.run(
                """
                INSERT INTO queue.schedule (workspace, name, missed, queue, kind, priority, max_attempts, arguments,
                    definition, cron, timezone, paused, passed_at, created_at, updated_at)
                SELECT 1, 's' || n, 'once', 'transform', 'test.tick', 0, 1, '{}', '{}', '@daily', 'UTC', true, now(),
                    now(), now() FROM generate_series(1, \(.int(ScheduleBook.limit - 1))) n
                """)
            #expect(try await pool.put().created)
            let error = await #expect(throws: QueueError.self) { try await pool.put("more") }
            #expect(error?.code == .limitReached)
            #expect(try await !pool.put().created)
            let page = try await pool.withConnection {
                try await ScheduleBook.list(workspace: 1, after: "s998", limit: 10, on: $0)
            }
            #expect(page.map(\.name) == ["s999"])
        }
    }

    @Test("Many that put one name at once make one schedule")
    func race() async throws {
        try await withPool { pool in
            let made = try await withThrowingTaskGroup(of: Bool.self) { group in
                for _ in 0..<12 { group.addTask { try await pool.put().created } }
                return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
            }
            #expect(made == 1)
            #expect(try await pool.schedule()?.version == 1)
        }
    }
}
