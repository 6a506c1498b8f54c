import JSON
import Testing

@testable import Analytics

@Suite struct RollupDefinitionTests {
    private static let columns = ["at": "timestamptz", "day": "date", "who": "text", "ms": "float8", "n": "int8"]
        .sorted { $0.key < $1.key }
        .map { RollupColumn(datasetID: 3, name: $0.key, type: $0.value, collation: nil) }

    private static func definition(_ changes: [(String, JSONValue)] = []) throws -> RollupDefinition {
        var object = JSONObject([
            ("dataset", "web"), ("time", ["column": "at", "grain": "minute"]), ("measures", ["hits": "count()"]),
        ])
        for (name, value) in changes { object[name] = value }
        return try RollupDefinition(JSONFields(.object(object)))
    }

    private static func faults(_ changes: [(String, JSONValue)]) -> [String] {
        do {
            let definition = try definition(changes)
            _ = try RollupPlan(definition, columns: columns, datasetID: 3)
            return []
        } catch let faults as FieldFaults {
            return faults.faults.map(\.path)
        } catch {
            return ["\(error)"]
        }
    }

    @Test(arguments: [
        ("count()", RollupMeasure.Function.count, String?.none, Double?.none), ("count( ms )", .count, "ms", nil),
        ("sum(größe)", .sum, "größe", nil), (#"max("a ""b"", c")"#, .max, #"a "b", c"#, nil),
        ("quantile(ms,0.5)", .quantile, "ms", 0.5), (#" quantile("x y", 1)"#, .quantile, "x y", 1),
    ])
    func measuresAreRead(_ text: String, _ function: RollupMeasure.Function, _ column: String?, _ fraction: Double?)
        throws
    {
        let measure = try RollupMeasure(text)
        #expect(measure.function == function && measure.column == column && measure.fraction == fraction)
    }

    @Test(arguments: [
        "", "sum", "sum()", "sum(ms", "sum ms)", "median(ms)", "sum(a, b)", "quantile(ms)", "quantile(ms, 1.1)",
        "quantile(ms, nan)", "quantile(ms, 0.5, 2)", "sum(a b)", #"sum("a)"#, "sum(a); drop table x", "SUM(a)",
        #"sum("a"b)"#, "sum(a-b)",
    ])
    func whatIsNoMeasureSaysSo(_ text: String) {
        #expect(throws: RollupMeasure.Fault.self) { try RollupMeasure(text) }
    }

    @Test func aDefinitionIsReadBackAsItWasPut() throws {
        let definition = try Self.definition([
            ("dimensions", ["who"]), ("measures", ["p": "quantile(ms, 0.9)", "b": "sum(n)", "a": "count()"]),
        ])
        #expect(definition.measures.map(\.name) == ["a", "b", "p"])
        #expect(try RollupDefinition(stored: definition.json.serialized()) == definition)
    }

    @Test func everyFaultHasItsPlace() throws {
        #expect(Self.faults([]) == [])
        #expect(Self.faults([("dimensions", ["who", "who"])]) == ["dimensions"])
        #expect(Self.faults([("dimensions", ["hits"])]) == ["dimensions"])
        #expect(Self.faults([("measures", ["time": "count()"])]) == ["measures.time"])
        #expect(Self.faults([("measures", ["A": "count()"])]) == ["measures.A"])
        #expect(Self.faults([("measures", [:])]) == ["measures"])
        #expect(Self.faults([("measures", ["a": "sum(who)", "b": "max(gone)"])]) == ["measures.a", "measures.b"])
        #expect(Self.faults([("dimensions", ["who", "gone"])]) == ["dimensions[1]"])
        #expect(Self.faults([("time", ["column": "who", "grain": "minute"])]) == ["time.column"])
        #expect(Self.faults([("time", ["column": "day", "grain": "hour"])]) == ["time.grain"])
        #expect(Self.faults([("time", ["column": "day", "grain": "day"])]) == [])
        #expect(Self.faults([("time", ["column": "at", "grain": "fortnight"])]) == ["time.grain"])
        #expect(Self.faults([("more", true)]) == ["more"])
    }

    @Test func measuresOfAColumnShareWhatIsKept() throws {
        let definition = try Self.definition([
            (
                "measures",
                [
                    "a": "avg(ms)", "b": "stddev(ms)", "c": "count(ms)", "d": "stddev(n)", "p": "quantile(ms, 0.5)",
                    "q": "quantile(ms, 0.99)",
                ]
            )
        ])
        let plan = try RollupPlan(definition, columns: Self.columns, datasetID: 3)
        #expect(plan.states.map(\.kind) == [.count, .sum, .m2, .count, .sum, .sumsq, .sketch])
        #expect(plan.states[2].count == 1 && plan.states[2].sum == 2)
        #expect(plan.states[5].count == 4 && plan.states[5].sum == 5)
    }

    /// By the calendar: a bucket of `coarse` begins where one of `fine` does, and ends where one ends.
    @Test func coarserBucketsAreMadeOfWholeOnes() {
        typealias Grain = RollupGrain
        for coarse in Grain.allCases {
            for fine in Grain.allCases where coarse.seconds < fine.seconds { #expect(!coarse.merges(fine)) }
            #expect(coarse.merges(coarse))
            #expect(coarse.merges(.second), "\(coarse)")
        }
        #expect(!Grain.month.merges(.week) && !Grain.year.merges(.week) && !Grain.quarter.merges(.week))
        #expect(Grain.week.merges(.day) && Grain.quarter.merges(.month) && Grain.year.merges(.quarter))
    }
}
