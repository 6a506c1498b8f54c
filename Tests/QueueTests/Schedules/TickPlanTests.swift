import Testing

@testable import Queue

@Suite("Schedules: what a firing does about missed ticks")
struct TickPlanTests {
    private func plan(_ missed: MissedTicks, _ seen: String, _ now: String, _ cron: String = "* * * * *") throws
        -> (ticks: [String], next: String?)
    {
        let utc = try #require(CronZone("UTC"))
        let plan = TickPlan(
            try CronExpression(cron), in: utc, missed: missed, seen: try Civil.at(seen), now: try Civil.at(now))
        return (plan.ticks.map { Civil.show($0, in: utc) }, plan.next.map { Civil.show($0, in: utc) })
    }

    @Test("In time all policies are the same", arguments: MissedTicks.allCases)
    func inTime(_ missed: MissedTicks) throws {
        let plan = try plan(missed, "2026-01-01T10:00Z", "2026-01-01T10:00:03Z")
        #expect(plan.ticks == ["2026-01-01T10:00Z"])
        #expect(plan.next == "2026-01-01T10:01Z")
    }

    @Test("Too late: skipped, once with the latest, or all of them")
    func late() throws {
        let (seen, now) = ("2026-01-01T10:00Z", "2026-01-01T10:02:30Z")
        #expect(try plan(.skip, seen, now).ticks == ["2026-01-01T10:02Z"], "the latest is not too late yet")
        #expect(try plan(.once, seen, now).ticks == ["2026-01-01T10:02Z"])
        #expect(try plan(.all, seen, now).ticks == ["2026-01-01T10:00Z", "2026-01-01T10:01Z", "2026-01-01T10:02Z"])
        let hourly = try plan(.skip, "2026-01-01T09:00Z", "2026-01-01T10:02:30Z", "@hourly")
        #expect(hourly.ticks.isEmpty)
        #expect(hourly.next == "2026-01-01T11:00Z")
        #expect(try plan(.skip, "2026-01-01T10:00Z", "2026-01-01T10:01:00Z", "@hourly").ticks.count == 1)
        #expect(try plan(.skip, "2026-01-01T10:00Z", "2026-01-01T10:01:01Z", "@hourly").ticks.isEmpty)
    }

    @Test("Of very many the latest thousand, in order")
    func many() throws {
        let all = try plan(.all, "1970-01-01T00:00Z", "2026-01-01T10:00Z")
        #expect(all.ticks.count == 1000)
        #expect(all.ticks.last == "2026-01-01T10:00Z")
        #expect(all.ticks.first == "2025-12-31T17:21Z")
        #expect(try plan(.once, "1970-01-01T00:00Z", "2026-01-01T10:00Z", "@yearly").ticks == ["2026-01-01T00:00Z"])
    }

    @Test("A tick that the zone's rules no longer have fires as it was seen")
    func strange() throws {
        let plan = try plan(.all, "2026-01-01T10:00:20Z", "2026-01-01T10:00:21Z", "@hourly")
        #expect(plan.ticks == ["2026-01-01T10:00:20Z"])
        #expect(plan.next == "2026-01-01T11:00Z")
    }
}
