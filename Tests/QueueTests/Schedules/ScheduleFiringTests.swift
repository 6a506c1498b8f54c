import EventLoop
import Glibc
import Lifecycle
import Observability
import Postgres
import TestSupport
import Testing

@testable import Queue

@Suite("Schedules: a tick fires once")
struct ScheduleFiringTests {
    private let settle = ClosureHandler { jobs, lease in try await lease.settle(jobs) }

    private func withDatabase(_ body: @Sendable (TestDatabase, PostgresPool) async throws -> Void) async throws {
        let database = try await QueueDatabase.make()
        try await database.withPool(size: 8) { try await body(database, $0) }
    }

    @Test("One tick, fired by sixteen at the same moment: one job")
    func sameTick() async throws {
        try await withDatabase { _, pool in
            for round in 1...10 {
                let schedule = try await pool.put(isPaused: false).schedule
                try await pool.setNext(-1)
                let row = try #require(
                    try await pool.withConnection { try await $0.query(DueSchedulesStatement(after: .min)) }.first)
                #expect(row.id == schedule.id && row.isDue)
                let plan = TickPlan(
                    try CronExpression(row.cron), in: try #require(CronZone("UTC")), missed: .once, seen: row.nextAt,
                    now: row.now)
                let statement = FireScheduleStatement(
                    id: row.id, version: row.version, seen: row.nextAt, plan: plan, passed: row.now)
                let fired = try await withThrowingTaskGroup(of: Int32?.self) { group in
                    for _ in 0..<16 {
                        group.addTask {
                            try await pool.withConnection { try await $0.query(statement).first.flatMap { $0 } }
                        }
                    }
                    return try await group.reduce(into: [Int32]()) { if let made = $1 { $0.append(made) } }
                }
                #expect(fired == [1])
                #expect(try await pool.told().count == round)
            }
        }
    }

    @Test("Eight that think they lead, forty schedules due: a job each")
    func manyLeaders() async throws {
        try await withDatabase { _, pool in
            for number in 0..<40 { try await pool.put("s\(number)") }
            try await pool.run(
                "UPDATE queue.schedule SET next_at = clock_timestamp(), passed_at = now() - interval '1 day'")
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<8 { group.addTask { try await pool.look() } }
                try await group.waitForAll()
            }
            try await pool.look()
            #expect(try await pool.int("SELECT count(*) FROM queue.job") == 40)
            let names = "SELECT count(DISTINCT arguments #>> '{schedule,name}') FROM queue.job"
            #expect(try await pool.int(.init(stringLiteral: names)) == 40)
            #expect(try await pool.int("SELECT count(*) FROM queue.schedule WHERE last_job IS NOT NULL") == 40)
        }
    }

    @Test(
        "Three replicas: each tick is done once, within a second or so, and a change of the schedule wakes the leader")
    func replicas() async throws {
        try await withDatabase { _, pool in
            let done = Notes<Int64>()
            let handler = ClosureHandler { jobs, lease in
                try await lease.settle(jobs)
                for job in jobs { done.add(job.id) }
            }
            var configuration = WorkerConfiguration.quick()
            // So that nothing but the due time and the NOTIFY wakes the leader.
            configuration.leader.renewal = .seconds(15)
            configuration.leader.term = .seconds(30)
            let wakeup = Wakeup(pool.configuration, loop: try TestLoops.shared().next(), logger: .silent)
            let workers = (0..<3).map { _ in
                Worker(
                    queue: "transform", pool: pool, configuration: configuration, handler: handler, logger: .silent,
                    metrics: MetricsRegistry())
            }
            let stop = ShutdownSignal()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for worker in workers { group.addTask { try await worker.run(until: stop) } }
                group.addTask { try await wakeup.run(until: stop) }
                try await pool.wait(until: "SELECT count(*) FROM queue.worker", is: 3)
                try await pool.wait(
                    until: "SELECT count(*) FROM pg_stat_activity WHERE query ILIKE 'LISTEN%'", is: 3)
                try await pool.put()
                for round in 1...4 {
                    try await pool.setNext(1.2)
                    wakeup.notify("transform")
                    try await pool.wait(
                        until: "SELECT count(*) FROM queue.outcome WHERE state = 'succeeded'", is: round,
                        within: .seconds(10))
                }
                stop.request()
                try await group.waitForAll()
            }
            #expect(done.all.count == 4 && Set(done.all).count == 4)
            #expect(try await pool.int("SELECT count(*) FROM queue.job") == 4)
            let late = try await pool.withConnection { connection in
                try await connection.query(
                    """
                    SELECT max(extract(epoch FROM j.enqueued_at - s.last_at))::float8
                    FROM queue.schedule s JOIN queue.job j ON j.id = s.last_job
                    """)[0].float8(0)
            }
            #expect(late >= 0 && late < 2, "\(late) s late")
        }
    }

    @Test("The leader killed: whoever follows fires what was missed, once")
    func killed() async throws {
        try await withDatabase { database, pool in
            try await pool.run("CREATE TABLE progress (step text)")
            let leader = try CrasherProcess(database.url, mode: "poison")
            try await pool.wait(until: "SELECT count(*) FROM queue.leader WHERE holder <> ''", is: 1)
            try await pool.put("minutely", "* * * * *", missed: .all)
            try await pool.setNext(0.1, "minutely")
            try await pool.wait(until: "SELECT count(*) FROM queue.schedule WHERE last_job IS NOT NULL", is: 1)
            leader.signal(SIGKILL)
            #expect(try await leader.ended() == SIGKILL)
            let before = try await pool.told("minutely").count
            // Three more ticks come and go while nobody leads.
            try await pool.run(
                """
                UPDATE queue.schedule SET next_at = date_trunc('minute', clock_timestamp()) - interval '2 minutes',
                    passed_at = clock_timestamp() - interval '1 day'
                """)
            try await pool.withWorker(settle) {
                try await pool.wait(
                    until: "SELECT count(*) FROM queue.schedule WHERE next_at > clock_timestamp()", is: 1)
            }
            let told = try await pool.told("minutely")
            #expect((3...4).contains(told.count - before), "a minute may have begun meanwhile")
            #expect(Set(told.suffix(from: before)).count == told.count - before)
            #expect(told.suffix(from: before).sorted() == Array(told.suffix(from: before)))
        }
    }

    @Test("Ticks that nobody fired: skipped, once, or all, the oldest first")
    func missed() async throws {
        try await withDatabase { _, pool in
            for missed in MissedTicks.allCases {
                try await pool.put(missed.rawValue, "@daily", missed: missed)
            }
            try await pool.run(
                """
                UPDATE queue.schedule SET passed_at = now() - interval '30 days',
                    next_at = date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' - interval '2 days'
                """)
            // At midnight the last of them would be in time.
            try await pool.wait(
                until: """
                    SELECT ((clock_timestamp() AT TIME ZONE 'UTC')::time BETWEEN '00:02' AND '23:59:30')::int
                    """, is: 1, within: .seconds(200))
            try await pool.look()
            let days = try await pool.texts(
                """
                SELECT to_char((now() AT TIME ZONE 'UTC')::date - n, 'YYYY-MM-DD"T00:00:00Z"')
                FROM generate_series(2, 0, -1) n
                """)
            #expect(try await pool.told("skip").isEmpty)
            #expect(try await pool.told("once") == [days[2]])
            #expect(try await pool.told("all") == days)
            #expect(try await pool.int("SELECT count(*) FROM queue.schedule WHERE next_at > now()") == 3)
            try await pool.look()
            #expect(try await pool.int("SELECT count(*) FROM queue.job") == 4)
        }
    }

    @Test("A clock that goes back fires nothing again; one that goes forward makes missed ticks")
    func clockSteps() async throws {
        try await withDatabase { _, pool in
            try await pool.put("hourly", "@hourly", missed: .all)
            // The clock was five hours ahead when it last fired: seen from now, all that is in the future.
            try await pool.run(
                """
                UPDATE queue.schedule SET passed_at = date_trunc('hour', now()) + interval '5 hours 1 second',
                    next_at = date_trunc('hour', now()) + interval '6 hours'
                """)
            try await pool.look()
            #expect(try await pool.told().isEmpty)
            let other = try await pool.put("hourly", "30 * * * *", missed: .all).schedule
            #expect(try #require(other.nextAt) > other.passedAt, "another expression does not reach back either")
            #expect(other.nextAt == other.upcoming(1).first)
            _ = try await pool.withTransaction {
                try await ScheduleBook.setPaused(true, "hourly", workspace: 1, on: $0)
            }
            let resumed = try await pool.withTransaction {
                try await ScheduleBook.setPaused(false, "hourly", workspace: 1, on: $0)
            }
            #expect(resumed?.nextAt == other.nextAt)
            // Forward by three ticks.
            try await pool.run(
                """
                UPDATE queue.schedule SET next_at = date_trunc('hour', now()) - interval '150 minutes',
                    passed_at = date_trunc('hour', now()) - interval '151 minutes'
                """)
            try await pool.look()
            #expect((3...4).contains(try await pool.told().count))
        }
    }

    @Test("A schedule that is locked or cannot be fired keeps neither the leader nor the others waiting")
    func isolated() async throws {
        try await withDatabase { _, pool in
            for name in ["locked", "broken", "large", "good"] { try await pool.put(name) }
            try await pool.run("UPDATE queue.schedule SET timezone = 'Nowhere/Else' WHERE name = 'broken'")
            try await pool.run("UPDATE queue.schedule SET kind = 'refused' WHERE name = 'large'")
            try await pool.run("ALTER TABLE queue.job ADD CHECK (kind <> 'refused')")
            for name in ["locked", "broken", "large", "good"] { try await pool.setNext(-2, name) }
            try await pool.withTransaction { connection in
                _ = try await connection.query(LockSchedule(workspace: 1, name: "locked"))
                try await pool.look()
                #expect(try await pool.told("good").count == 1)
                #expect(try await pool.int("SELECT count(*) FROM queue.job") == 1)
            }
            try await pool.look()
            #expect(try await pool.told("locked").count == 1)
            #expect(try await pool.told("good").count == 1)
            #expect(try await pool.int("SELECT count(*) FROM queue.schedule WHERE next_at < now()") == 2)
        }
    }

    @Test("A change between the look and the firing wins")
    func changed() async throws {
        try await withDatabase { _, pool in
            try await pool.put()
            try await pool.setNext(-1)
            let row = try #require(
                try await pool.withConnection { try await $0.query(DueSchedulesStatement(after: .min)) }.first)
            try await pool.put(missed: .skip)
            let plan = TickPlan(
                try CronExpression(row.cron), in: try #require(CronZone("UTC")), missed: .once, seen: row.nextAt,
                now: row.now)
            let fire = FireScheduleStatement(
                id: row.id, version: row.version, seen: row.nextAt, plan: plan, passed: row.now)
            let made = try await pool.withConnection { try await $0.query(fire).first.flatMap { $0 } }
            #expect(made == nil)
            try await pool.look()
            #expect(try await pool.told().count == 1)
        }
    }

    @Test("At rest the leader looks by the index, from a minute before its last look on")
    func look() async throws {
        var watch = ScheduleWatch()
        let start = ContinuousClock.now
        #expect(watch.after(at: start) == .min)
        watch.looked(upTo: 500_000_000, at: start)
        #expect(watch.after(at: start + .seconds(15)) == 440_000_000)
        watch.looked(upTo: 515_000_000, at: start + .seconds(15))
        #expect(watch.after(at: start + .seconds(59)) == 455_000_000)
        #expect(watch.after(at: start + .seconds(60)) == .min, "all of them once a minute")
        try await withDatabase { _, pool in
            try await pool.put()
            var state = LeaderState(LeaderConfiguration(), now: .now)
            let before = state.tickAt
            try await pool.setNext(0.5)
            try await pool.leader().fireSchedules(&state)
            #expect(state.tickAt == before, "nothing is later than at once")
        }
    }
}
