import Testing

@testable import Records

func frame(_ format: RecordFormat, _ records: [String], header: String = "") -> BatchFrame {
    var frame = BatchFrame(format: format, header: Array(header.utf8))
    for record in records { frame.append(record: Array(record.utf8)) }
    return frame
}

/// A value as kind and text, for comparison: `int:1`, `string:a`, `missing`.
private func shown(_ column: Column?, _ row: Int) -> String {
    guard let column, case .variant(let values) = column.storage else { return "no such column" }
    var text: [UInt8] = []
    TextOutput.append(values, row, into: &text)
    let kind = "\(values.kind(row))"
    return text.isEmpty && kind != "string" && kind != "cell"
        ? kind : "\(kind):\(String(decoding: text, as: UTF8.self))"
}

private func decode(
    _ frame: BatchFrame, _ limits: DecodeLimits = DecodeLimits()
) throws -> (batch: RecordBatch, faults: [RowFault]) {
    let result = try RecordDecoder(limits: limits).decode(frame)
    for named in result.batch.columns {
        #expect(named.column.count == result.batch.rowCount && named.column.storage.count == result.batch.rowCount)
    }
    return result
}

@Suite struct RecordDecoderTests {
    @Test func fieldsBecomeColumns() throws {
        let (batch, faults) = try decode(
            frame(
                .ndjson,
                [
                    #"{"a":1,"b":"x","c":null}"#, #" {"b" : "y\n\u00e9" , "a" : -2.50, "d":[1, {"k":"}"}]} "#, "{}",
                    #"{"d":true,"a":9223372036854775808,"b":"","c":false}"#,
                    #"{"a":9223372036854775807,"d":{},"b":"日本\uD83D\uDE00"}"#,
                    #"{"a":-9223372036854775808,"a":-0,"d":1e5}"#,
                ]))
        #expect(faults == [] && batch.rows == [0, 1, 2, 3, 4, 5] && batch.extra == nil)
        #expect(batch.columns.map(\.name) == ["a", "b", "c", "d"])
        #expect(
            (0..<6).map { shown(batch["a"], $0) }
                == [
                    "int:1", "number:-2.50", "missing", "number:9223372036854775808", "int:9223372036854775807",
                    "number:-0",
                ])
        #expect(
            (0..<6).map { shown(batch["b"], $0) }
                == ["string:x", "string:y\né", "missing", "string:", "string:日本😀", "missing"])
        #expect(
            (0..<6).map { shown(batch["c"], $0) }
                == ["null", "missing", "missing", "false:false", "missing", "missing"])
        #expect(
            (0..<6).map { shown(batch["d"], $0) }
                == ["missing", #"json:[1, {"k":"}"}]"#, "missing", "true:true", "json:{}", "number:1e5"])
        #expect(batch["a"]?.validity == [1, 1, 0, 1, 1, 1] && batch["c"]?.validity == [0, 0, 0, 1, 0, 0])
    }

    @Test(arguments: [
        ("1", "not_an_object"), ("[{}]", "not_an_object"), (#""{}""#, "not_an_object"), ("null", "not_an_object"),
        ("{", "invalid_json"), (#"{"a"}"#, "invalid_json"), (#"{"a":}"#, "invalid_json"),
        (#"{"a":1,}"#, "invalid_json"),
        (#"{"a":1 "b":2}"#, "invalid_json"), (#"{"a":1}x"#, "invalid_json"), (#"{"a":1}{}"#, "invalid_json"),
        (#"{"a":01}"#, "invalid_json"), (#"{"a":1.}"#, "invalid_json"), (#"{"a":.5}"#, "invalid_json"),
        (#"{"a":+1}"#, "invalid_json"), (#"{"a":1e}"#, "invalid_json"), (#"{"a":--1}"#, "invalid_json"),
        (#"{"a":12"b":1}"#, "invalid_json"), (#"{"a":tru}"#, "invalid_json"), (#"{"a":nulll}"#, "invalid_json"),
        (#"{"a":True}"#, "invalid_json"), (#"{a:1}"#, "invalid_json"), (#"{"a":'x'}"#, "invalid_json"),
        (#"{"a":"x}"#, "invalid_json"), (#"{"a":"\x"}"#, "invalid_json"), (#"{"a":"\u12g4"}"#, "invalid_json"),
        (#"{"a":"\u12"}"#, "invalid_json"), (#"{"a":[1,]}"#, "invalid_json"), (#"{"a":[1}"#, "invalid_json"),
        (#"{"a":{"b":1]}"#, "invalid_json"), (#"{"a":{"b" 1}}"#, "invalid_json"), (#"{"a":[,1]}"#, "invalid_json"),
        (#"{"a":"b""c"}"#, "invalid_json"), (#"{"a":1,"a"}"#, "invalid_json"), (#"{"a":[1 2]}"#, "invalid_json"),
        (#"{"a":{"b":"\q"}}"#, "invalid_json"), (#"{\"a":1}"#, "invalid_json"), ("{\"a\":\"\t\"}", "invalid_json"),
        (#"{"a":"\u0000"}"#, "nul_character"), (#"{"a":["\u0000"]}"#, "nul_character"),
        (#"{"\u0000":1}"#, "nul_character"), ("{\"a\":\"\0\"}", "nul_character"),
        (#"{"a":{"\u0000":1}}"#, "nul_character"),
        (#"{"a":"\ud800"}"#, "lone_surrogate"), (#"{"a":"\udc00"}"#, "lone_surrogate"),
        (#"{"a":"\ud800\u0041"}"#, "lone_surrogate"), (#"{"a":["\ud800x"]}"#, "lone_surrogate"),
        (#"{"_a":"\ud800"}"#, "lone_surrogate"), (#"{"a":1e200000}"#, "number_out_of_range"),
        (#"{"a":[1e-20000]}"#, "number_out_of_range"),
    ])
    func faultyRecordsAreTurnedDownAlone(_ text: String, _ code: String) throws {
        // Among good ones that share its window, and by itself.
        let good = #"{"a":1,"z":"\\\"{[,"}"#
        let (batch, faults) = try decode(frame(.ndjson, [good, text, good, good]))
        #expect(faults.map(\.code) == [code] && faults.map(\.row) == [1], "\(faults)")
        #expect(batch.rows == [0, 2, 3] && batch.columns.map(\.name) == ["a", "z"])
        #expect((0..<3).map { shown(batch["a"], $0) } == ["int:1", "int:1", "int:1"])
        let (alone, same) = try decode(frame(.json, [text]))
        #expect(same.map(\.code) == [code] && alone.rows.isEmpty && alone.columns.isEmpty)
    }

    @Test func invalidUTF8IsItsRecordsFault() throws {
        var frame = frame(.ndjson, [#"{"a":1}"#])
        frame.append(record: Array(#"{"a":""#.utf8) + [0xC3, 0x28] + Array(#""}"#.utf8))
        frame.append(record: Array(#"{"a":2}"#.utf8))
        let (batch, faults) = try decode(frame)
        #expect(batch.rows == [0, 2] && faults.map(\.code) == ["invalid_utf8"])
        #expect(faults.first?.message == "invalid UTF-8 at byte 6")
    }

    @Test func faultsNameTheByte() throws {
        let (_, faults) = try decode(frame(.ndjson, [#"{"a":1,"b":tru}"#, #"{"a" 1}"#, #"{"k":[1,2"#]))
        #expect(
            faults.map(\.message) == [
                "invalid JSON at byte 11: expected true, false or null", "invalid JSON at byte 5: expected ':'",
                "invalid JSON at byte 9: the record ends too early",
            ])
    }

    @Test func depthIsLimited() throws {
        let deep = #"{"a":"# + String(repeating: "[", count: 127) + String(repeating: "]", count: 127) + "}"
        let deeper = #"{"a":"# + String(repeating: "[", count: 128) + String(repeating: "]", count: 128) + "}"
        let (batch, faults) = try decode(frame(.ndjson, [deep, deeper]))
        #expect(batch.rows == [0] && faults.map(\.code) == ["too_deep"])
    }

    @Test func fieldsWithoutAColumnGoToExtra() throws {
        let long = String(repeating: "n", count: 64)
        let (batch, faults) = try decode(
            frame(
                .ndjson,
                [
                    #"{"a":1,"_x":"\u00e9\n","b":2}"#, #"{"":[1],"a":2}"#, #"{"\#(long)":null,"_x":1,"c":3}"#,
                    #"{"a":5}"#,
                ]),
            DecodeLimits(columns: 2))
        #expect(faults == [] && batch.columns.map(\.name) == ["a", "b"])
        let extra = try #require(batch.extra)
        #expect(extra.validity == [1, 1, 1, 0])
        guard case .bytes(let texts) = extra.storage else { return #expect(Bool(false)) }
        #expect(
            (0..<4).map { texts.string($0) }
                == [#"{"_x":"\u00e9\n"}"#, #"{"":[1]}"#, #"{"\#(long)":null,"_x":1,"c":3}"#, ""])
        #expect(batch.extraNames == ["_x", "", long, "c"])
    }

    @Test func manyColumnsInAnyOrder() throws {
        var records: [String] = []
        for row in 0..<50 {
            let fields = (0..<200).map { "\"column_with_a_long_name_\(($0 * 7 + row * 3) % 200)\":\(row * 1000 + $0)" }
            records.append("{\(fields.joined(separator: ","))}")
        }
        let (batch, faults) = try decode(frame(.ndjson, records))
        #expect(faults == [] && batch.columns.count == 200 && batch.rowCount == 50)
        for field in 0..<200 {
            let name = "column_with_a_long_name_\((field * 7 + 49 * 3) % 200)"
            #expect(shown(batch[name], 49) == "int:\(49000 + field)")
        }
    }

    @Test func similarNamesAreKeptApart() throws {
        let (batch, _) = try decode(
            frame(.ndjson, [#"{"a":1,"ab":2,"a\\":3,"a\"b":4,"\u0061":5}"#, #"{"a\"":6,"ab":7,"a\\":8,"a\"b":9}"#]))
        #expect(batch.columns.map(\.name) == ["a", "ab", "a\\", "a\"b", "a\""])
        #expect(batch.columns.map { shown($0.column, 0) } == ["int:5", "int:2", "int:3", "int:4", "missing"])
        #expect(batch.columns.map { shown($0.column, 1) } == ["missing", "int:7", "int:8", "int:9", "int:6"])
    }

    @Test func cutRecordsAreTooLarge() throws {
        var splitter = RecordSplitter(format: .ndjson, limits: SplitLimits(record: 10))
        try splitter.append(Array("{\"a\":1}\n{\"a\":\"\(String(repeating: "x", count: 20))\"}\n{\"a\":2}\n".utf8))
        try splitter.finish()
        let taken = splitter.takeFrame()
        let (batch, faults) = try decode(try #require(taken))
        #expect(batch.rows == [0, 2] && faults.count == 1)
        #expect(faults.first?.code == "record_too_large" && faults.first?.row == 1)
        #expect(faults.first?.message == "the record has 28 bytes, more than the limit")
    }

    @Test func cellsOfCSV() throws {
        let (batch, faults) = try decode(
            frame(
                .csv, ["1,\"a,\"\"b\"\"\n\",", "2,\"\",x y", "3,,5\" pipe", "4", "5,a,b,c", "6,\"a\"b,c", "7,\0,c"],
                header: "id,\"na\"\"me\",_hidden"))
        #expect(batch.columns.map(\.name) == ["id", "na\"me"] && batch.rows == [0, 1, 2])
        #expect((0..<3).map { shown(batch["na\"me"], $0) } == ["cell:a,\"b\"\n", "cell:", "null"])
        #expect(faults.map(\.code) == ["csv_column_count", "csv_column_count", "invalid_csv", "nul_character"])
        #expect(faults.map(\.row) == [3, 4, 5, 6] && faults[0].message == "expected 3 fields, found 1")
        guard case .bytes(let texts)? = batch.extra?.storage else { return #expect(Bool(false)) }
        #expect((0..<3).map { texts.string($0) } == ["", #"{"_hidden":"x y"}"#, #"{"_hidden":"5\" pipe"}"#])
    }

    @Test func linesOfText() throws {
        var frame = frame(.text, ["one", " two \"", ""])
        frame.append(record: [0xFF])
        frame.append(record: Array("five".utf8))
        let (batch, faults) = try decode(frame)
        #expect(batch.rows == [0, 1, 2, 4] && faults.map(\.code) == ["invalid_utf8"])
        #expect(batch["line"]?.type == .typed(.text))
        guard case .bytes(let texts)? = batch["line"]?.storage else { return #expect(Bool(false)) }
        #expect((0..<4).map { texts.string($0) } == ["one", " two \"", "", "five"])
    }

    @Test func framesOfManyWindows() throws {
        let count = 6000
        let records = (0..<count).map { #"{"id":\#($0),"text":"\#(String(repeating: "ab\\n", count: $0 % 40))"}"# }
        let (batch, faults) = try decode(frame(.ndjson, records))
        #expect(faults == [] && batch.rowCount == count)
        guard case .variant(let ids)? = batch["id"]?.storage, case .variant(let texts)? = batch["text"]?.storage else {
            return #expect(Bool(false))
        }
        #expect((0..<count).allSatisfy { ids.int($0) == Int64($0) && texts[$0].count == $0 % 40 * 3 })
    }

    @Test func emptyFrames() throws {
        for format in RecordFormat.allCases {
            let (batch, faults) = try decode(frame(format, [], header: "a,b"))
            #expect(batch.rowCount == 0 && faults == [])
        }
        var broken = frame(.text, ["a"])
        broken.lengths = [5]
        #expect(throws: RecordsError.self) { try RecordDecoder().decode(broken) }
    }
}
