import Testing

@testable import Records

@Suite struct ColumnNameTests {
    @Test(
        arguments: [
            "a", "A", "é", "a\"b", "a b", "select", "CTID", "ctid ", "oid", " ", "a_", "\u{301}",
            String(repeating: "x", count: 63), String(repeating: "é", count: 31),
        ])
    func good(_ name: String) {
        #expect(ColumnName.fault(name) == nil)
    }

    @Test(
        arguments: [
            "", "_", "_a", "a\0", "ctid", "xmin", "xmax", "cmin", "cmax", "tableoid",
            String(repeating: "x", count: 64), String(repeating: "é", count: 32),
        ])
    func bad(_ name: String) {
        #expect(ColumnName.fault(name) != nil)
    }

    @Test func columnsAreFoundByBytes() {
        let (composed, decomposed) = ("caf\u{E9}", "cafe\u{301}")
        #expect(composed == decomposed, "as Swift has it")
        #expect(!ColumnName.isSame(composed, decomposed))
        #expect(ColumnName.isSame("caf" + "\u{E9}", composed))
        let batch = RecordBatch(
            rows: [0],
            columns: [
                NamedColumn(decomposed, Column(.int8, .int64([1]))), NamedColumn(composed, Column(.int8, .int64([2]))),
            ])
        #expect(batch.index(of: composed) == 1)
        #expect(batch.index(of: decomposed) == 0)
        #expect(batch.index(of: "cafe") == nil)
    }

    @Test(arguments: [RecordFormat.ndjson, .csv])
    func theTypeOfOneValueIsThatOfAColumnOfIt(_ format: RecordFormat) throws {
        let json = [
            "1", "1.5", "1e400", "9223372036854775808", "true", "false", "{}", "[1]", #""x""#, #""""#, "null",
            #""2026-01-01T00:00:00Z""#, #""2026-01-01""#,
        ]
        let cells = [
            "1", "1.5", "9223372036854775808", "true", "x", "\"\"", "2026-01-01", "2026-01-01T00:00:00Z", "007",
        ]
        let values = format == .csv ? cells : json
        let records = format == .csv ? values : values.map { #"{"a":\#($0)}"# }
        let whole = try #require(try RecordDecoder().decode(frame(format, records, header: "a")).batch["a"])
        for (row, value) in values.enumerated() {
            let alone = whole.gathered([row])
            #expect(ColumnInference.type(of: whole, row: row) == ColumnInference.infer(alone), "\(value)")
        }
        #expect(ColumnInference.type(of: Column(.date, .int64([0])), row: 0) == .date)
    }
}
