import JSON
import Records
import TestSupport
import Testing

@testable import Transform

/// Small requests share a batch, so what becomes of a record must not hang on the records beside it.
@Suite struct NeighbourTests {
    /// What became of one record: its rows by output, each a line a value that is not NULL, with the column's type; or
    /// its fault; or that it was filtered.
    private static func outcome(_ output: PipelineOutput, _ record: Int32) -> [String] {
        var lines: [String] = []
        for (number, batch) in output.outputs.enumerated() {
            for (row, ordinal) in batch.rows.enumerated() where ordinal == record {
                lines.append("output \(number): \(values(batch, row))")
            }
        }
        lines += output.filtered.filter { $0 == record }.map { _ in "filtered" }
        lines += output.faults.filter { $0.row == record }.map {
            "\($0.code) at \($0.step ?? "") of \($0.column ?? ""): \($0.message)"
        }
        return lines
    }

    private static func values(_ batch: RecordBatch, _ row: Int) -> String {
        var values = batch.columns.filter { $0.column.isPresent(row) }.map { named in
            var json: [UInt8] = []
            named.column.appendJSON(row, into: &json)
            return "\(named.name) \(named.column.type) \(String(decoding: json, as: UTF8.self))"
        }
        if let extra = batch.extra, extra.isPresent(row), case .bytes(let texts) = extra.storage {
            values.append("extra \(texts.string(row))")
        }
        return values.sorted().joined(separator: ", ")
    }

    /// Runs records together and each by itself; gives the outcomes that differ.
    private static func differences(_ steps: String, _ records: [String]) throws -> [String] {
        try differences(steps, Pipelines.frame(.ndjson, records))
    }

    private static func differences(_ steps: String, _ frame: BatchFrame) throws -> [String] {
        let pipeline = try PipelineCompiler(salt: Pipelines.salt, lookups: lookups)
            .compile(.parse(Pipelines.steps(steps))).pipeline
        let together = try run(pipeline, frame)
        let offsets = frame.offsets()
        return try (0..<frame.recordCount).compactMap { place in
            let record = Array(frame.record(place, offsets: offsets))
            var single = BatchFrame(format: frame.format, header: frame.header)
            single.append(record: record)
            let alone = outcome(try run(pipeline, single), 0)
            let beside = outcome(together, Int32(place))
            let text = String(decoding: record, as: UTF8.self)
            return alone == beside ? nil : "\(text)\nalone: \(alone)\nbeside others: \(beside)"
        }
    }

    private static let lookups = LookupSchema(["known": ["key": .text, "length": .int8]])

    /// Of the dataset `known` there are the keys with an odd number of bytes, and that number.
    private static func run(_ pipeline: CompiledPipeline, _ frame: BatchFrame) throws -> PipelineOutput {
        let (batch, faults) = try RecordDecoder().decode(frame)
        var run = PipelineRun(pipeline, batch, faults: faults, received: Pipelines.received)
        while let request = try run.advance() {
            let lengths = texts(request.keys[0].values).map { Int64($0.utf8.count) }
            let found = lengths.indices.filter { lengths[$0] % 2 == 1 }
            let column = Column(.int8, .int64(found.map { lengths[$0] }))
            run.supply(LookupAnswer(to: request, found: found.map { Int32($0) }, columns: [column]))
        }
        return run.output
    }

    // MARK: parse

    @Test(arguments: [
        (#""format": "json""#, #"{\"status\": \"new\"}"#), (#""format": "logfmt""#, "status=new"),
        (#""format": "query_string""#, "status=new"), (#""format": "regex", "pattern": "(?<status>.+)""#, "new"),
        (#""format": "csv", "columns": ["status"]"#, "new"),
    ])
    func whatIsNotParsedKeepsItsFields(_ format: String, _ body: String) throws {
        let steps = #"{"parse": {\#(format), "from": "body"}}"#
        let records = [
            #"{"id": 1, "status": "paid", "body": null}"#, #"{"id": 2, "body": "\#(body)"}"#,
            #"{"id": 3, "status": "paid", "body": "\#(body)"}"#, #"{"id": 4, "status": "paid"}"#,
        ]
        let output = try Pipelines.run(steps: steps, records)
        #expect(output.batch["status"].map { Self.texts($0) } == ["paid", "new", "new", "paid"])
        #expect(try Self.differences(steps, records).isEmpty)
    }

    private static func texts(_ column: Column) -> [String] {
        (0..<column.count).map { row in
            var text: [UInt8] = []
            TextOutput.append(column, row, into: &text)
            return column.isPresent(row) ? String(decoding: text, as: UTF8.self) : "NULL"
        }
    }

    @Test func aFieldThatTheTextLacksStaysAndOneThatIsNullDoesNot() throws {
        let steps = #"{"parse": {"format": "json", "from": "body"}}"#
        let records = [
            #"{"a": 1, "b": 1, "body": "{\"a\": null}"}"#, #"{"a": 2, "b": 2, "body": "{\"b\": 3}"}"#,
            #"{"a": 4, "body": "{}"}"#,
        ]
        let output = try Pipelines.run(steps: steps, records)
        #expect(Pipelines.rows(output.batch) == ["a=NULL b=1", "a=2 b=3", "a=4 b=NULL"])
        #expect(try Self.differences(steps, records).isEmpty)
    }

    @Test func formatsOfFixedFieldsReplaceThemWhereThereIsText() throws {
        let steps = #"{"parse": {"format": "url", "from": "u"}}"#
        let records = [
            #"{"u": "//h", "path": "mine", "port": "80"}"#, #"{"path": "mine", "port": "80"}"#,
            #"{"u": null, "port": "x"}"#,
        ]
        let output = try Pipelines.run(steps: steps, records)
        #expect(output.batch["path"].map { Self.texts($0) } == ["", "mine"])
        #expect(output.batch["port"].map { Self.texts($0) } == ["NULL", "80"])
        #expect(output.batch["port"]?.type == .typed(.int8))
        #expect(output.faults.map(\.row) == [2] && output.faults[0].code == "invalid_cast")
        #expect(try Self.differences(steps, records).isEmpty)
    }

    @Test func aColumnThatHasATypeKeepsIt() throws {
        let steps =
            #"{"cast": {"n": "int8"}}, {"parse": {"format": "json", "from": "body"}}, {"derive": {"m": "n + 1"}}"#
        let records = [
            #"{"n": "1"}"#, #"{"n": "1", "body": "{\"n\": \"2\"}"}"#, #"{"body": "{\"n\": \"x\"}"}"#,
            #"{"n": "1", "body": "{}"}"#,
        ]
        let output = try Pipelines.run(steps: steps, records)
        #expect(Pipelines.rows(output.batch) == ["n=1 m=2", "n=2 m=3", "n=1 m=2"])
        #expect(output.faults.map(\.row) == [2] && output.faults[0].step == "steps[1].parse")
        #expect(try Self.differences(steps, records).isEmpty)
    }

    // MARK: flatten

    @Test func aNameIsTakenWhereTheRecordHasAValue() throws {
        let steps = #"{"flatten": ["geo"]}"#
        let records = [
            #"{"id": 1, "geo": {"lat": 1}}"#, #"{"id": 2, "geo_lat": null}"#,
            #"{"id": 3, "geo": {"lat": 3}, "geo_lat": 9}"#,
            #"{"id": 4, "geo": {"lat": 4}, "geo_lat": null}"#, #"{"id": 5, "geo": 7}"#,
        ]
        let output = try Pipelines.run(steps: steps, records)
        #expect(output.batch["geo_lat"].map { Self.texts($0) } == ["1", "NULL", "9", "4", "NULL"])
        #expect(output.batch["geo"].map { Self.texts($0) } == ["NULL", "NULL", #"{"lat":3}"#, "NULL", "7"])
        #expect(try Self.differences(steps, records).isEmpty)
    }

    @Test func whatIsNotOfTheColumnsTypeStaysNested() throws {
        let steps = #"{"cast": {"geo_lat": "float8"}}, {"flatten": ["geo"]}"#
        let records = [#"{"geo": {"lat": "48.5"}}"#, #"{"geo": {"lat": "north"}}"#, #"{"geo_lat": 1}"#]
        let output = try Pipelines.run(steps: steps, records)
        #expect(output.faults.isEmpty)
        #expect(
            Pipelines.rows(output.batch) == [
                "geo_lat=48.5 geo=NULL", #"geo_lat=NULL geo={"lat":"north"}"#, "geo_lat=1 geo=NULL",
            ])
        #expect(try Self.differences(steps, records).isEmpty)
    }

    // MARK: All steps

    private static let names = ["a", "b", "c", "a_b", "t", "n"]

    private static func value(_ random: inout SplitMix, depth: Int = 0) -> String {
        let scalars = [
            "null", "1", "-2.50", "true", #""x""#, #""7""#, #""""#, #""2026-03-01T10:00:00Z""#, #""{\"b\": 5}""#,
            #""{\"a\": null, \"n\": \"3\"}""#, #""a=1 n=2 b=x""#, #""//host:80/p?a=2&b=3""#, #""1,x""#, #""[1, 2]""#,
        ]
        guard depth < 2, Int.random(in: 0..<3, using: &random) == 0 else { return random.pick(scalars) }
        let count = Int.random(in: 0...3, using: &random)
        if Bool.random(using: &random) {
            let items = (0..<count).map { _ in value(&random, depth: depth + 1) }
            return "[\(items.joined(separator: ", "))]"
        }
        return object(&random, (0..<count).map { _ in random.pick(names + ["_x", "path", "port"]) }, depth: depth + 1)
    }

    private static func object(_ random: inout SplitMix, _ fields: [String], depth: Int) -> String {
        let members = fields.map { "\"\($0)\": \(value(&random, depth: depth))" }
        return "{\(members.joined(separator: ", "))}"
    }

    private static func step(_ random: inout SplitMix) -> String {
        let (a, b) = (random.pick(names), random.pick(names))
        let type = random.pick(["int8", "float8", "numeric", "text", "jsonb", "bool", "timestamptz"])
        let missing = #""missing": "quarantine""#
        return random.pick([
            #"{"parse": {"format": "json", "from": "\#(a)"}}"#, #"{"parse": {"format": "logfmt", "from": "\#(a)"}}"#,
            #"{"parse": {"format": "query_string", "from": "\#(a)"}}"#,
            #"{"parse": {"format": "url", "from": "\#(a)"}}"#,
            #"{"parse": {"format": "csv", "from": "\#(a)", "columns": ["n", "b"]}}"#,
            #"{"parse": {"format": "regex", "from": "\#(a)", "pattern": "(?<n>[0-9]+)|(?<t>.*)"}}"#,
            #"{"flatten": ["\#(a)"]}"#, #"{"flatten": ["a", "a_b"]}"#, #"{"explode": "\#(a)"}"#,
            #"{"explode": {"column": "\#(a)", "position": "n", "empty": "filter"}}"#,
            #"{"rename": {"\#(a)": "\#(b)"}}"#, #"{"rename": {"a": "b", "b": "c"}}"#, #"{"fill": {"\#(a)": 5}}"#,
            #"{"fill": {"\#(a)": "x"}}"#, #"{"derive": {"\#(a)": "\#(b)"}}"#,
            #"{"derive": {"\#(a)": "coalesce(\#(b), 'y') || 'z'"}}"#, #"{"derive": {"n": "\#(b)::numeric + 1"}}"#,
            #"{"derive": {"n": "10 / \#(b)::int8", "t": "n::text"}}"#, #"{"select": ["a", "b", "n", "t"]}"#,
            #"{"drop": ["\#(a)"]}"#, #"{"mask": {"\#(a)": "sha256"}}"#, #"{"cast": {"\#(a)": "\#(type)"}}"#,
            #"{"filter": "\#(a) is null or \#(b) is not null"}"#, #"{"expect": {"e": "\#(a) <> 'x'"}}"#,
            #"{"lookup": {"dataset": "known", "on": {"\#(a)": "key"}, "columns": {"length": "n"}}}"#,
            #"{"lookup": {"dataset": "known", "on": {"b": "key"}, "columns": {"length": "c"}, \#(missing)}}"#,
            #"{"route": [{"when": "\#(a) > '3'", "dataset": "r"}, {"when": "\#(b) is null", "dataset": "s"}]}"#,
        ])
    }

    /// Records of JSON, or of CSV, of which some are none.
    private static func frame(_ random: inout SplitMix) -> BatchFrame {
        if Bool.random(using: &random) {
            let records = (0..<6).map { _ in
                object(&random, names.filter { _ in Bool.random(using: &random) }, depth: 0)
            }
            return Pipelines.frame(.ndjson, records + ["[]"])
        }
        let cells = [
            "", "\"\"", "1", "-2.50", "x", "\"{\"\"b\"\": 5, \"\"n\"\": null}\"", "a=1 n=2", "true", "\"[1, 2]\"",
        ]
        let records = (0..<6).map { _ in names.map { _ in random.pick(cells) }.joined(separator: ",") }
        return Pipelines.frame(.csv, records + ["1,2"], header: names.joined(separator: ","))
    }

    /// Whatever steps that look at one record at a time do, a batch of records gives what each of them gives alone.
    @Test func recordsTogetherGiveWhatEachGivesAlone() throws {
        var random = SplitMix(seed: TestSeed.next())
        let seed = random.state
        var compared = 0
        for _ in 0..<10_000 where compared < 800 {
            let steps = (0..<Int.random(in: 1...5, using: &random)).map { _ in Self.step(&random) }
                .joined(separator: ", ")
            let frame = Self.frame(&random)
            do {
                let found = try Self.differences(steps, frame)
                #expect(found.isEmpty, "\(steps), seed \(seed):\n\(found.joined(separator: "\n"))")
                if !found.isEmpty { return }
                compared += 1
            } catch is FieldFaults {
                // Steps that do not go together are refused.
            }
        }
        #expect(compared == 800, "seed \(seed)")
    }
}
