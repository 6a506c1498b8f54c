import Expressions
import Records
import Testing

/// Rows fail alone, and only where PostgreSQL would compute what fails.
@Suite struct EvaluationTests {
    static let numbers = Samples.cells(["a": ["6", "7", nil, "x"], "b": ["2", "0", "1", "1"]])

    @Test func aFaultMarksItsRowOnly() throws {
        #expect(
            try Samples.values("a / b::int8", over: Self.numbers) == [
                "3", "!division by zero", "NULL", "!invalid input syntax for type bigint: \"x\"",
            ])
    }

    @Test(arguments: [
        "case when b::int8 <> 0 then a::text end", "coalesce(a, (1 / b::int8)::text)",
        "b::int8 = 0 or a is null or length(a) >= 0 or 1 / 0 = 1", "b::int8 <> 0 and 1 / b::int8 > 5",
        "case when b = '0' then 'none' else (6 / b::int8)::text end",
    ])
    func branchesNotTakenDoNotFail(_ text: String) throws {
        let values = try Samples.values(text, over: Self.numbers)
        #expect(!values.contains { $0.hasPrefix("!") }, "\(values)")
    }

    @Test func aTakenBranchFails() throws {
        #expect(
            try Samples.values("case when b::int8 = 0 then 1 / b::int8 else 5 end", over: Self.numbers)
                == ["5", "!division by zero", "5", "5"])
    }

    @Test func untypedFieldsTakeTheTypeOfTheirContext() throws {
        let batch = Samples.cells(["n": ["10", "9", nil], "t": ["2024-01-31", "2023-12-31", "2024-02-01"]])
        #expect(try Samples.values("n > 9", over: batch) == ["true", "false", "NULL"])
        #expect(try Samples.values("n > '9'", over: batch) == ["false", "false", "NULL"])
        #expect(try Samples.values("n * 1.50", over: batch) == ["15.00", "13.50", "NULL"])
        #expect(try Samples.values("n || '!'", over: batch) == ["10!", "9!", "NULL"])
        #expect(try Samples.values("t::date + 1", over: batch) == ["2024-02-01", "2024-01-01", "2024-02-02"])
        #expect(try Samples.values("missing is null", over: batch) == ["true", "true", "true"])
    }

    @Test func jsonValuesKeepTheirKinds() throws {
        var variants = VariantColumn()
        variants.append(.int, payload: 42)
        variants.append(.string, placing: Array("x".utf8))
        variants.append(.json, placing: Array("{\"b\": [1, {\"c\": null}], \"aa\": \"\\u00e9\\n\"}".utf8))
        variants.append(.true)
        variants.append(.missing)
        let batch = RecordBatch(rows: Samples.rows(5), columns: [NamedColumn("v", Column(untyped: variants))])
        #expect(
            try Samples.values("v::text", over: batch) == [
                "42", "x", "{\"b\": [1, {\"c\": null}], \"aa\": \"\\u00e9\\n\"}", "true", "NULL",
            ])
        #expect(try Samples.values("v -> 'b' ->> 0", over: batch) == ["NULL", "NULL", "1", "NULL", "NULL"])
        #expect(try Samples.values("v ->> 'aa'", over: batch)[2] == "\u{e9}\n")
        #expect(try Samples.values("(v -> 'b')::text", over: batch)[2] == "[1, {\"c\": null}]")
        #expect(
            try Samples.values("jsonb_typeof(v)", over: batch) == ["number", "string", "object", "boolean", "NULL"])
    }

    @Test func faultsNameStepColumnAndRow() throws {
        let batch = RecordBatch(rows: [7, 9], columns: Samples.cells(["a": ["1", "x"]]).columns)
        let expression = try Expression.compile("a + 1", schema: ExpressionSchema(isOpen: true))
        var run = ExpressionRun(batch, step: "steps[2].derive")
        _ = run.evaluate(expression, column: "sum")
        #expect(
            run.faults == [
                RowFault(
                    row: 9, code: "invalid_cast", step: "steps[2].derive", column: "sum",
                    message: "invalid input syntax for type bigint: \"x\"")
            ])
        #expect(run.failedRows == [0, 1])
    }

    @Test func conditionsKeepOnlyTrue() throws {
        let batch = Samples.cells(["a": ["1", "2", nil]])
        let condition = try Expression.compileCondition(
            "a > 1", schema: ExpressionSchema(isOpen: true), purpose: "FILTER")
        var run = ExpressionRun(batch)
        #expect(run.mask(condition) == [0, 1, 0])
    }

    @Test func runawayPatternsAreStopped() throws {
        let batch = Samples.texts(["t": [String(repeating: "a", count: 40) + "!", "aa"]])
        let values = try Samples.values("t ~ '^(a+)+$'", over: batch)
        #expect(values[1] == "true")
        #expect(values[0] == "false" || values[0].contains("takes too much work"))
    }

    @Test func longResultsAreRefused() throws {
        #expect(try Samples.value("length(repeat('x', 1000000000))").contains("requested length too large"))
        #expect(try Samples.value("lpad('x', 1000000000)").contains("requested length too large"))
    }
}
