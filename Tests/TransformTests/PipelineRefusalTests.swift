import Testing

@testable import Transform

/// Every mistake of a definition is named, with its path and, in an expression, its column.
@Suite struct PipelineRefusalTests {
    @Test func mistakesInExpressionsHavePathAndColumn() throws {
        #expect(
            try Pipelines.refusals(
                Pipelines.steps(
                    #"""
                    {"parse": {"format": "combined"}}, {"derive": {"a": "status +", "b": "statis = 1"}},
                    {"filter": "status"}, {"expect": {"ok": "bytes > 'x'"}}, {"cast": {"ts": "uuid"}}
                    """#)) == [
                    "steps[1].derive.a: syntax error at end of input (at column 9)",
                    "steps[1].derive.b: column \"statis\" does not exist (at column 1)",
                    "steps[2].filter: argument of filter must be type boolean, not type bigint (at column 1)",
                    "steps[3].expect.ok: invalid input syntax for type bigint: \"x\" (at column 9)",
                    "steps[4].cast.ts: cannot cast type timestamp with time zone to uuid",
                ])
    }

    @Test func mistakesOfShape() throws {
        let faults = try Pipelines.refusals(
            #"""
            {"source": 5, "steps": [{"parse": {"format": "xml"}}, {"cast": {"a": "int"}},
             {"filter": "a", "drop": ["b"]}, {"explode": 1}, {"select": []}, {"parse": {"format": "csv"}},
             {"mask": {"x": "rot13"}}],
             "target": {"mode": "merge"}, "on_error": "ignore", "extra": 1}
            """#)
        let paths = Set(faults.map { $0.prefix { $0 != ":" } })
        #expect(
            paths == [
                "source", "steps[0].parse.format", "steps[1].cast.a", "steps[2]", "steps[3].explode", "steps[4].select",
                "steps[5].parse.columns", "steps[6].mask.x", "target.mode", "target.dataset", "on_error", "extra",
            ])
    }

    @Test func closedSetsOfColumns() throws {
        #expect(
            try Pipelines.refusals(Pipelines.steps(#"{"select": ["a"]}, {"filter": "b = '1'"}"#))
                == ["steps[1].filter: column \"b\" does not exist (at column 1)"])
        #expect(
            try Pipelines.refusals(Pipelines.steps(#"{"parse": {"format": "common"}}, {"drop": ["agent"]}"#))
                == ["steps[1].drop[0]: column \"agent\" does not exist"])
        #expect(try Pipelines.refusals(Pipelines.steps(#"{"drop": ["agent"]}, {"filter": "b = '1'"}"#)).isEmpty)
        #expect(
            try Pipelines.refusals(
                Pipelines.steps(
                    #"{"parse": {"format": "regex", "from": "m", "pattern": "(?<x>.)"}}, {"filter": "b = x"}"#)
            ).isEmpty)
        #expect(
            try Pipelines.refusals(Pipelines.steps(#"{"derive": {"_batch": "1"}}"#))
                == ["steps[0].derive._batch: names that begin with _ are the platform's own"])
        #expect(
            try Pipelines.refusals(Pipelines.steps(#"{"parse": {"format": "regex", "pattern": "(?<x>"}}"#)).first?
                .hasPrefix("steps[0].parse.pattern: missing closing parenthesis") == true)
    }

    @Test(arguments: [
        (#"{"explode": ""}"#, "steps[0].explode: a column's name is not empty"),
        (
            #"{"cast": {"a": "int8"}}, {"explode": {"column": "a"}}"#,
            "steps[1].explode.column: column \"a\" holds no arrays"
        ),
        (#"{"explode": {"column": "a", "position": "a"}}"#, "steps[0].explode.position: is the array's column"),
        (
            #"{"explode": {"column": "a", "position": "_p"}}"#,
            "steps[0].explode.position: names that begin with _ are the platform's own"
        ),
        (#"{"explode": {"column": "a", "as": "b"}}"#, "steps[0].explode.as: unknown field"),
        (
            #"{"explode": {"column": "a", "empty": "x"}}"#,
            #"steps[0].explode.empty: expected one of "null", "filter", found "x""#
        ),
        (#"{"select": ["a"]}, {"explode": "b"}"#, "steps[1].explode: column \"b\" does not exist"),
        (#"{"dedupe": {"by": []}}"#, "steps[0].dedupe.by: names no column"),
        (#"{"dedupe": {"by": ["a", "a"]}}"#, "steps[0].dedupe.by: names a column twice"),
        (#"{"select": ["a"]}, {"dedupe": {"by": ["a", "b"]}}"#, "steps[1].dedupe.by[1]: column \"b\" does not exist"),
        (
            #"{"outliers": {"column": "a"}}"#,
            "steps[0].outliers.column: column \"a\" is not known to hold numbers: cast it first"
        ),
        (
            #"{"cast": {"a": "int8"}}, {"outliers": {"column": "a", "threshold": 0}}"#,
            "steps[1].outliers.threshold: expected a number above 0"
        ),
        (
            #"{"cast": {"a": "int8"}}, {"outliers": {"column": "a", "action": "drop"}}"#,
            #"steps[1].outliers.action: expected one of "quarantine", "null", "clip", found "drop""#
        ),
        (
            #"{"expect": {"a": "true"}, "max_failed": "101%"}"#,
            "steps[0].max_failed: expected a number of rows, or a share of them as \"5%\""
        ),
        (
            #"{"expect": {"a": "true"}, "max_failed": -1}"#,
            "steps[0].max_failed: expected a number of rows, or a share of them as \"5%\""
        ),
        (
            #"{"parse": {"format": "csv", "columns": ["a", "_b"]}}"#,
            "steps[0].parse.columns[1]: names that begin with _ are the platform's own"
        ),
        (#"{"parse": {"format": "url", "pattern": "x"}}"#, "steps[0].parse.pattern: goes with format regex only"),
        (
            #"{"parse": {"format": "syslog"}}, {"filter": "line = 'x'"}"#,
            "steps[1].filter: column \"line\" does not exist (at column 1)"
        ),
    ])
    func mistakesOfOneStep(_ steps: String, _ wanted: String) throws {
        #expect(try Pipelines.refusals(Pipelines.steps(steps)) == [wanted])
    }

    @Test func aLimitGoesWithExpectOnly() throws {
        let faults = try Pipelines.refusals(Pipelines.steps(#"{"filter": "true", "max_failed": 1}"#))
        #expect(faults.count == 1 && faults[0].hasPrefix("steps[0]: a step is an object with one of: parse, cast"))
    }

    @Test func aDeletingConditionGoesWithUpsert() throws {
        #expect(
            try Pipelines.refusals(
                #"{"source": "s", "target": {"dataset": "d", "mode": "append", "delete_when": "gone"}}"#)
                == ["target.delete_when: goes with mode upsert only"])
        #expect(
            try Pipelines.refusals(
                #"{"source": "s", "target": {"dataset": "d", "mode": "upsert", "delete_when": "gone + 1"}}"#)
                == ["target.delete_when: argument of DELETE WHEN must be type boolean, not type bigint (at column 1)"])
    }
}
