import JSON
import Records
import Testing

@testable import Transform

@Suite("Transform: routes")
struct RouteTests {
    private static let records = [
        #"{"n": 1, "s": 200}"#, #"{"n": 2, "s": 503}"#, #"{"n": 3}"#, #"{"n": 4, "s": 404}"#, #"{"n": 5, "s": "x"}"#,
        #"{"n": 6, "s": 500}"#,
    ]

    private static func run(_ steps: String) throws -> PipelineOutput {
        try Pipelines.run(Pipelines.steps(steps), Pipelines.frame(.ndjson, records))
    }

    @Test("The first branch that matches takes a row; NULL matches none; a row whose condition fails is rejected")
    func firstMatch() throws {
        let output = try Self.run(
            """
            {"route": [{"when": "s >= 500", "dataset": "errors"}, {"when": "s >= 400", "dataset": "warnings"}]},
            {"derive": {"late": "n * 10"}}
            """)
        #expect(output.routed.map(\.rows) == [[1, 5], [3]])
        #expect(Pipelines.rows(output.routed[0]) == ["n=2 s=503", "n=6 s=500"], "later steps are not for them")
        #expect(Pipelines.rows(output.batch) == ["n=1 s=200 late=10", "n=3 s=NULL late=30"])
        #expect(output.faults.map(\.row) == [4])
        #expect(output.faults[0].step == "steps[0].route")
        #expect(output.filtered.isEmpty)
    }

    @Test("Outputs are numbered in the order in which they are written; one that gets nothing is there")
    func numbers() throws {
        let text = Pipelines.steps(
            """
            {"route": [{"when": "n = 1", "dataset": "a"}, {"when": "n > 100", "dataset": "b"}]}, {"filter": "n <> 5"},
            {"route": [{"when": "n = 4", "dataset": "c"}]}
            """)
        let output = try Pipelines.run(text, Pipelines.frame(.ndjson, Self.records))
        #expect(output.outputs.map(\.rows) == [[1, 2, 5], [0], [], [3]])
        #expect(output.filtered == [4])
        let definition = try PipelineDefinition.decode(try .parse(text))
        #expect(definition.outputs.map(\.dataset) == ["d", "a", "b", "c"])
    }

    @Test("Mistakes are named by branch")
    func mistakes() throws {
        func refusals(_ steps: String) throws -> [String] { try Pipelines.refusals(Pipelines.steps(steps)) }
        #expect(try refusals(#"{"route": []}"#).first?.hasPrefix("steps[0].route: names no dataset") == true)
        #expect(try refusals(#"{"route": [{"when": "true"}]}"#).first?.hasPrefix("steps[0].route[0].dataset") == true)
        #expect(
            try refusals(#"{"filter": "true"}, {"route": [{"when": "a = ", "dataset": "x"}]}"#).first?
                .hasPrefix("steps[1].route[0].when: ") == true)
        #expect(
            try refusals(#"{"route": [{"when": "true", "dataset": "x", "copy": true}]}"#).first?
                .hasPrefix("steps[0].route[0].copy: unknown field") == true)
        let many = (0..<32).map { #"{"when": "n = \#($0)", "dataset": "d\#($0)"}"# }.joined(separator: ",")
        #expect(try refusals(#"{"route": [\#(many)]}"#) == ["steps: route to more than 31 places"])
    }

    @Test("Each record counts in one output, the first that has a row of it; the requests' counts add up")
    func shares() {
        func batch(_ rows: [Int32]) -> RecordBatch { RecordBatch(rows: rows) }
        // Record 2 has rows in both outputs, record 3 in none.
        let shares = RecordShares(records: 6, outputs: [batch([0, 2]), batch([1, 2, 2, 5]), batch([4])])
        #expect(shares.received == [3, 2, 1])
        #expect(shares.split([3, 1, 2, 4]) == [[3, 2], [1], [4]])
        #expect(
            (0..<3).map { ReceiptTally.received(ends: [2, 2, 6], shares, output: $0) } == [
                [1, 0, 2], [1, 0, 1], [0, 0, 1],
            ])
        let single = RecordShares(records: 6, outputs: [batch([1])])
        #expect(single.received == [6])
        #expect(single.split([3, 1]) == [[3, 1]])
        #expect(ReceiptTally.received(ends: [2, 6], single, output: 0) == nil)
    }
}
