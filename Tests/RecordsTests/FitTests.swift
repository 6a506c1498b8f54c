import TestSupport
import Testing

@testable import Records

/// What a column of a dataset takes of values: as PostgreSQL prints it, or `!` and the fault's code.
private func fit(_ column: Column, to type: ColumnType, isDeclared: Bool) -> [String] {
    let result = column.fit(to: type, isDeclared: isDeclared, rows: (0..<Int32(column.count)).map { $0 }, name: "c")
    #expect(result.failed == result.failed.sorted() && result.failed.count == result.faults.count)
    var shown = (0..<column.count).map { row in
        var text: [UInt8] = []
        if result.column.isPresent(row) { TextOutput.append(result.column, row, into: &text) }
        return String(decoding: text, as: UTF8.self)
    }
    for (row, fault) in zip(result.failed, result.faults) { shown[row] = "!\(fault.code)" }
    return shown
}

private func typed(_ texts: [String], _ type: ColumnType) -> Column {
    Column(.text, .bytes(ByteColumn(texts))).cast(to: type, rows: [], name: "c").column
}

private func json(_ values: [String]) throws -> Column {
    let (batch, faults) = try RecordDecoder().decode(frame(.ndjson, values.map { "{\"a\":\($0)}" }, header: "a"))
    #expect(faults == [])
    return try #require(batch["a"])
}

/// Cells of a column; none may be empty.
private func cells(_ values: [String]) throws -> Column {
    let (batch, faults) = try RecordDecoder().decode(frame(.csv, values, header: "a"))
    #expect(faults == [])
    return try #require(batch["a"])
}

private struct TypedCase: Sendable {
    var from: ColumnType
    var to: ColumnType
    var texts: [String]
    var declared: [String]
    /// The same where nil.
    var inferred: [String]?
}

@Suite("Records: values that fit a dataset's column")
struct FitTests {
    private static let lost = "!invalid_cast"

    private static let typedCases = [
        TypedCase(
            from: .float8, to: .int8, texts: ["1.5", "2", "-3", "1e15", "9223372036854775808", "NaN", "-inf", "-0"],
            declared: [lost, "2", "-3", "1000000000000000", "!out_of_range", "!out_of_range", "!out_of_range", "0"]),
        TypedCase(
            from: .numeric, to: .int8,
            texts: [
                "1.5", "2.000", "-0.4", "9223372036854775807", "9223372036854775808", "9223372036854775807.5", "NaN",
            ],
            declared: [lost, "2", lost, "9223372036854775807", "!out_of_range", "!out_of_range", "!out_of_range"]),
        TypedCase(
            from: .int8, to: .numeric, texts: ["9223372036854775807", "-1"], declared: ["9223372036854775807", "-1"]),
        TypedCase(
            from: .int8, to: .float8,
            texts: ["5", "9007199254740993", "9007199254740992", "10000000000000000", "1152921504606846976"],
            declared: ["5", "9.007199254740992e+15", "9.007199254740992e+15", "1e+16", "1.152921504606847e+18"],
            inferred: ["5", lost, "9.007199254740992e+15", "1e+16", lost]),
        TypedCase(
            from: .numeric, to: .float8,
            texts: ["1.50", "12345678901234567890.12", "0.1", "NaN", "-Infinity", "100000000000000000000000"],
            declared: ["1.5", "1.2345678901234567e+19", "0.1", "NaN", "-Infinity", "9.999999999999999e+22"],
            inferred: ["1.5", lost, "0.1", "NaN", "-Infinity", lost]),
        TypedCase(
            from: .float8, to: .numeric, texts: ["0.30000000000000004", "1e-7", "1e22", "NaN", "inf", "-inf"],
            declared: ["0.30000000000000004", "0.0000001", "10000000000000000000000", "NaN", "Infinity", "-Infinity"]),
        TypedCase(
            from: .timestamptz, to: .date,
            texts: [
                "2024-01-01T23:59:59Z", "2024-01-01T00:00:00Z", "1969-07-20T00:00:00Z", "1969-07-20T20:17:40Z",
                "2024-01-01T00:00:00+02:00", "infinity",
            ],
            declared: [lost, "2024-01-01", "1969-07-20", lost, lost, "infinity"]),
        TypedCase(from: .date, to: .timestamptz, texts: ["2024-01-01"], declared: ["2024-01-01 00:00:00+00"]),
        TypedCase(from: .float8, to: .text, texts: ["1e23", "1.5"], declared: ["9.999999999999999e+22", "1.5"]),
        TypedCase(from: .bool, to: .text, texts: ["t"], declared: ["true"]),
        TypedCase(from: .bool, to: .int8, texts: ["t"], declared: ["!cannot_cast"]),
        TypedCase(from: .int8, to: .timestamptz, texts: ["170406"], declared: ["!cannot_cast"]),
    ]

    @Test func valuesOfATypeStayTheSame() {
        for one in Self.typedCases {
            for isDeclared in [true, false] {
                let wanted = isDeclared ? one.declared : one.inferred ?? one.declared
                let found = fit(typed(one.texts, one.from), to: one.to, isDeclared: isDeclared)
                #expect(found == wanted, "\(one.from) to \(one.to), \(isDeclared ? "declared" : "inferred")")
            }
        }
        let fault = typed(["1.5"], .float8).fit(to: .int8, isDeclared: true, rows: [7], name: "c").faults.first
        #expect(fault?.row == 7 && fault?.message == #""1.5" does not fit bigint without loss"#)
    }

    /// Values of JSON, a type, and what comes of them in a declared and in an inferred column; the same where nil.
    private static let raw: [(values: [String], type: ColumnType, declared: [String], inferred: [String]?)] = [
        (
            [
                "123456789012345678", "9007199254740993", "1234567890123456.789", #""123456789012345678901""#, "0.1",
                "1234567890123456.7", "0.30000000000000004", "1e23", "3e23", "-0", "4503599627370495.5", #""1.50""#,
                "1e400",
            ],
            .float8,
            [
                "1.2345678901234568e+17", "9.007199254740992e+15", "1.2345678901234568e+15", "1.2345678901234568e+20",
                "0.1",
                "1.2345678901234568e+15", "0.30000000000000004", "9.999999999999999e+22", "3e+23", "-0",
                "4.5035996273704955e+15", "1.5", "!out_of_range",
            ],
            [
                lost, lost, lost, lost, "0.1", lost, "0.30000000000000004", lost, "3e+23", "-0",
                "4.5035996273704955e+15",
                "1.5", "!out_of_range",
            ]
        ),
        (
            ["true", "1", "0", #""no""#, #""off""#, #""True""#, #""tRUE""#, #""t""#], .bool,
            ["true", "true", "false", "false", "false", "true", "true", "true"],
            ["true", lost, lost, lost, lost, "true", lost, lost]
        ),
        (
            [
                "170406", "20240101.5", #""1/2/2024""#, #""epoch""#, #""2024-01-01T10:00:00+01:00""#, #""2024-01-01""#,
                #""soon""#,
            ],
            .timestamptz,
            [
                lost, lost, "2024-01-02 00:00:00+00", "1970-01-01 00:00:00+00", "2024-01-01 09:00:00+00",
                "2024-01-01 00:00:00+00", lost,
            ],
            [lost, lost, lost, lost, "2024-01-01 09:00:00+00", "2024-01-01 00:00:00+00", lost]
        ),
        (
            [
                "170406", #""170406""#, #""2024-01-01 23:00""#, #""2024-01-01 00:00""#, #""2024-01-01T00:00:00Z""#,
                #""2024-01-01T00:00:00+02:00""#, #""2024-01-01""#, #""1/2/2024""#, #""2024-01-01 24:00""#,
                #""294277-01-01""#,
            ],
            .date,
            [
                lost, "2017-04-06", lost, "2024-01-01", "2024-01-01", lost, "2024-01-01", "2024-01-02", lost,
                "294277-01-01",
            ],
            [lost, lost, lost, lost, "2024-01-01", lost, "2024-01-01", lost, lost, lost]
        ),
        (
            ["7", "1.0", #""8""#, #""007""#, #""+5""#, #"" 6 ""#, #""-3""#, #""0""#, "9223372036854775808"], .int8,
            ["7", lost, "8", "7", "5", "6", "-3", "0", "!out_of_range"],
            ["7", lost, "8", lost, lost, lost, "-3", "0", "!out_of_range"]
        ),
        (
            ["7", "1.50", "1e3", #""1.50""#, #""1e3""#, #""NaN""#, #""007""#, #""x""#], .numeric,
            ["7", "1.50", "1000", "1.50", "1000", "NaN", "7", lost],
            ["7", "1.50", "1000", "1.50", lost, lost, lost, lost]
        ),
        (
            [#""A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11""#, #""a0eebc999c0b4ef8bb6d6bb9bd380a11""#], .uuid,
            ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"],
            ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", lost]
        ),
        (["1.10", "true", #""x""#, "[1]"], .text, ["1.10", "true", "x", "[1]"], nil),
        (["1.10", "true", #""x""#, "[1]"], .jsonb, ["1.10", "true", #""x""#, "[1]"], nil),
    ]

    @Test func valuesOfRecordsStayTheSame() throws {
        for (values, type, declared, inferred) in Self.raw {
            for (isDeclared, wanted) in [(true, declared), (false, inferred ?? declared)] {
                let found = fit(try json(values), to: type, isDeclared: isDeclared)
                #expect(found == wanted, "\(type), \(isDeclared ? "declared" : "inferred"): \(found)")
            }
        }
    }

    @Test func cellsOfInferredColumnsAreWhatInferenceSays() throws {
        let values = ["5", "1.5", "1.10", "1e5", "1234e56", "1e+20", "1.5e-3", "007", "NaN", "0x10", "-0.25", "inf"]
        #expect(
            fit(try cells(values), to: .float8, isDeclared: false)
                == [
                    "5", "1.5", "1.1", Self.lost, Self.lost, "1e+20", "0.0015", Self.lost, Self.lost, Self.lost,
                    "-0.25", Self.lost,
                ])
        for value in values {
            #expect(
                DecimalShape.isCell(Array(value.utf8).span) == (DecimalShape.cellType(Array(value.utf8).span) != nil))
        }
        #expect(fit(try cells(["true", "1", "yes"]), to: .bool, isDeclared: false) == ["true", Self.lost, Self.lost])
        #expect(fit(try cells(["2024-01-01 23:00"]), to: .date, isDeclared: false) == [Self.lost])
        #expect(fit(try cells(["007", "x"]), to: .text, isDeclared: false) == ["007", "x"])
    }

    /// What an inferred float8 column takes, PostgreSQL prints as the same number; what it turns down is printed as
    /// another.
    @Test func doublesPrintWhatWasWritten() async throws {
        let seed = TestSeed.next()
        var generator = SeededGenerator(state: seed)
        var texts = (0...40).flatMap { power in (1...9).map { "\($0)e\(power)" } }
        for _ in 0..<2_000 {
            let digits = String(UInt64.random(in: 1..<(1 << 60), using: &generator)).prefix(
                Int.random(in: 1...18, using: &generator))
            texts.append(
                "\(digits).\(Int.random(in: 0...99, using: &generator))e\(Int.random(in: -30...30, using: &generator))")
            texts.append("\(digits).\(Int.random(in: 0...9, using: &generator))")
        }
        let found = fit(try json(texts), to: .float8, isDeclared: false).map { !$0.hasPrefix("!") }
        let same = try await PostgresOracle.with { [texts] oracle in
            let printed = try await oracle.cast(texts, to: "float8")
            return zip(try await oracle.cast(printed, to: "numeric"), try await oracle.cast(texts, to: "numeric"))
                .map { Self.trimmed($0) == Self.trimmed($1) }
        }
        let different = texts.indices.filter { found[$0] != same[$0] }.map { texts[$0] }
        #expect(different == [], "seed \(seed)")
    }

    private static func trimmed(_ text: String) -> Substring {
        guard text.contains(".") else { return text[...] }
        let digits = text.prefix(through: text.lastIndex { $0 != "0" } ?? text.startIndex)
        return digits.last == "." ? digits.dropLast() : digits
    }
}
