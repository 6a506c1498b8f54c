import Testing

@testable import Queue

@Suite("Cron: when an expression fires")
struct CronTimeTests {
    @Test("Strictly after the moment, at whole minutes")
    func after() throws {
        #expect(try ticks("* * * * *", after: "2026-01-01T00:00Z") == ["2026-01-01T00:01Z"])
        #expect(try ticks("* * * * *", after: "2026-01-01T00:00:59Z") == ["2026-01-01T00:01Z"])
        #expect(try ticks("0 0 * * *", after: "2026-01-01T00:00Z") == ["2026-01-02T00:00Z"])
        let utc = try #require(CronZone("UTC"))
        let just = try Civil.at("2026-01-02T00:00Z") - 1
        #expect(try CronExpression("@daily").next(after: just, in: utc) == just + 1)
        #expect(try CronExpression("@daily").next(after: .max, in: utc) == nil)
        #expect(try CronExpression("@daily").next(after: .min, in: utc) == (86_400 - 946_684_800) * 1_000_000)
    }

    @Test("Ends of months, leap years, and days that only some months have")
    func calendar() throws {
        #expect(
            try ticks("0 0 31 * *", after: "2026-01-31T00:00Z", "UTC", 4)
                == ["2026-03-31T00:00Z", "2026-05-31T00:00Z", "2026-07-31T00:00Z", "2026-08-31T00:00Z"])
        #expect(
            try ticks("0 12 29 2 *", after: "2026-01-01T00:00Z", "UTC", 3)
                == ["2028-02-29T12:00Z", "2032-02-29T12:00Z", "2036-02-29T12:00Z"])
        #expect(try ticks("0 12 29 2 *", after: "2096-03-01T00:00Z") == ["2104-02-29T12:00Z"])
        #expect(try ticks("0 12 29 2 *", after: "1999-03-01T00:00Z") == ["2000-02-29T12:00Z"])
        // The 29th of February on a Sunday: 2032, 2060, 2088; then 2100 is no leap year.
        #expect(try ticks("0 0 29 2 */7", after: "2026-01-01T00:00Z") == ["2032-02-29T00:00Z"])
        #expect(try ticks("0 0 29 2 */7", after: "2088-03-01T00:00Z") == ["2128-02-29T00:00Z"])
        #expect(try ticks("59 23 31 12 *", after: "2026-12-31T23:59Z") == ["2027-12-31T23:59Z"])
        #expect(try ticks("0 0 1 1 *", after: "2026-12-31T23:59:59Z") == ["2027-01-01T00:00Z"])
    }

    @Test("Two day fields that restrict: either; else both, also for a step through all")
    func days() throws {
        // 2026-02-13 is a Friday.
        #expect(
            try ticks("0 0 13 * FRI", after: "2026-02-01T00:00Z", "UTC", 4)
                == ["2026-02-06T00:00Z", "2026-02-13T00:00Z", "2026-02-20T00:00Z", "2026-02-27T00:00Z"])
        #expect(
            try ticks("0 0 1,15 * MON", after: "2026-01-01T00:00Z", "UTC", 4)
                == ["2026-01-05T00:00Z", "2026-01-12T00:00Z", "2026-01-15T00:00Z", "2026-01-19T00:00Z"])
        #expect(
            try ticks("0 0 * * FRI", after: "2026-02-13T00:00Z", "UTC", 2)
                == ["2026-02-20T00:00Z", "2026-02-27T00:00Z"])
        #expect(
            try ticks("0 0 13 * *", after: "2026-02-13T00:00Z", "UTC", 2)
                == ["2026-03-13T00:00Z", "2026-04-13T00:00Z"])
        // Odd days that are Mondays.
        #expect(
            try ticks("0 0 */2 * MON", after: "2026-01-01T00:00Z", "UTC", 3)
                == ["2026-01-05T00:00Z", "2026-01-19T00:00Z", "2026-02-09T00:00Z"])
    }

    @Test("A fixed hour in a gap fires once, when the gap ends")
    func gaps() throws {
        let berlin = "Europe/Berlin"
        #expect(
            try ticks("30 2 * * *", after: "2026-03-28T12:00Z", berlin, 2)
                == ["2026-03-29T03:00+02:00", "2026-03-30T02:30+02:00"])
        #expect(
            try ticks("*/10 2 * * *", after: "2026-03-28T12:00Z", berlin, 2)
                == ["2026-03-29T03:00+02:00", "2026-03-30T02:00+02:00"], "six times in the gap are one tick")
        #expect(
            try ticks("0,30 2,3 * * *", after: "2026-03-29T00:30Z", berlin, 3)
                == ["2026-03-29T03:00+02:00", "2026-03-29T03:30+02:00", "2026-03-30T02:00+02:00"])
        #expect(
            try ticks("30 2 * * *", after: "2026-03-08T00:00-05:00", "America/New_York", 2)
                == ["2026-03-08T03:00-04:00", "2026-03-09T02:30-04:00"])
        // Half an hour: 02:00 to 02:30.
        #expect(
            try ticks("15 2 * * *", after: "2026-10-03T12:00Z", "Australia/Lord_Howe", 2)
                == ["2026-10-04T02:30+11:00", "2026-10-05T02:15+11:00"])
        #expect(
            try ticks("45 2 * * *", after: "2026-10-03T12:00Z", "Australia/Lord_Howe") == ["2026-10-04T02:45+11:00"])
        // Midnight itself.
        #expect(
            try ticks("@daily", after: "2026-04-23T12:00Z", "Africa/Cairo", 2)
                == ["2026-04-24T01:00+03:00", "2026-04-25T00:00+03:00"])
        // A whole day: Samoa had no 30 December 2011.
        #expect(
            try ticks("0 12 30 12 *", after: "2011-12-29T20:00-10:00", "Pacific/Apia", 2)
                == ["2011-12-31T00:00+14:00", "2012-12-30T12:00+14:00"])
    }

    @Test("A fixed hour that is shown twice fires the first time")
    func repeats() throws {
        let berlin = "Europe/Berlin"
        #expect(
            try ticks("30 2 * * *", after: "2026-10-24T12:00Z", berlin, 2)
                == ["2026-10-25T02:30+02:00", "2026-10-26T02:30+01:00"])
        #expect(try ticks("30 2 * * *", after: "2026-10-25T02:10+01:00", berlin) == ["2026-10-26T02:30+01:00"])
        #expect(try ticks("0 3 * * *", after: "2026-10-25T02:59+02:00", berlin) == ["2026-10-25T03:00+01:00"])
        #expect(
            try ticks("*/30 1-3 * * *", after: "2026-10-25T01:00+02:00", berlin, 5) == [
                "2026-10-25T01:30+02:00", "2026-10-25T02:00+02:00", "2026-10-25T02:30+02:00", "2026-10-25T03:00+01:00",
                "2026-10-25T03:30+01:00",
            ])
        #expect(
            try ticks("30 1 * * *", after: "2026-11-01T00:00-04:00", "America/New_York", 2)
                == ["2026-11-01T01:30-04:00", "2026-11-02T01:30-05:00"])
        #expect(
            try ticks("45 1 * * *", after: "2026-04-04T12:00Z", "Australia/Lord_Howe", 2)
                == ["2026-04-05T01:45+11:00", "2026-04-06T01:45+10:30"])
        #expect(
            try ticks("0 0 * * *", after: "2026-10-29T12:00Z", "Africa/Cairo", 2)
                == ["2026-10-30T00:00+02:00", "2026-10-31T00:00+02:00"])
    }

    @Test("An open hour runs on by real hours")
    func running() throws {
        let berlin = "Europe/Berlin"
        #expect(
            try ticks("*/30 * * * *", after: "2026-03-29T01:00+01:00", berlin, 3)
                == ["2026-03-29T01:30+01:00", "2026-03-29T03:00+02:00", "2026-03-29T03:30+02:00"])
        #expect(
            try ticks("30 * * * *", after: "2026-03-29T01:00+01:00", berlin, 2)
                == ["2026-03-29T01:30+01:00", "2026-03-29T03:30+02:00"])
        #expect(
            try ticks("30 * * * *", after: "2026-10-25T01:00+02:00", berlin, 4) == [
                "2026-10-25T01:30+02:00", "2026-10-25T02:30+02:00", "2026-10-25T02:30+01:00", "2026-10-25T03:30+01:00",
            ])
        #expect(
            try ticks("0 */2 * * *", after: "2026-03-29T00:00+01:00", berlin, 2)
                == ["2026-03-29T04:00+02:00", "2026-03-29T06:00+02:00"])
        #expect(
            try ticks("*/15 * * * *", after: "2026-10-04T01:30+10:30", "Australia/Lord_Howe", 3)
                == ["2026-10-04T01:45+10:30", "2026-10-04T02:30+11:00", "2026-10-04T02:45+11:00"])
        #expect(
            try ticks("*/15 * * * *", after: "2026-04-05T01:15+11:00", "Australia/Lord_Howe", 5) == [
                "2026-04-05T01:30+11:00", "2026-04-05T01:45+11:00", "2026-04-05T01:30+10:30", "2026-04-05T01:45+10:30",
                "2026-04-05T02:00+10:30",
            ])
    }

    @Test("Zones without changes, and with offsets that are no whole hours")
    func offsets() throws {
        #expect(try ticks("0 9 * * *", after: "2026-01-01T00:00Z", "Asia/Kolkata") == ["2026-01-01T09:00+05:30"])
        #expect(try ticks("0 * * * *", after: "2026-01-01T00:00Z", "Asia/Kolkata") == ["2026-01-01T06:00+05:30"])
        #expect(
            try ticks("@monthly", after: "2026-01-31T18:30Z", "Asia/Kolkata", 2)
                == ["2026-03-01T00:00+05:30", "2026-04-01T00:00+05:30"])
        #expect(try ticks("0 0 * * *", after: "2026-06-01T00:00Z", "Pacific/Chatham") == ["2026-06-02T00:00+12:45"])
        #expect(try ticks("0 12 * * *", after: "2026-01-01T00:00Z", "Pacific/Kiritimati") == ["2026-01-02T12:00+14:00"])
    }

    @Test("The latest ticks of a time, and no more than are wanted")
    func latest() throws {
        let utc = try #require(CronZone("UTC"))
        let (start, end) = (try Civil.at("2026-01-01T00:00Z"), try Civil.at("2026-01-01T00:10Z"))
        func latest(_ text: String, _ limit: Int, _ start: Int64, _ end: Int64) throws -> [String] {
            try CronExpression(text).latest(limit, after: start, through: end, in: utc).map { Civil.show($0, in: utc) }
        }
        #expect(try latest("*/5 * * * *", 10, start, end) == ["2026-01-01T00:05Z", "2026-01-01T00:10Z"])
        #expect(try latest("* * * * *", 2, start, end) == ["2026-01-01T00:09Z", "2026-01-01T00:10Z"])
        #expect(try latest("* * * * *", 3, start, end - 1).last == "2026-01-01T00:09Z")
        #expect(try latest("* * * * *", 3, end, end).isEmpty)
        #expect(try latest("* * * * *", 3, end, start).isEmpty)
        #expect(try latest("0 0 29 2 *", 2, .min, end) == ["2020-02-29T00:00Z", "2024-02-29T00:00Z"])
        #expect(try CronExpression("* * * * *").latest(1000, after: .min, through: end, in: utc).count == 1000)
    }
}
