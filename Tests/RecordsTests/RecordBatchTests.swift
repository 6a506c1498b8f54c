import Testing

@testable import Records

private func json(_ batch: RecordBatch, _ numbers: NumberStyle = .plain) -> [String] {
    (0..<batch.rowCount).map { row in
        var text: [UInt8] = []
        batch.appendJSON(row, numbers: numbers, into: &text)
        return String(decoding: text, as: UTF8.self)
    }
}

private func batch(_ records: [String]) throws -> RecordBatch {
    try RecordDecoder().decode(frame(.ndjson, records)).batch
}

@Suite struct RecordBatchTests {
    private static let records = [
        #"{"a":1,"b":"x\n","c":[1, 2],"_e":1}"#, #"{"a":2.50,"b":"é\"","c":null}"#, #"{"a":true,"b":"","c":"s"}"#,
    ]

    @Test func rowsAreKeptByMask() throws {
        var some = try batch(Self.records)
        some.keep([1, 0, 1])
        #expect(some.rows == [0, 2] && some.extra?.validity == [1, 0])
        #expect(json(some) == [#"{"a":1,"b":"x\n","c":[1, 2]}"#, #"{"a":true,"b":"","c":"s"}"#])
        some.columns[1].column = some.columns[1].column.cast(to: .text, rows: some.rows, name: "b").column
        some.keep([0, 1])
        #expect(json(some) == [#"{"a":true,"b":"","c":"s"}"#])
        some.keep([0])
        #expect(some.rowCount == 0 && some.columns.allSatisfy { $0.column.count == 0 })
        #expect(json(try batch(Self.records).gathered([2, 0, 2])).count == 3)
    }

    @Test func batchesAreJoined() throws {
        var one = try batch(Self.records)
        let other = try batch([#"{"d":"new","b":"y","_f":2}"#])
        let joined = one.append(other)
        #expect(joined && one.rowCount == 4 && one.columns.map(\.name) == ["a", "b", "c", "d"])
        #expect(json(one).last == #"{"a":null,"b":"y","c":null,"d":"new"}"#)
        #expect(json(one).first == #"{"a":1,"b":"x\n","c":[1, 2],"d":null}"#)
        #expect(one.extra?.validity == [1, 0, 0, 1] && one.extraNames == ["_e", "_f"])
        one.columns[1].column = one.columns[1].column.cast(to: .text, rows: one.rows, name: "b").column
        let refused = one.append(other)
        #expect(!refused && one.rowCount == 4)
    }

    @Test func typedColumnsAreJoined() {
        for (type, texts) in [
            (ColumnType.int8, ["1", "2"]), (.float8, ["1.5", "NaN"]), (.bool, ["t", "f"]), (.numeric, ["1.50", "2"]),
            (.text, ["a", ""]), (.date, ["2026-01-01", "infinity"]), (.jsonb, ["{}", "1"]),
        ] {
            let column = Column(.text, .bytes(ByteColumn(texts))).cast(to: type, rows: [0, 1], name: "c").column
            var twice = column.gathered([1])
            let joined = twice.append(column)
            #expect(joined && twice.count == 3)
            let shown = TextOutput.texts(of: twice)
            let whole = TextOutput.texts(of: column)
            #expect((0..<3).map { shown.string($0) } == [1, 0, 1].map { whole.string($0) })
            let wrong = twice.append(Column.nulls(type == .int8 ? .text : .int8, count: 1))
            #expect(!wrong)
        }
    }

    @Test func valuesAsJSONAndCSV() {
        let values: [(ColumnType, String, String, String, String)] = [
            (.int8, "9007199254740992", "9007199254740992", "\"9007199254740992\"", "9007199254740992"),
            (.int8, "-9007199254740991", "-9007199254740991", "-9007199254740991", "-9007199254740991"),
            (.numeric, "1.500", "1.500", "\"1.500\"", "1.500"), (.numeric, "NaN", "\"NaN\"", "\"NaN\"", "NaN"),
            (.float8, "0.1", "0.1", "0.1", "0.1"), (.float8, "1e300", "1e+300", "1e+300", "1e+300"),
            (.float8, "-inf", "\"-Infinity\"", "\"-Infinity\"", "-Infinity"), (.bool, "t", "true", "true", "true"),
            (
                .timestamptz, "2026-11-20 13:25:00.25+01", "\"2026-11-20T12:25:00.25Z\"", "\"2026-11-20T12:25:00.25Z\"",
                "2026-11-20T12:25:00.25Z"
            ),
            (.timestamptz, "infinity", "\"infinity\"", "\"infinity\"", "infinity"),
            (.date, "2026-11-20", "\"2026-11-20\"", "\"2026-11-20\"", "2026-11-20"),
            (.jsonb, "{\"a\": \"b\"}", "{\"a\": \"b\"}", "{\"a\": \"b\"}", "\"{\"\"a\"\": \"\"b\"\"}\""),
            (.text, "a\u{01}\"\\", "\"a\\u0001\\\"\\\\\"", "\"a\\u0001\\\"\\\\\"", "\"a\u{01}\"\"\\\""),
            (.text, "", "\"\"", "\"\"", "\"\""), (.text, "a,b", "\"a,b\"", "\"a,b\"", "\"a,b\""),
            (
                .uuid, "A0EEBC999C0B4EF8BB6D6BB9BD380A11", "\"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\"",
                "\"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\"", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"
            ),
        ]
        for (type, text, plain, strings, csv) in values {
            let column = Column(.text, .bytes(ByteColumn([text]))).cast(to: type, rows: [0], name: "c").column
            var outputs: [[UInt8]] = [[], [], []]
            column.appendJSON(0, into: &outputs[0])
            column.appendJSON(0, numbers: .strings, into: &outputs[1])
            outputs[2] += column.csvFields()[0]
            #expect(outputs.map { String(decoding: $0, as: UTF8.self) } == [plain, strings, csv])
            var null: [UInt8] = []
            #expect(Column.nulls(type, count: 1).csvFields()[0].isEmpty)
            Column.nulls(type, count: 1).appendJSON(0, into: &null)
            #expect(null == Array("null".utf8))
        }
    }

    @Test func jsonValuesBecomeTextAndJsonb() throws {
        let one = try batch([#"{"a":"x\"y"}"#, #"{"a":1.50}"#, #"{"a":{"k":[]}}"#, #"{"a":null}"#, #"{"a":true}"#])
        let column = try #require(one["a"])
        let json = column.cast(to: .jsonb, rows: one.rows, name: "a")
        let text = column.cast(to: .text, rows: one.rows, name: "a")
        #expect(json.faults == [] && text.faults == [])
        guard case .bytes(let jsons) = json.column.storage, case .bytes(let texts) = text.column.storage else {
            return #expect(Bool(false))
        }
        #expect((0..<5).map { jsons.string($0) } == [#""x\"y""#, "1.50", #"{"k":[]}"#, "", "true"])
        #expect((0..<5).map { texts.string($0) } == ["x\"y", "1.50", #"{"k":[]}"#, "", "true"])
        let cells = Column(.text, .bytes(ByteColumn(["{\"a\":1}", "{a}", "1 2", "\"\\u0000\""])))
        let parsed = cells.cast(to: .jsonb, rows: [5, 6, 7, 8], name: "c", step: "steps[0].cast")
        #expect(parsed.failed == [1, 2, 3] && parsed.column.validity == [1, 0, 0, 0])
        #expect(parsed.faults.map(\.code) == ["invalid_json", "invalid_json", "nul_character"])
        #expect(parsed.faults[0].row == 6 && parsed.faults[0].step == "steps[0].cast" && parsed.faults[0].column == "c")
    }

    @Test func slotsWithoutAValueAreNeitherCastNorInferred() throws {
        var text = Column(.text, .bytes(ByteColumn(["1", "x", ""])), validity: [1, 0, 0])
        let numbers = text.cast(to: .int8, rows: [0, 1, 2], name: "c")
        #expect(numbers.faults == [] && numbers.column.validity == [1, 0, 0])
        text = text.cast(to: .jsonb, rows: [0, 1, 2], name: "c").column
        #expect(text.validity == [1, 0, 0])
        var untyped = try #require(try batch([#"{"a":1}"#, #"{"a":"x"}"#, #"{"a":[]}"#])["a"])
        untyped.validity = [1, 0, 0]
        #expect(ColumnInference.infer(untyped) == .int8)
        for type in ColumnType.allCases {
            let cast = untyped.cast(to: type, rows: [0, 1, 2], name: "a")
            #expect(cast.failed.allSatisfy { $0 == 0 } && cast.column.validity.dropFirst() == [0, 0])
        }
    }

    @Test func castsWithoutMeaningFail() {
        let column = Column(.bool, .bool([1, 0, 1]), validity: [1, 0, 1])
        let result = column.cast(to: .int8, rows: [0, 1, 2], name: "flag")
        #expect(result.failed == [0, 2] && result.faults[0].code == "cannot_cast")
        #expect(result.faults[0].message == "cannot cast type boolean to bigint")
        #expect(!Column.canCast(from: .bool, to: .int8) && Column.canCast(from: .bool, to: .text))
    }
}
