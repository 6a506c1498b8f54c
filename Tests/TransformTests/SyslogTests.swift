import Records
import Testing

@testable import Transform

/// Syslog, message by message, as RFC 5424 and RFC 3164 show it and as devices and relays send it.
@Suite struct SyslogTests {
    private func read(_ lines: [String], received: Int64? = Pipelines.received) -> (rows: [String], failed: [String]) {
        var reader = SyslogReader(rows: lines.count, received: received)
        reader.read(ByteColumn(lines), validity: lines.map { _ in 1 })
        let batch = RecordBatch(rows: lines.indices.map { Int32($0) }, columns: reader.columns)
        return (Pipelines.rows(batch), reader.failed.map { "\($0.row): \($0.message)" })
    }

    private func fields(_ line: String) -> String {
        let (rows, failed) = read([line])
        return failed.first ?? rows[0].split(separator: " ").filter { !$0.hasSuffix("=NULL") }.joined(separator: " ")
    }

    /// The examples of RFC 5424, section 6.5, and what its grammar allows besides.
    @Test(arguments: [
        (
            "<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - \u{FEFF}'su root' failed for lonvick",
            "facility=4 severity=2 ts=2003-10-11 22:14:15.003+00 hostname=mymachine.example.com appname=su msgid=ID47 "
                + "message='su root' failed for lonvick"
        ),
        (
            "<165>1 2003-08-24T05:14:15.000003-07:00 192.0.2.1 myproc 8710 - - %% It's time",
            "facility=20 severity=5 ts=2003-08-24 12:14:15.000003+00 hostname=192.0.2.1 appname=myproc procid=8710 "
                + "message=%% It's time"
        ),
        (
            #"<165>1 - - - - ID47 [exampleSDID@32473 iut="3" eventSource="Application"][examplePriority@32473 "#
                + #"class="high"]"#,
            #"facility=20 severity=5 msgid=ID47 structured_data={"exampleSDID@32473":{"iut":"3","eventSource":"#
                + #""Application"},"examplePriority@32473":{"class":"high"}}"#
        ),
        (
            #"<0>1 - - - - - [a b="q\"\\\]\n"][c][d  e="" ] [a x="y"]"#,
            #"facility=0 severity=0 structured_data={"a":{"b":"q\"\\]\\n"},"c":{},"d":{"e":""}} message=[a x="y"]"#
        ),
        ("<191>1 - - - - - -", "facility=23 severity=7"),
        ("<14>1 - - - - - - ", "facility=1 severity=6"),
    ])
    func current(_ line: String, _ wanted: String) {
        #expect(fields(line) == wanted)
    }

    @Test(arguments: [
        ("<34>1 2003-10-11T22:14:15.003Z h su - ID47", "expected a space at byte 43"),
        ("<34>1 2003-10-11 22:14:15Z h su - - - x", "expected a time as 2003-10-11T22:14:15.003Z at byte 7"),
        ("<34>1 2003-02-30T22:14:15Z h su - - - x", "expected a time as 2003-10-11T22:14:15.003Z at byte 7"),
        ("<34>1 -  su - - - x", "expected a field, or - for none at byte 9"),
        ("<34>1 - h a p m x", "expected structured data, or - for none at byte 17"),
        ("<34>1 - h a p m [] x", "expected a name in the structured data at byte 18"),
        (#"<34>1 - h a p m [i a=b] x"#, "expected a value in quotes at byte 21"),
        (#"<34>1 - h a p m [i a="b x"#, "a value that is never closed at byte 26"),
        (#"<34>1 - h a p m [i a="b"x]"#, "expected the end of the structured data at byte 25"),
        (#"<34>1 - h a p m [i]x"#, "expected a space at byte 20"),
        ("<192>x", "expected a priority from <0> to <191> at byte 1"),
        ("<034>x", "expected a priority from <0> to <191> at byte 1"),
        ("<>x", "expected a priority from <0> to <191> at byte 1"),
        ("<1", "expected a priority from <0> to <191> at byte 1"),
        ("no syslog at all", "expected <priority> or a time at byte 1"),
        ("", "expected <priority> or a time at byte 1"),
        ("<13>Feb 30 10:00:00 h t: x", "no such date at byte 20"),
        ("<13>Feb 30 2024 10:00:00 h t: x", "no such date at byte 25"),
    ])
    func malformed(_ line: String, _ wanted: String) {
        #expect(fields(line) == "0: not a syslog message: " + wanted)
    }

    @Test(arguments: [
        (
            "<34>Oct 11 22:14:15 mymachine su: 'su root' failed",
            "facility=4 severity=2 ts=2025-10-11 22:14:15+00 hostname=mymachine appname=su message='su root' failed"
        ),
        (
            "<13>Feb  5 17:32:18 10.0.0.99 Use the BFG!",
            "facility=1 severity=5 ts=2026-02-05 17:32:18+00 hostname=10.0.0.99 message=Use the BFG!"
        ),
        (
            "Jun  1 09:00:00 web sshd[12345]: Accepted key",
            "ts=2026-06-01 09:00:00+00 hostname=web appname=sshd procid=12345 message=Accepted key"
        ),
        (
            "Jun 02 11:00:00 web postfix/smtpd[1]: connect",
            "ts=2026-06-02 11:00:00+00 hostname=web appname=postfix/smtpd procid=1 message=connect"
        ),
        // More than a day ahead is last year's.
        (
            "Jun 02 13:00:00 web kernel: [ 1.0] up",
            "ts=2025-06-02 13:00:00+00 hostname=web appname=kernel message=[ 1.0] up"
        ),
        ("Feb 29 00:00:00 web a: b", "ts=2024-02-29 00:00:00+00 hostname=web appname=a message=b"),
        (
            "<13>2026-05-01T10:00:00.5+02:00 fe80::1 cron[7] ran",
            "facility=1 severity=5 ts=2026-05-01 08:00:00.5+00 hostname=fe80::1 appname=cron procid=7 message=ran"
        ),
        (
            "<13>Oct 11 22:14:15 su: no host",
            "facility=1 severity=5 ts=2025-10-11 22:14:15+00 appname=su message=no host"
        ),
        (
            "<13>Oct 11 22:14:15 (systemd)[1]: no host",
            "facility=1 severity=5 ts=2025-10-11 22:14:15+00 appname=(systemd) procid=1 message=no host"
        ),
        ("<13>su[3]: no time", "facility=1 severity=5 appname=su procid=3 message=no time"),
        ("<13>no time, no tag", "facility=1 severity=5 message=no time, no tag"),
        ("<13>99 bottles", "facility=1 severity=5 message=99 bottles"), ("<13>", "facility=1 severity=5"),
        (
            "<189>*Mar  1 18:46:11.123: %SYS-5-CONFIG_I: Configured",
            "facility=23 severity=5 ts=2026-03-01 18:46:11.123+00 appname=%SYS-5-CONFIG_I message=Configured"
        ),
        (
            "<189>Oct 11 2003 22:14:15 asa : %ASA-6-1: Built",
            "facility=23 severity=5 ts=2003-10-11 22:14:15+00 hostname=asa message=: %ASA-6-1: Built"
        ),
        (
            "<13>Oct 11 22:14:15 h http://x is up",
            "facility=1 severity=5 ts=2025-10-11 22:14:15+00 hostname=h message=http://x is up"
        ),
        ("<13>Oct 11 22:14:15 h tag:", "facility=1 severity=5 ts=2025-10-11 22:14:15+00 hostname=h appname=tag"),
        (
            "<13>Oct 11 22:14:15 h tag[]: x",
            "facility=1 severity=5 ts=2025-10-11 22:14:15+00 hostname=h appname=tag message=x"
        ),
        ("<13>Oct 11 22:14:15 h tag[1 x", "facility=1 severity=5 ts=2025-10-11 22:14:15+00 hostname=h message=tag[1 x"),
        ("<13>Oct 11 22:14:15", "facility=1 severity=5 ts=2025-10-11 22:14:15+00"),
        ("<13>Oct 11 22:14:1x h t: x", "facility=1 severity=5 message=Oct 11 22:14:1x h t: x"),
    ])
    func old(_ line: String, _ wanted: String) {
        #expect(fields(line) == wanted)
    }

    @Test func withoutAYearSomethingMustSayWhen() {
        let (_, failed) = read(["<13>Oct 11 22:14:15 h t: x", "<13>2026-05-01T10:00:00Z h t: x"], received: nil)
        #expect(failed == ["0: not a syslog message: a time without a year, and nothing says when it came at byte 20"])
    }

    @Test func cutMessagesLeaveTheirNeighboursAlone() {
        let good = #"<165>1 2003-10-11T22:14:15.003Z host app 12 ID47 [x@1 iut="3"][y] An event"#
        let cut = (0..<good.utf8.count).map { String(good.prefix($0)) }
        let (rows, _) = read(cut.flatMap { [$0, good] })
        let whole = rows[1]
        #expect(whole.hasSuffix(#"structured_data={"x@1":{"iut":"3"},"y":{}} message=An event"#))
        for (place, row) in rows.enumerated() where place % 2 == 1 { #expect(row == whole) }
        #expect(rows.count == cut.count * 2)
    }
}
