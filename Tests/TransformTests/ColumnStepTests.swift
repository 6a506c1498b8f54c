import JSON
import Records
import Testing

@testable import Transform

/// `flatten`, `rename`, `fill` and what parsing adds: nothing is lost where names collide.
@Suite struct ColumnStepTests {
    @Test func flattenLosesNothing() throws {
        let long = String(repeating: "n", count: 62)
        let output = try Pipelines.run(
            steps: #"{"flatten": ["p"]}"#,
            [
                #"{"p": {"a": 1, "b": {"c": [1]}}, "p_a": "mine"}"#, #"{"p": 5}"#, #"{"p": "{\"a\": 2, \"z\": 3}"}"#,
                #"{"p": {"_id": 1, "\#(long)": 2, "": 3, "a": null}}"#, #"{"p": [{"a": 1}]}"#, #"{"p": "{broken"}"#,
                #"{"p": null}"#, #"{"p": {}}"#,
            ])
        let rows = Pipelines.rows(output.batch)
        #expect(
            rows == [
                #"p_a=mine p_b={"c": [1]} p_z=NULL p={"a":1}"#, "p_a=NULL p_b=NULL p_z=NULL p=5",
                "p_a=2 p_b=NULL p_z=3 p=NULL",
                #"p_a=NULL p_b=NULL p_z=NULL p={"_id":1,"":3,"\#(long)":2}"#,
                #"p_a=NULL p_b=NULL p_z=NULL p=[{"a": 1}]"#,
                "p_a=NULL p_b=NULL p_z=NULL p={broken", "p_a=NULL p_b=NULL p_z=NULL p=NULL",
                "p_a=NULL p_b=NULL p_z=NULL p=NULL",
            ])
        #expect(output.faults.isEmpty)
    }

    @Test func flattenOfManyKeysAndDeepNesting() throws {
        let keys = (0..<500).map { #""k\#($0)": \#($0)"# }.joined(separator: ", ")
        let deep = String(repeating: #"{"d":"#, count: 100) + "1" + String(repeating: "}", count: 100)
        let output = try Pipelines.run(
            steps: #"{"flatten": ["p", "q"]}, {"flatten": ["q_d"]}"#, [#"{"p": {\#(keys)}, "q": \#(deep)}"#])
        #expect(output.batch.columns.count == 501)
        #expect(Pipelines.rows(output.batch)[0].hasPrefix("p_k0=0 p_k1=1 "))
        #expect(output.batch.columns.last?.name == "q_d_d")
    }

    @Test func twoFlattenedColumnsDoNotMeet() throws {
        let output = try Pipelines.run(
            steps: #"{"flatten": ["a", "a_b"]}"#, [#"{"a": {"b_c": 1}, "a_b": {"c": 2, "d": 3}}"#])
        #expect(Pipelines.rows(output.batch) == [#"a_b_c=1 a_b_d=3 a_b={"c":2}"#])
    }

    @Test func renameOfRecordsThatHaveEither() throws {
        let output = try Pipelines.run(
            steps: #"{"rename": {"userId": "user_id"}}"#,
            [
                #"{"userId": 1, "x": 1}"#, #"{"user_id": 2}"#, #"{"userId": 3, "user_id": 4}"#,
                #"{"userId": null, "user_id": 5}"#,
            ])
        #expect(Pipelines.rows(output.batch) == ["user_id=1 x=1", "user_id=2 x=NULL", "user_id=5 x=NULL"])
        #expect(output.faults.map(\.row) == [2] && output.faults[0].code == "column_exists")
        #expect(output.faults[0].message == "there is a column \"user_id\" already")

        let swapped = try Pipelines.run(steps: #"{"rename": {"a": "b", "b": "a"}}"#, [#"{"a": 1, "b": 2}"#])
        #expect(Pipelines.rows(swapped.batch) == ["b=1 a=2"])

        let typed = try Pipelines.run(
            steps: #"{"cast": {"a": "int8"}}, {"rename": {"a": "b"}}"#,
            [#"{"a": "1"}"#, #"{"b": "2"}"#, #"{"b": "x"}"#])
        #expect(Pipelines.rows(typed.batch) == ["b=1", "b=2"])
        #expect(typed.faults.map(\.code) == ["invalid_cast"] && typed.batch["b"]?.type == .typed(.int8))
    }

    @Test func fillOfTypedAndUntyped() throws {
        let output = try Pipelines.run(
            steps: #"{"cast": {"n": "numeric"}}, {"fill": {"n": 1.50, "s": "x", "b": true, "new": 7}}"#,
            [#"{"n": "2"}"#, #"{"s": "", "b": false}"#])
        #expect(Pipelines.rows(output.batch) == ["n=2 s=x b=true new=7", "n=1.50 s= b=false new=7"])
        #expect(
            try Pipelines.refusals(Pipelines.steps(#"{"cast": {"n": "int8"}}, {"fill": {"n": "x", "m": [1]}}"#)) == [
                "steps[1].fill.n: invalid input syntax for type bigint: \"x\"",
                "steps[1].fill.m: a value to fill in is a string, a number or a boolean",
            ])
    }

    @Test func selectOfWhatNoRecordHas() throws {
        let output = try Pipelines.run(steps: #"{"select": ["b", "a"]}"#, [#"{"a": 1, "_x": 2}"#])
        #expect(Pipelines.rows(output.batch) == ["b=NULL a=1"] && output.batch.extra == nil)
    }

    @Test func fieldsOfParsedJSONThatNoColumnMayHaveAreKept() throws {
        let output = try Pipelines.run(
            steps: #"{"parse": {"format": "json", "from": "m"}}"#,
            [#"{"_a": 1, "m": "{\"_b\": 2, \"c\": 3}"}"#, #"{"m": "{\"_b\": 4}"}"#, #"{"_a": 5, "m": "{}"}"#])
        guard let extra = output.batch.extra, case .bytes(let texts) = extra.storage else {
            return #expect(Bool(false))
        }
        #expect((0..<3).map { texts.string($0) } == [#"{"_a":1,"_b":2}"#, #"{"_b":4}"#, #"{"_a":5}"#])
    }
}
