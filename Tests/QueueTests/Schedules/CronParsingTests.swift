import Testing

@testable import Queue

@Suite("Cron: what an expression may be")
struct CronParsingTests {
    private func fault(_ text: String) -> String? {
        do throws(CronFault) {
            _ = try CronExpression(text)
            return nil
        } catch {
            return error.description
        }
    }

    private func values(_ set: CronSet) -> [Int] { (0..<60).filter(set.contains) }

    @Test("Lists, ranges, steps, names, 7 for Sunday, nicknames")
    func allowed() throws {
        let busy = try CronExpression("0,15-20/2,59 */6 1,28-31 jan,Mar-MAY 1-5")
        #expect(values(busy.minutes) == [0, 15, 17, 19, 59])
        #expect(values(busy.hours) == [0, 6, 12, 18])
        #expect(values(busy.days) == [1, 28, 29, 30, 31])
        #expect(values(busy.months) == [1, 3, 4, 5])
        #expect(values(busy.weekdays) == [1, 2, 3, 4, 5])
        for (text, days) in [
            ("7", [0]), ("0", [0]), ("sun", [0]), ("5-7", [0, 5, 6]), ("FRI-SUN", [0, 5, 6]), ("0-7", Array(0...6)),
            ("*/2", [0, 2, 4, 6]), ("1-7/2", [0, 1, 3, 5]), ("SUN-TUE", [0, 1, 2]), ("sat,sun", [0, 6]),
        ] {
            #expect(values(try CronExpression("0 0 * * \(text)").weekdays) == days, "\(text)")
        }
        #expect(values(try CronExpression("*/7 * * * *").minutes) == [0, 7, 14, 21, 28, 35, 42, 49, 56])
        #expect(values(try CronExpression("05 00 01 09 *").minutes) == [5])
        for (nickname, meaning) in CronExpression.nicknames {
            let (short, long) = (try CronExpression(nickname), try CronExpression(meaning))
            #expect(short.minutes == long.minutes && short.hours == long.hours && short.days == long.days)
            #expect(short.months == long.months && short.weekdays == long.weekdays)
            #expect(short.text == nickname)
        }
        #expect(try CronExpression("  0\t0  * *   * ").text == "0 0 * * *")
    }

    @Test(
        "What is wrong is said with its field",
        arguments: [
            ("", "expected five fields (minute, hour, day of month, month, day of week), found 0"),
            ("* * * *", "expected five fields (minute, hour, day of month, month, day of week), found 4"),
            ("0 0 0 * * *", "expected five fields (minute, hour, day of month, month, day of week), found 6"),
            ("@reboot", "\"@reboot\" is none of @hourly, @daily, @weekly, @monthly, @yearly"),
            ("@daily *", "expected five fields (minute, hour, day of month, month, day of week), found 2"),
            ("60 * * * *", "minute: \"60\" is not 0 to 59"),
            ("-1 * * * *", "minute: \"\" is not 0 to 59"),
            ("+1 * * * *", "minute: \"+1\" is not 0 to 59"),
            ("001 * * * *", "minute: \"001\" is not 0 to 59"),
            ("1.5 * * * *", "minute: \"1.5\" is not 0 to 59"),
            ("١ * * * *", "minute: \"١\" is not 0 to 59"),
            ("* 24 * * *", "hour: \"24\" is not 0 to 23"),
            ("* * 0 * *", "day of month: \"0\" is not 1 to 31"),
            ("* * L * *", "day of month: \"L\" is not 1 to 31"),
            ("* * ? * *", "day of month: \"?\" is not 1 to 31"),
            ("* * * 13 *", "month: \"13\" is not 1 to 12 or JAN to DEC"),
            ("* * * january *", "month: \"january\" is not 1 to 12 or JAN to DEC"),
            ("* * * * 8", "day of week: \"8\" is not 0 to 7 or SUN to SAT"),
            ("* * * * MON#1", "day of week: \"MON#1\" is not 0 to 7 or SUN to SAT"),
            ("* * * mon *", "month: \"mon\" is not 1 to 12 or JAN to DEC"),
            ("30-10 * * * *", "minute: \"30-10\" runs backwards; write two ranges"),
            ("* * * * FRI-MON", "day of week: \"FRI-MON\" runs backwards; write two ranges"),
            ("1-2-3 * * * *", "minute: \"2-3\" is not 0 to 59"),
            ("1- * * * *", "minute: \"\" is not 0 to 59"),
            ("1,,2 * * * *", "minute: is empty between commas"),
            (", * * * *", "minute: is empty between commas"),
            ("/5 * * * *", "minute: / follows nothing"),
            ("*/0 * * * *", "minute: \"*/0\": a step is 1 to 59"),
            ("*/60 * * * *", "minute: \"*/60\": a step is 1 to 59"),
            ("*/ * * * *", "minute: \"*/\": a step is 1 to 59"),
            ("*/5/5 * * * *", "minute: \"*/5/5\": a step is 1 to 59"),
            ("* 5/2 * * *", "hour: \"5/2\": a step goes with * or a range, as in */2"),
            ("** * * * *", "minute: \"**\" is not 0 to 59"),
        ])
    func refused(_ text: String, _ message: String) {
        #expect(fault(text) == message)
    }

    @Test("An expression that can never fire is refused; one that fires every forty years is not")
    func never() {
        let message = "day of month: no month that is allowed has such a day: it never fires"
        for text in ["0 0 30 2 *", "0 0 31 4,6,9,11 *", "0 0 30-31 FEB *", "0 0 31 2 */2"] {
            #expect(fault(text) == message, "\(text)")
        }
        for text in ["0 0 29 2 *", "0 0 30 2 MON", "0 0 31 4,5 *", "0 0 29 2 */7"] {
            #expect(fault(text) == nil, "\(text)")
        }
        #expect(fault(String(repeating: "1,", count: 200) + "1 * * * *") == "is longer than 255 bytes")
    }

    @Test("Zones are those of the database of time zones, by their exact names")
    func zones() {
        for name in ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+5", "Asia/Kolkata"] {
            #expect(CronZone(name)?.name == name)
        }
        for name in [
            "", "utc+1", "Berlin", "europe/berlin", "localtime", "posixrules", "right/UTC", "posix/UTC", "/etc/passwd",
            "../zoneinfo/UTC", "Europe/../UTC", "Fixed/UTC+01:00:00", "Europe", "Europe/", "tzdata.zi", "zone.tab",
            "Europe//Berlin", "leapseconds", String(repeating: "A", count: 64),
        ] {
            #expect(CronZone(name) == nil, "\(name)")
        }
    }
}
