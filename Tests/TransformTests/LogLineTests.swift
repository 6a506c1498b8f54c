import Records
import Testing

@testable import Transform

/// Access logs, line by line.
@Suite struct LogLineTests {
    private func read(_ lines: [String?], _ format: LogLineReader.Format = .common) -> (
        rows: [String], failed: [String]
    ) {
        var reader = LogLineReader(format, rows: lines.count)
        reader.read(ByteColumn(lines.map { $0 ?? "" }), validity: lines.map { $0 == nil ? 0 : 1 })
        let rows = (0..<Int32(lines.count)).map { $0 }
        let batch = RecordBatch(rows: rows, columns: reader.columns)
        return (Pipelines.rows(batch), reader.failed.map { "\($0.row): \($0.message)" })
    }

    @Test(arguments: [
        ("10/Oct/2000:13:55:36 -0700", "2000-10-10 20:55:36+00"),
        ("29/Feb/2024:00:00:00 +0000", "2024-02-29 00:00:00+00"),
        ("31/Dec/1999:23:59:59 +0530", "1999-12-31 18:29:59+00"),
        ("01/Jan/1970:00:00:00 +0000", "1970-01-01 00:00:00+00"),
        ("01/Mar/2100:00:00:00 -0001", "2100-03-01 00:01:00+00"),
        ("01/Jan/0001:00:00:00 +0000", "0001-01-01 00:00:00+00"),
    ])
    func times(_ written: String, _ wanted: String) {
        let (rows, failed) = read([#"1.2.3.4 - - [\#(written)] "GET / HTTP/1.1" 200 5"#])
        #expect(failed.isEmpty)
        #expect(rows[0].contains("ts=\(wanted) "), "\(rows[0])")
    }

    @Test(arguments: [
        "29/Feb/2023:00:00:00 +0000", "31/Apr/2023:00:00:00 +0000", "00/Jan/2023:00:00:00 +0000",
        "01/Foo/2023:00:00:00 +0000", "01/Jan/2023:24:00:00 +0000", "01/Jan/2023:00:60:00 +0000",
        "01/Jan/2023:00:00:00 0000 ", "1/Jan/2023:00:00:00 +0000", "01/Jan/2023:00:00:0x +0000",
    ])
    func timesThatAreNone(_ written: String) {
        let (_, failed) = read([#"1.2.3.4 - - [\#(written)] "GET / HTTP/1.1" 200 5"#])
        #expect(failed.count == 1)
        #expect(failed.first?.hasPrefix("0: not in common log format: ") == true)
    }

    @Test func fieldsAndTheirAbsence() {
        let (rows, failed) = read([
            #"::1 id John [10/Oct/2000:13:55:36 +0000] "GET /a b HTTP/2.0" 304 -"#, nil,
            #"h - - [10/Oct/2000:13:55:36 +0000] "\x16\x03\"" 400 0"#,
        ])
        #expect(failed.isEmpty)
        #expect(
            rows == [
                "ip=::1 ident=id remote_user=John ts=2000-10-10 13:55:36+00 method=GET path=/a b protocol=HTTP/2.0 "
                    + "status=304 bytes=NULL",
                "ip=NULL ident=NULL remote_user=NULL ts=NULL method=NULL path=NULL protocol=NULL "
                    + "status=NULL bytes=NULL",
                "ip=h ident=NULL remote_user=NULL ts=2000-10-10 13:55:36+00 method=NULL "
                    + "path=\u{16}\u{3}\" protocol=NULL status=400 bytes=0",
            ])
    }

    /// As nginx and httpd write them; what is no escape of theirs stays.
    @Test(arguments: [
        (#"a\x22b\x5Cc"#, #"a"b\c"#), (#"caf\xC3\xA9 \xe2\x82\xac"#, "café €"), (#"\"q\" \\x41"#, #""q" \x41"#),
        (#"a\nb\tc\rd\be\vf"#, "a\nb\tc\rd\u{8}e\u{B}f"), (#"\d \x4 \xZZ é"#, #"\d \x4 \xZZ é"#),
    ])
    func escapesOfQuotedFields(_ written: String, _ wanted: String) {
        let time = "[10/Oct/2000:13:55:36 +0000]"
        let (rows, failed) = read(
            [#"h - u\x22 \#(time) "GET /\#(written) HTTP/1.1" 200 5 "\#(written)" "\#(written)""#], .combined)
        #expect(failed.isEmpty)
        #expect(rows[0].contains(" remote_user=u\" "))
        #expect(rows[0].contains(" path=/\(wanted) protocol="), "\(rows[0])")
        #expect(rows[0].hasSuffix(" referer=\(wanted) agent=\(wanted)"), "\(rows[0])")
    }

    @Test(arguments: [#"/\xFF\n"#, #"/caf\xC3\"#, #"/\x16\x03\x00\\"#])
    func escapesThatAreNoTextStayAsTheyAreWritten(_ written: String) {
        let (rows, failed) = read([#"h - - [10/Oct/2000:13:55:36 +0000] "GET \#(written) HTTP/1.1" 200 5"#])
        #expect(failed.isEmpty && rows[0].contains(" path=\(written) protocol=HTTP/1.1 "), "\(rows[0])")
    }

    @Test(arguments: [
        "host:443 1.2.3.4 - - ", "host:443 1.2.3.4 - alice ", "::1 id John Doe ", "1.2.3.4 - ", "1.2.3.4  - - ",
    ])
    func threeFieldsComeBeforeTheTime(_ fields: String) {
        let (_, failed) = read([fields + #"[10/Oct/2000:13:55:36 +0000] "GET / HTTP/1.1" 200 5"#])
        #expect(failed.count == 1)
    }

    @Test func malformedLinesLeaveTheirNeighboursAlone() {
        let good = #"h - - [10/Oct/2000:13:55:36 +0000] "GET / HTTP/1.1" 200 5 "-" "agent""#
        let cut = (1..<good.utf8.count).map { String(good.prefix($0)) }
        let lines = cut.flatMap { [good, $0] } + [good, good + " more", good + " "]
        let (rows, failed) = read(lines, .combined)
        #expect(failed.count == cut.count + 1)
        #expect(rows.count == lines.count)
        for (line, row) in zip(lines, rows) where line == good || line == good + " " {
            #expect(row.hasSuffix("agent=agent"))
        }
        #expect(failed.last == "\(lines.count - 2): not in combined log format: more than the format holds at byte 71")
    }
}
