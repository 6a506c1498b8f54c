import Testing

@testable import Records

private func infer(_ values: [String], _ format: RecordFormat = .ndjson) throws -> ColumnType? {
    let records = format == .csv ? values : values.map { "{\"a\":\($0)}" }
    let (batch, faults) = try RecordDecoder().decode(frame(format, records, header: "a"))
    #expect(faults == [])
    let column = try #require(batch["a"])
    let type = ColumnInference.infer(column)
    if let type {
        let reversed = column.gathered((0..<column.count).reversed())
        #expect(ColumnInference.infer(reversed) == type, "the order matters: \(values)")
        #expect(column.cast(to: type, rows: batch.rows, name: "a").faults == [])
        #expect(column.fit(to: type, isDeclared: false, rows: batch.rows, name: "a").faults == [], "\(values)")
    }
    return type
}

@Suite struct ColumnInferenceTests {
    @Test(
        arguments: [
            (["null"], nil), (["1", "null", "-5"], .int8), (["true", "false"], .bool), (["1", "1.5"], .float8),
            (["1.10", "2e5", "0.1"], .float8), (["1e400"], .numeric), (["0.1234567890123456789"], .numeric),
            (["9007199254740993"], .int8), (["9007199254740993", "0.5"], .numeric),
            (["9007199254740992", "0.5"], .float8),
            (["9223372036854775808"], .numeric), (["12345678901234567.5"], .numeric),
            (["0.30000000000000004"], .float8),
            (["0.1000000000000000055"], .numeric), (["100000000000000000000"], .numeric), (["-0"], .float8),
            (["100000000000000000000000"], .numeric), (["1e23"], .numeric), (["5e22"], .numeric), (["3e23"], .float8),
            (["1e20"], .float8), (["1152921504606846976", "0.5"], .numeric), (["10000000000000000", "0.5"], .float8),
            ([#""a""#, #""""#], .text),
            ([#""2026-11-20T10:00:00Z""#, #""2026-11-20T10:00:00.5+01:00""#], .timestamptz),
            ([#""2026-11-20T10:00:00""#], .text), ([#""2026-11-20""#], .text), ([#""2026-02-30T10:00:00Z""#], .text),
            ([#""2026-11-20T10:00:00Z""#, #""x""#], .text), ([#""1""#], .text), (["{}"], .jsonb),
            (["[1]", "1"], .jsonb),
            (["1", #""x""#], .jsonb), (["true", "1"], .jsonb), (["true", #""x""#], .jsonb), (["null", "{}"], .jsonb),
        ] as [([String], ColumnType?)])
    func ofJSON(_ values: [String], _ type: ColumnType?) throws {
        #expect(try infer(values) == type, "\(values)")
    }

    @Test(
        arguments: [
            (["", "x"].map { $0 }, .text), (["1", "-2", "0"], .int8), (["1", ",", "2"].filter { $0 != "," }, .int8),
            (["007"], .text), (["1", "007"], .text), (["1.5", "2"], .float8), (["1.50", "2"], .numeric),
            (["+1"], .text),
            (["1.9", "1.10"], .numeric), (["1234e56", "7654e12"], .text), (["1e5"], .text), (["1E+20"], .text),
            (["1e+20", "5e-324"], .float8), (["1.5e-3", "1.000000000000000000e+00"], .float8), (["1e400"], .text),
            (["1.5e400"], .numeric), (["0.0001", "-0.00015"], .float8), (["0.00001"], .numeric), (["0.0"], .numeric),
            (["-0"], .float8), (["-0.0"], .float8), (["1.9", "x"], .text), (["100000000000000000000"], .numeric),
            (["0.30000000000000004"], .float8), (["123456789012345.6"], .float8), (["1234567890123456.5"], .numeric),
            (["9223372036854775808"], .numeric), (["true", "False", "TRUE"], .bool), (["true", "tRUE"], .text),
            (["yes"], .text), (["2026-11-20"], .date), (["2026-11-20", "2026-11-20T10:00:00Z"], .timestamptz),
            (["2026-11-20 10:00:00+00:00"], .timestamptz), (["2026-02-30"], .text), (["1", "x"], .text),
            (["1", "true"], .text), (["\"\"", "1"], .text), ([" 1"], .text), (["-"], .text), (["NaN"], .text),
            (["1."], .text), ([".5"], .text), (["0.5", "-0.25"], .float8), (["00.5"], .text),
        ] as [([String], ColumnType?)])
    func ofCells(_ values: [String], _ type: ColumnType?) throws {
        #expect(try infer(values, .csv) == type, "\(values)")
    }

    @Test func joinsDoNotDependOnTheOrder() {
        for one in ColumnType.allCases {
            for other in ColumnType.allCases {
                #expect(ColumnInference.join(one, other) == ColumnInference.join(other, one))
                for third in ColumnType.allCases {
                    #expect(
                        ColumnInference.join(ColumnInference.join(one, other), third)
                            == ColumnInference.join(one, ColumnInference.join(other, third)), "\(one) \(other) \(third)"
                    )
                }
            }
        }
    }
}
