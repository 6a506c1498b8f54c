import JSON
import Records
import Testing

@testable import Transform

/// Pipelines over whole frames, as the worker runs them.
enum Pipelines {
    static func frame(_ format: RecordFormat, _ records: [String], header: String = "") -> BatchFrame {
        var frame = BatchFrame(format: format, header: Array(header.utf8))
        for record in records { frame.append(record: Array(record.utf8)) }
        return frame
    }

    static func run(_ definition: String, _ frame: BatchFrame) throws -> PipelineOutput {
        let (_, pipeline) = try PipelineCompiler(salt: salt).compile(try JSONValue.parse(definition))
        let (batch, faults) = try RecordDecoder().decode(frame)
        return try pipeline.run(batch, faults: faults, received: received)
    }

    static let salt = Array("pepper".utf8)
    /// 2026-06-01 12:00 UTC.
    static let received: Int64 = (9_648 * 24 + 12) * 3_600_000_000

    /// Records as JSON, one a row.
    static func run(steps: String, _ records: [String]) throws -> PipelineOutput {
        try run(Self.steps(steps), frame(.ndjson, records))
    }

    /// Lines of text.
    static func run(steps: String, lines: [String]) throws -> PipelineOutput {
        try run(Self.steps(steps), frame(.text, lines))
    }

    static func steps(_ steps: String) -> String {
        "{\"source\": \"s\", \"steps\": [\(steps)], \"target\": {\"dataset\": \"d\"}}"
    }

    /// The mistakes that a definition is refused for.
    static func refusals(_ definition: String) throws -> [String] {
        let value = try JSONValue.parse(definition)
        do throws(FieldFaults) {
            _ = try PipelineCompiler().compile(value)
            return []
        } catch {
            return error.faults.map(\.description)
        }
    }

    /// Rows as `name=value`, in the columns' order.
    static func rows(_ batch: RecordBatch) -> [String] {
        (0..<batch.rowCount).map { row in
            batch.columns.map { column in
                var text: [UInt8] = []
                TextOutput.append(column.column, row, into: &text)
                let value = column.column.isPresent(row) ? String(decoding: text, as: UTF8.self) : "NULL"
                return "\(column.name)=\(value)"
            }.joined(separator: " ")
        }
    }
}

@Suite struct PipelineTests {
    static let log = [
        #"203.0.113.9 - alice [10/Oct/2000:13:55:36 -0700] "GET /a?b=c HTTP/1.0" 200 2326 "https://e.org/" "curl/8""#,
        #"2001:db8::1 - - [29/Feb/2024:23:59:59 +0000] "OPTIONS * HTTP/1.1" 204 - "-" "-""#,
        #"not a log line"#,
        #"203.0.113.9 - - [10/Oct/2000:13:55:37 -0700] "GET /e HTTP/1.1" 503 10 "-" "a \"b\"""#,
        #"203.0.113.9 - - [31/Feb/2000:13:55:37 -0700] "GET /e HTTP/1.1" 200 10 "-" "x""#,
        #"203.0.113.9 - - [10/Oct/2000:13:55:37 -0700] "GET /e HTTP/1.1" 999 10 "-" "x""#,
        #"203.0.113.9 - - [10/Oct/2000:13:55:37 -0700] "-" 408 0 "-" "-""#,
    ]

    @Test func theWeblogPipelineOfTheManual() throws {
        let output = try Pipelines.run(
            """
            {"source": "weblogs", "steps": [
              {"parse": {"format": "combined", "from": "line"}},
              {"cast": {"status": "int8", "ts": "timestamptz"}},
              {"derive": {"is_error": "status >= 500", "kb": "bytes / 1024.0"}},
              {"filter": "method <> 'OPTIONS' or method is null"},
              {"expect": {"status_valid": "status between 100 and 599"}},
              {"mask": {"ip": "sha256"}},
              {"drop": ["referer", "ident", "protocol", "ip"]}],
             "target": {"dataset": "web", "mode": "append"}, "on_error": "quarantine"}
            """, Pipelines.frame(.text, Self.log))
        #expect(
            Pipelines.rows(output.batch) == [
                "remote_user=alice ts=2000-10-10 20:55:36+00 method=GET path=/a?b=c status=200 bytes=2326 "
                    + "agent=curl/8 is_error=false kb=2.2714843750000000",
                "remote_user=NULL ts=2000-10-10 20:55:37+00 method=GET path=/e status=503 bytes=10 "
                    + "agent=a \"b\" is_error=true kb=0.00976562500000000000",
                "remote_user=NULL ts=2000-10-10 20:55:37+00 method=NULL path=NULL status=408 bytes=0 "
                    + "agent=NULL is_error=false kb=0.00000000000000000000",
            ])
        #expect(output.batch.rows == [0, 3, 6])
        #expect(output.filtered == [1])
        #expect(output.faults.map(\.row) == [2, 4, 5])
        #expect(output.faults.map(\.code) == ["parse_failed", "parse_failed", "expectation_failed"])
        #expect(output.faults.map(\.step) == ["steps[0].parse", "steps[0].parse", "steps[4].expect"])
        #expect(output.faults[2].column == "status_valid")
    }

    @Test func stepsOnJSONRecords() throws {
        let frame = Pipelines.frame(
            .ndjson,
            [
                #"{"id": 1, "price": "9.50", "qty": 3, "tags": {"a": 1, "b": "x"}}"#,
                #"{"id": 2, "price": "free", "qty": 1}"#, #"{"id": 3, "qty": 0, "price": "1"}"#, #"[1]"#,
                #"{"id": 5, "price": "2", "qty": null, "tags": {"a": null}}"#,
            ])
        let output = try Pipelines.run(
            Pipelines.steps(
                #"""
                {"cast": {"price": "numeric", "qty": "int8"}}, {"fill": {"qty": 1}},
                {"derive": {"total": "price * qty", "unit": "total / qty"}},
                {"flatten": ["tags"]}, {"rename": {"tags_a": "a"}}, {"select": ["id", "total", "unit", "a", "none"]}
                """#), frame)
        #expect(
            Pipelines.rows(output.batch) == [
                "id=1 total=28.50 unit=9.5000000000000000 a=1 none=NULL",
                "id=5 total=2 unit=2.0000000000000000 a=NULL none=NULL",
            ])
        #expect(output.faults.map(\.row) == [3, 1, 2])
        #expect(output.faults[1].step == "steps[0].cast")
        #expect(output.faults[1].column == "price")
        #expect(output.faults[1].message == "invalid input syntax for type numeric: \"free\"")
        #expect(output.faults[2].step == "steps[2].derive")
        #expect(output.faults[2].column == "unit")
        #expect(output.faults[2].code == "division_by_zero")
    }

    @Test func parsesRegexCSVAndJSONInsideText() throws {
        let regex = try Pipelines.run(
            Pipelines.steps(
                #"{"parse": {"format": "regex", "pattern": "^(?<level>[A-Z]+) (?<took>\\d+)?ms (?<rest>.*)$"}}"#),
            Pipelines.frame(.text, ["INFO 12ms done", "WARN ms slow", "nothing"]))
        #expect(
            Pipelines.rows(regex.batch) == ["level=INFO took=12 rest=done", "level=WARN took=NULL rest=slow"])
        #expect(regex.faults.map(\.row) == [2])

        let csv = try Pipelines.run(
            Pipelines.steps(#"{"parse": {"format": "csv", "columns": ["a", "b"]}}, {"filter": "a > 1"}"#),
            Pipelines.frame(.text, ["1,x", "2,\"y, \"\"z\"\"\"", "3"]))
        #expect(Pipelines.rows(csv.batch) == ["a=2 b=y, \"z\""])
        #expect(csv.filtered == [0])
        #expect(csv.faults.map(\.row) == [2])

        let json = try Pipelines.run(
            Pipelines.steps(#"{"parse": {"format": "json", "from": "body"}}, {"drop": ["k"]}"#),
            Pipelines.frame(.ndjson, [#"{"k": 1, "body": "{\"x\": 5}"}"#, #"{"k": 2, "body": "{"}"#, #"{"k": 3}"#]))
        #expect(Pipelines.rows(json.batch) == ["x=5", "x=NULL"])
        #expect(json.faults.map(\.row) == [1])
    }

    @Test func masksHideValues() throws {
        let output = try Pipelines.run(
            Pipelines.steps(
                #"""
                {"mask": {"a": "redact", "b": "keep_last_4", "c": "sha256"}},
                {"cast": {"t": "timestamptz", "n": "numeric", "u": "uuid"}},
                {"mask": {"t": "keep_last_4", "n": "sha256", "u": "redact"}}
                """#),
            Pipelines.frame(
                .ndjson,
                [
                    #"{"a": "x", "b": "4111111111111111", "c": 5, "t": "2026-01-01", "n": "5", "u": null}"#,
                    #"{"b": "1234", "c": null}"#, #"{"b": "日本語日本語", "c": "5"}"#, #"{"a": [1], "b": "", "c": "50"}"#,
                ]))
        let five = Self.hmac5
        #expect(
            Pipelines.rows(output.batch) == [
                "a=*** b=************1111 c=\(five) t=******************0+00 n=\(five) u=NULL",
                "a=NULL b=**** c=NULL t=NULL n=NULL u=NULL", "a=NULL b=**語日本語 c=\(five) t=NULL n=NULL u=NULL",
                "a=*** b= c=\(Self.hmac50) t=NULL n=NULL u=NULL",
            ])
        #expect(output.batch.columns.allSatisfy { $0.column.type == .typed(.text) })
    }

    // printf 5 | openssl dgst -sha256 -hmac pepper
    private static let hmac5 = "661f3bd0a7bc1becfb073bd157e673a3f8b03aa40195d8fb30ce95b462bc02d0"
    private static let hmac50 = "9dc30dc3373687a7edb4094320e73f5011ba8435175e48f19028565209b40153"

    @Test func theImplicitPipelinePassesRecordsOn() throws {
        let (batch, faults) = try RecordDecoder().decode(Pipelines.frame(.ndjson, [#"{"a": 1}"#, "x"]))
        let output = try CompiledPipeline.implicit.run(batch, faults: faults)
        #expect(Pipelines.rows(output.batch) == ["a=1"])
        #expect(output.faults.count == 1)
        #expect(output.filtered.isEmpty)
    }
}
