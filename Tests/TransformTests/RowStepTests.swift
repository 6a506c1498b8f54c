import JSON
import Records
import Testing

@testable import Transform

/// Steps that change how many rows there are: every record is in exactly one of rows, filtered, duplicates, quarantine.
@Suite struct RowStepTests {
    private func check(_ output: PipelineOutput, records: Int, sourceLocation: SourceLocation = #_sourceLocation) {
        let all =
            Array(Set(output.batch.rows)) + output.filtered + output.duplicates + Array(Set(output.faults.map(\.row)))
        #expect(all.sorted() == (0..<Int32(records)).map { $0 }, sourceLocation: sourceLocation)
        for named in output.batch.columns {
            #expect(named.column.count == output.batch.rowCount, sourceLocation: sourceLocation)
        }
    }

    // MARK: explode

    private static let orders = [
        #"{"id": 1, "items": [1, "a", null, true, -2.50, {"n": [1, "]"]}, [2]]}"#, #"{"id": 2, "items": []}"#,
        #"{"id": 3}"#,
        #"{"id": 4, "items": null}"#, #"{"id": 5, "items": "[1]"}"#, #"{"id": 6, "items": {"a": 1}}"#,
        #"{"id": 7, "items": [ "x,\"]" , [ ] ]}"#,
    ]

    @Test func explodesArraysOfAnything() throws {
        let output = try Pipelines.run(
            steps: #"{"explode": {"column": "items", "position": "line"}}"#, Self.orders)
        #expect(
            Pipelines.rows(output.batch) == [
                "id=1 items=1 line=1", "id=1 items=a line=2", "id=1 items=NULL line=3", "id=1 items=true line=4",
                "id=1 items=-2.50 line=5", #"id=1 items={"n": [1, "]"]} line=6"#, "id=1 items=[2] line=7",
                "id=2 items=NULL line=NULL", "id=3 items=NULL line=NULL", "id=4 items=NULL line=NULL",
                #"id=7 items=x,"] line=1"#, "id=7 items=[ ] line=2",
            ])
        #expect(output.faults.map(\.code) == ["not_an_array", "not_an_array"])
        #expect(output.faults.map(\.row) == [4, 5] && output.faults[0].column == "items")
        check(output, records: 7)

        let skipping = try Pipelines.run(
            steps: #"{"explode": {"column": "items", "empty": "filter"}}, {"select": ["id"]}"#, Self.orders)
        #expect(skipping.batch.rows == [0, 0, 0, 0, 0, 0, 0, 6, 6] && skipping.filtered == [1, 2, 3])
        check(skipping, records: 7)
    }

    @Test func explodesTextThatIsJSON() throws {
        let deep = String(repeating: "[", count: 200) + String(repeating: "]", count: 200)
        let output = try Pipelines.run(
            steps: #"{"parse": {"format": "regex", "pattern": "(?<a>.*)"}}, {"explode": "a"}"#,
            lines: [#"[1, 2]"#, "[1", " [ ] ", "null", "7", deep, #"[1],"v":[2]"#])
        #expect(Pipelines.rows(output.batch) == ["a=1", "a=2", "a=NULL", "a=NULL"])
        #expect(output.batch.rows == [0, 0, 2, 3])
        #expect(output.faults.map(\.row).sorted() == [1, 4, 5, 6])
        check(output, records: 7)
    }

    @Test func rowsOfARecordStandOrFallTogether() throws {
        let records = [
            #"{"id": 1, "n": ["1", "2"]}"#, #"{"id": 2, "n": ["3", "x", "4", "y"]}"#, #"{"id": 3, "n": ["5", "-1"]}"#,
            #"{"id": 4, "n": ["-1", "-2"]}"#, #"{"id": 5, "n": ["7", "0"]}"#,
        ]
        let output = try Pipelines.run(
            steps:
                #"{"explode": "n"}, {"cast": {"n": "int8"}}, {"filter": "n >= 0"}, {"derive": {"q": "10 / n"}}"#,
            records)
        #expect(Pipelines.rows(output.batch) == ["id=1 n=1 q=10", "id=1 n=2 q=5", "id=3 n=5 q=2"])
        #expect(output.filtered == [3])
        #expect(output.faults.map(\.row) == [1, 1, 4])
        #expect(output.faults.map(\.code) == ["invalid_cast", "invalid_cast", "division_by_zero"].map { code in code })
        check(output, records: 5)
    }

    @Test func explosionsAreBounded() throws {
        func zeros(_ count: Int) -> String { "[\(Array(repeating: "0", count: count).joined(separator: ","))]" }
        let many = #"{"a": \#(zeros(ExplodeStep.elementLimit + 1))}"#
        let wide = #"{"a": \#(zeros(2_000)), "t": "\#(String(repeating: "x", count: 40_000))"}"#
        let output = try Pipelines.run(steps: #"{"explode": "a"}"#, [many, #"{"a": [1]}"#, wide, #"{"a": [2]}"#])
        #expect(output.batch.rows == [1, 3])
        #expect(output.faults.map(\.code) == ["too_many_rows", "too_many_rows"])
        check(output, records: 4)
    }

    @Test func explodedObjectsFlatten() throws {
        let output = try Pipelines.run(
            steps: #"{"explode": "items"}, {"flatten": ["items"]}, {"cast": {"items_n": "int8"}}"#,
            [#"{"id": 1, "items": [{"sku": "a", "n": 1}, {"sku": "b", "n": "2"}]}"#])
        #expect(Pipelines.rows(output.batch) == ["id=1 items_sku=a items_n=1", "id=1 items_sku=b items_n=2"])
    }

    // MARK: dedupe

    @Test func ofEqualKeysOneStays() throws {
        let records = [
            #"{"id": 1, "k": "a", "n": 1}"#, #"{"id": 1, "k": "a", "n": 2}"#, #"{"id": "1", "k": "a", "n": 3}"#,
            #"{"id": 1, "n": 4}"#, #"{"id": 1, "n": 5}"#, #"{"id": 1, "k": "b", "n": 6}"#,
            #"{"id": 1, "k": "a", "n": 7}"#,
        ]
        let first = try Pipelines.run(steps: #"{"dedupe": {"by": ["id", "k"]}}, {"select": ["n"]}"#, records)
        #expect(Pipelines.rows(first.batch) == ["n=1", "n=4", "n=5", "n=6"] && first.duplicates == [1, 2, 6])
        check(first, records: 7)
        let last = try Pipelines.run(
            steps: #"{"dedupe": {"by": ["id", "k"], "keep": "last"}}, {"select": ["n"]}"#, records)
        #expect(Pipelines.rows(last.batch) == ["n=4", "n=5", "n=6", "n=7"] && last.duplicates == [0, 1, 2])
        check(last, records: 7)
    }

    @Test func equalAsPostgresHasIt() throws {
        let records = [
            #"{"d": "1.0", "f": "0", "t": "2026-01-01T00:00:00Z"}"#,
            #"{"d": "1.00", "f": "-0", "t": "2026-01-01 01:00+01"}"#,
            #"{"d": "1.01", "f": "NaN", "t": "2026-01-01T00:00:00Z"}"#,
            #"{"d": "1.010", "f": "nan", "t": "2026-01-01"}"#,
            #"{"d": "10", "f": "1", "t": "2026-01-01"}"#, #"{"d": "1", "f": "1", "t": "2026-01-01"}"#,
        ]
        let output = try Pipelines.run(
            steps:
                #"{"cast": {"d": "numeric", "f": "float8", "t": "timestamptz"}}, {"dedupe": {"by": ["d", "f", "t"]}}"#,
            records)
        #expect(output.duplicates == [1, 3])
        check(output, records: 6)
    }

    @Test func aRecordIsADuplicateWhenAllItsRowsAre() throws {
        let output = try Pipelines.run(
            steps: #"{"explode": "k"}, {"dedupe": {"by": ["k"]}}, {"filter": "k <> 'z'"}"#,
            [#"{"k": ["a", "b", "a"]}"#, #"{"k": ["b", "c"]}"#, #"{"k": ["a", "c"]}"#, #"{"k": ["z", "a"]}"#])
        #expect(output.batch.rows == [0, 0, 1] && output.duplicates == [2] && output.filtered == [3])
        check(output, records: 4)
    }

    @Test func manyKeys() throws {
        var generator = SplitMix(seed: 3)
        let keys = (0..<20_000).map { _ in Int.random(in: 0..<3_000, using: &generator) }
        let output = try Pipelines.run(steps: #"{"dedupe": {"by": ["k"]}}"#, keys.map { #"{"k": \#($0)}"# })
        var seen: Set<Int> = []
        let wanted = keys.indices.filter { seen.insert(keys[$0]).inserted }.map { Int32($0) }
        #expect(output.batch.rows == wanted)
        check(output, records: 20_000)
    }

    // MARK: outliers

    private func outliers(_ options: String, _ values: [String], type: String = "float8") throws -> PipelineOutput {
        let records = values.map { value in
            let parts = value.split(separator: "@")
            return parts.count == 2
                ? #"{"x": "\#(parts[0])", "g": "\#(parts[1])"}"# : value == "null" ? "{}" : #"{"x": "\#(value)"}"#
        }
        return try Pipelines.run(
            steps: #"{"cast": {"x": "\#(type)"}}, {"outliers": {"column": "x", \#(options)}}"#, records)
    }

    /// Bounds as Python's `statistics` gives them: mean 11/7, deviation 3.73…; quartiles 0 and 0.5.
    @Test func boundsOfBothMethods() throws {
        let values = ["0", "0", "0", "0", "0", "1", "10"]
        #expect(try outliers(#""method": "zscore", "threshold": 2.2"#, values).faults.map(\.row) == [6])
        #expect(try outliers(#""method": "zscore", "threshold": 2.3"#, values).faults.isEmpty)
        #expect(try outliers(#""method": "zscore""#, values).faults.isEmpty)
        let output = try outliers(#""method": "iqr""#, values)
        #expect(output.faults.map(\.row) == [6] && output.faults[0].code == "outlier")
        #expect(output.faults[0].message == "10 is not within -0.75 to 1.25")
        #expect(output.faults[0].step == "steps[1].outliers" && output.faults[0].column == "x")
        check(output, records: 7)
        #expect(try outliers(#""method": "iqr", "threshold": 0.9"#, values).faults.map(\.row) == [5, 6])
    }

    @Test(arguments: [
        ("int8", ["1", "2", "3", "4", "100", "-100", "null"], "-1", "6"),
        ("numeric", ["1", "2", "3", "4", "100", "-1e400", "null"], "-1", "6"),
        ("float8", ["1", "2", "3", "4", "NaN", "-Infinity", "null"], "-0.5", "5.5"),
    ])
    func clipsAndNulls(_ type: String, _ values: [String], _ low: String, _ high: String) throws {
        let clipped = try outliers(#""method": "iqr", "threshold": 1, "action": "clip""#, values, type: type)
        let rows = Pipelines.rows(clipped.batch)
        #expect(rows[..<4] == ["x=1", "x=2", "x=3", "x=4"] && rows[6] == "x=NULL", "\(rows)")
        #expect(clipped.batch["x"]?.type == .typed(ColumnType(rawValue: type)!))
        let nulled = try outliers(#""method": "iqr", "threshold": 1, "action": "null""#, values, type: type)
        #expect(Pipelines.rows(nulled.batch)[4...] == ["x=NULL", "x=NULL", "x=NULL"])
        check(nulled, records: 7)
        if type == "float8" { #expect(rows[4...5] == ["x=NaN", "x=0.25"], "\(rows)") }
    }

    @Test(arguments: ["float8", "numeric"])
    func clippingBringsInfinitiesToTheBoundsAndLeavesNaN(_ type: String) throws {
        let values = ["1", "2", "3", "4", "NaN", "Infinity", "-Infinity"]
        let clipped = try outliers(#""method": "iqr", "threshold": 1, "action": "clip""#, values, type: type)
        #expect(Pipelines.rows(clipped.batch)[4...] == ["x=NaN", "x=4.75", "x=0.25"])
        #expect(try outliers(#""method": "iqr", "threshold": 1"#, values, type: type).faults.map(\.row) == [4, 5, 6])
    }

    @Test func groupsHaveBoundsOfTheirOwn() throws {
        let values = ["1@a", "2@a", "3@a", "100@a", "99@b", "100@b", "101@b", "5"]
        let output = try outliers(#""method": "iqr", "by": ["g"], "threshold": 0.5"#, values)
        #expect(output.faults.map(\.row) == [3])
        check(output, records: 8)
    }

    @Test func equalValuesHaveNoOutliers() throws {
        let values = Array(repeating: "0.1", count: 10)
        for method in ["zscore", "iqr"] {
            #expect(try outliers(#""method": "\#(method)", "threshold": 0.1"#, values).faults.isEmpty)
        }
        #expect(try outliers(#""method": "zscore""#, ["7"]).faults.isEmpty)
        #expect(try outliers(#""method": "zscore""#, ["null"]).faults.isEmpty)
        #expect(try outliers(#""method": "iqr""#, []).faults.isEmpty)
    }

    // MARK: expect with a limit

    private static let amounts = ["1", "-1", "x", "4", "5", "6", "7", "8", "9", "-2"].map { #"{"a": "\#($0)"}"# }

    @Test(arguments: [
        ("2", true), ("3", false), (#""20%""#, true), (#""29.9999%""#, true), (#""30%""#, false), ("0", true),
    ])
    func aBatchMayFail(_ limit: String, _ fails: Bool) throws {
        let steps = #"{"expect": {"positive": "a::int8 > 0"}, "max_failed": \#(limit)}"#
        if fails {
            let failure = try #require(throws: BatchFailure.self) { try Pipelines.run(steps: steps, Self.amounts) }
            #expect(failure.code == "too_many_failed" && failure.step == "steps[0].expect")
            let shown = limit.filter { $0 != "\"" }
            #expect(
                failure.message == "3 of 10 rows fail, more than max_failed \(shown); positive: 3")
            #expect(failure.faults.map(\.row).sorted() == [1, 2, 9])
        } else {
            check(try Pipelines.run(steps: steps, Self.amounts), records: 10)
        }
    }

    @Test func nothingFailsOfNothing() throws {
        let steps = #"{"filter": "false"}, {"expect": {"e": "a is null"}, "max_failed": "0%"}"#
        check(try Pipelines.run(steps: steps, Self.amounts), records: 10)
    }
}
