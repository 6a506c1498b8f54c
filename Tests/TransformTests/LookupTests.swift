import JSON
import Records
import Testing

@testable import Transform

@Suite("Transform: lookups, without a database")
struct LookupTests {
    private static let schema = LookupSchema([
        "countries": ["code": .text, "number": .int8, "name": .text, "since": .date, "share": .float8]
    ])

    private static func compile(_ steps: String) throws -> CompiledPipeline {
        try PipelineCompiler(lookups: schema).compile(.parse(Pipelines.steps(steps))).pipeline
    }

    private static func refusals(_ steps: String) throws -> [String] {
        do {
            _ = try compile(steps)
            return []
        } catch let error as FieldFaults {
            return error.faults.map(\.description)
        }
    }

    private static func lookup(_ rest: String = "") -> String {
        #"{"lookup": {"dataset": "countries", "on": {"c": "code"}, "columns": {"name": "country"}\#(rest)}}"#
    }

    /// Runs a pipeline with one lookup, for which the keys of `found` are there with these names.
    private static func run(
        _ steps: String, _ records: [String], _ found: [(key: Int32, name: String)]
    ) throws -> (asked: [String], output: PipelineOutput) {
        let (batch, faults) = try RecordDecoder().decode(Pipelines.frame(.ndjson, records))
        var run = PipelineRun(try compile(steps), batch, faults: faults)
        guard let request = try run.advance() else { return ([], run.output) }
        let keys = (0..<request.count).map { row in
            request.keys.map { TextOutput.texts(of: $0.values).string(row) }.joined(separator: "/")
        }
        run.supply(
            LookupAnswer(
                to: request, found: found.map(\.key), columns: [Column(.text, .bytes(ByteColumn(found.map(\.name))))]))
        #expect(try run.advance() == nil)
        return (keys, run.output)
    }

    private static let records = [
        #"{"c": "de", "n": 1}"#, #"{"c": "fr", "n": 2}"#, #"{"n": 3}"#, #"{"c": "de", "n": 4}"#,
        #"{"c": "xx", "n": 5}"#,
    ]

    @Test("Each key is asked for once; what is found is joined, the rest is NULL; steps before and after run once")
    func joins() throws {
        let steps = #"{"filter": "n <> 2"}, \#(Self.lookup()), {"derive": {"u": "upper(country)"}}"#
        let (asked, output) = try Self.run(steps, Self.records, [(0, "Germany")])
        #expect(asked == ["de", "xx"])
        #expect(
            Pipelines.rows(output.batch) == [
                "c=de n=1 country=Germany u=GERMANY", "c=NULL n=3 country=NULL u=NULL",
                "c=de n=4 country=Germany u=GERMANY", "c=xx n=5 country=NULL u=NULL",
            ])
        #expect(output.filtered == [1])
        #expect(output.faults.isEmpty)
    }

    @Test("Rows without a match are quarantined where that is asked for, and so are keys of another type")
    func missing() throws {
        let steps = Self.lookup(#", "missing": "quarantine""#)
        let (_, output) = try Self.run(steps, Self.records, [(1, "France"), (0, "Germany")])
        #expect(Pipelines.rows(output.batch).map { $0.suffix(7) } == ["Germany", "=France", "Germany"])
        #expect(output.faults.map(\.row) == [2, 4])
        #expect(output.faults.map(\.code) == ["lookup_missing", "lookup_missing"])
        #expect(output.faults[0].step == "steps[0].lookup")
        let numbers =
            #"{"lookup": {"dataset": "countries", "on": {"n": "number", "c": "code"}, "columns": {"name": "x"}}}"#
        let records = [#"{"n": "7", "c": "a"}"#, #"{"n": 7, "c": "a"}"#, #"{"n": 1.5, "c": "a"}"#, #"{"n": 7}"#]
        let (asked, typed) = try Self.run(numbers, records, [(0, "seven")])
        #expect(asked == ["7/a"])
        #expect(Pipelines.rows(typed.batch) == ["n=7 c=a x=seven", "n=7 c=a x=seven", "n=7 c=NULL x=NULL"])
        #expect(typed.faults.map(\.row) == [2])
        #expect(typed.faults.first?.column == "n")
    }

    @Test("The columns' types are known to what comes after, and mistakes have their places")
    func checks() throws {
        #expect(try Self.refusals(Self.lookup()) == [])
        let wrong = #"\#(Self.lookup()), {"derive": {"x": "country + 1"}}"#
        #expect(try Self.refusals(wrong).first?.hasPrefix("steps[1].derive.x: ") == true)
        func on(_ on: String, _ columns: String = #"{"name": "x"}"#, before: String = "") throws -> [String] {
            try Self.refusals(#"\#(before){"lookup": {"dataset": "countries", "on": \#(on), "columns": \#(columns)}}"#)
        }
        #expect(
            try on(#"{"c": "kode"}"#) == [#"steps[0].lookup.on.c: dataset "countries" has no column "kode""#])
        #expect(
            try on(#"{"c": "code"}"#, #"{"nom": "x", "name": "_x"}"#) == [
                #"steps[0].lookup.columns.nom: dataset "countries" has no column "nom""#,
                "steps[0].lookup.columns.name: names that begin with _ are the platform's own",
            ])
        #expect(try on("{}") == ["steps[0].lookup.on: is empty"])
        let cast = #"{"cast": {"c": "float8"}}, "#
        #expect(
            try on(#"{"c": "number"}"#, before: cast).first?.hasPrefix("steps[1].lookup.on.c: type double precision")
                == true)
        #expect(try on(#"{"c": "number"}"#, before: #"{"cast": {"c": "text"}}, "#) == [])
        #expect(try on(#"{"d": "number"}"#, before: #"{"select": ["c"]}, "#).count == 1)
        let other = #"{"lookup": {"dataset": "nowhere", "on": {"c": "code"}, "columns": {"name": "x"}}}"#
        #expect(try Self.refusals(other) == [#"steps[0].lookup.dataset: dataset "nowhere" does not exist"#])
        #expect(
            try Self.refusals(Self.lookup(#", "missing": "drop""#)).first?.hasPrefix("steps[0].lookup.missing") == true)
    }

    @Test("What is looked up decides where rows go")
    func routes() throws {
        let steps = #"\#(Self.lookup()), {"route": [{"when": "country = 'Germany'", "dataset": "german"}]}"#
        let (_, output) = try Self.run(steps, Self.records, [(0, "Germany"), (1, "France")])
        #expect(output.routed.map(\.rows) == [[0, 3]])
        #expect(output.batch.rows == [1, 2, 4])
    }
}
