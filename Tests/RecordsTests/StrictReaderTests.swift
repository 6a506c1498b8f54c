import JSON
import TestSupport
import Testing

@testable import Records

/// Generated bodies beside Python's `csv` and `json`, and cut at every place.
@Suite struct StrictReaderTests {
    private static func cut(_ body: [UInt8], _ format: RecordFormat, at place: Int?) throws -> BatchFrame {
        var splitter = RecordSplitter(format: format)
        try splitter.append(body[..<(place ?? 0)])
        try splitter.append(body[(place ?? 0)...])
        try splitter.finish()
        return splitter.takeFrame() ?? BatchFrame(format: format)
    }

    private static func rows(_ batch: RecordBatch) -> [[String?]] {
        (0..<batch.rowCount).map { row in
            batch.columns.map { named in
                guard named.column.isPresent(row) else { return nil }
                var text: [UInt8] = []
                TextOutput.append(named.column, row, into: &text)
                return String(decoding: text, as: UTF8.self)
            }
        }
    }

    // MARK: CSV

    private struct Sheet {
        var body = ""
        /// What each field is: nil for a bare empty one.
        var rows: [[String?]] = []
    }

    private static let pieces = [
        "a", "\"", "\"\"", ",", "\n", "\r\n", "\r", " ", "é", "日", "=", ";", "\t", "'", "\\", "x y", "0", "\u{FEFF}",
    ]

    /// Fields of anything, in quotes where they need them and sometimes where they do not.
    private static func sheet(_ generator: inout SeededGenerator) -> Sheet {
        let width = Int.random(in: 1...4, using: &generator)
        let end = generator.pick(["\n", "\r\n"])
        var sheet = Sheet()
        if Bool.random(using: &generator) { sheet.body = "\u{FEFF}" }
        sheet.body += (0..<width).map { "c\($0)" }.joined(separator: ",") + end
        let count = Int.random(in: 0...6, using: &generator)
        for row in 0..<count {
            var fields: [String?] = []
            var written: [String] = []
            for _ in 0..<width {
                let text = (0..<Int.random(in: 0...4, using: &generator))
                    .map { _ in generator.pick(pieces) }.joined()
                let mustQuote = text.unicodeScalars.contains { "\",\n\r\u{FEFF}".unicodeScalars.contains($0) }
                let isQuoted = mustQuote || width == 1 && text.isEmpty || Int.random(in: 0..<3, using: &generator) == 0
                fields.append(text.isEmpty && !isQuoted ? nil : text)
                written.append(isQuoted ? "\"" + text.replacing("\"", with: "\"\"") + "\"" : text)
            }
            sheet.rows.append(fields)
            sheet.body += written.joined(separator: ",")
            if row + 1 < count || Bool.random(using: &generator) { sheet.body += end }
        }
        return sheet
    }

    @Test func sheetsComeBackAsTheyWereWritten() async throws {
        let seed = TestSeed.next()
        var generator = SeededGenerator(state: seed)
        let sheets = (0..<300).map { _ in Self.sheet(&generator) }
        let bodies = JSONValue.array(sheets.map { .string($0.body) }).serialized()
        let answer = try await PythonOracle.run(
            """
            import csv, io, json, sys
            def rows(text):
                text = text.removeprefix("\\ufeff")
                return list(csv.reader(io.StringIO(text, newline=""), strict=True))[1:]
            print(json.dumps([rows(text) for text in json.load(open(sys.argv[1], encoding="utf-8"))]))
            """, on: bodies)
        let python = try JSONValue.parse(Array(answer.utf8)).array ?? []
        try #require(python.count == sheets.count)
        for (sheet, python) in zip(sheets, python) {
            let body = Array(sheet.body.utf8)
            let frame = try Self.cut(body, .csv, at: nil)
            for place in 0...body.count {
                #expect(try Self.cut(body, .csv, at: place) == frame, "seed \(seed), cut at \(place): \(sheet.body)")
            }
            let (batch, faults) = try RecordDecoder().decode(frame)
            #expect(
                faults == [] && (frame.recordCount == 0 || Self.rows(batch) == sheet.rows),
                "seed \(seed): \(sheet.body)")
            let theirs = python.array?.map { $0.array?.map { $0.string ?? "" } ?? [] }
            #expect(theirs == sheet.rows.map { $0.map { $0 ?? "" } }, "seed \(seed): \(sheet.body)")
        }
    }

    @Test func raggedRowsAndStrayQuotesAreFaultsWithTheirPlace() throws {
        let body = Array("a,b\n1,2\n1\n1,2,3\n\"x\"y,2\n1,\"x\" \n\"ok\",\"\"\n".utf8)
        let (batch, faults) = try RecordDecoder().decode(try Self.cut(body, .csv, at: nil))
        #expect(batch.rows == [0, 5] && Self.rows(batch) == [["1", "2"], ["ok", ""]])
        #expect(
            faults.map { "\($0.row) \($0.code): \($0.message)" } == [
                "1 csv_column_count: expected 2 fields, found 1", "2 csv_column_count: expected 2 fields, found 3",
                "3 invalid_csv: text follows the closing quote of field 1, at byte 4",
                "4 invalid_csv: text follows the closing quote of field 2, at byte 6",
            ])
    }

    @Test func aQuoteThatIsNotClosedIsNamed() throws {
        var frame = BatchFrame(format: .csv, header: Array("a,b,c".utf8))
        for record in [#""a,2,3"#, #"1,"x""y,3"#, #"1,2,""#, "1,2,3"] { frame.append(record: Array(record.utf8)) }
        let (batch, faults) = try RecordDecoder().decode(frame)
        #expect(batch.rows == [3] && Set(faults.map(\.code)) == ["invalid_csv"])
        #expect(
            faults.map(\.message) == [
                "the quote that opens field 1, at byte 0, is never closed",
                "the quote that opens field 2, at byte 2, is never closed",
                "the quote that opens field 3, at byte 4, is never closed",
            ])
    }

    @Test(arguments: [
        ("id,amount,amount\n1,2,3\n", "the header row names \"amount\" twice: fields 2 and 3", 1, 11),
        ("\u{FEFF}a,b,a", "the header row names \"a\" twice: fields 1 and 3", 1, 5),
        ("\r\n\n\"x\ny\",z,\"z\"\n", "the header row names \"z\" twice: fields 2 and 3", 4, 6),
        ("\"a\"\"b\",\"a\"\"b\"\n", "the header row names \"a\"b\" twice: fields 1 and 2", 1, 8),
        ("a,,b,\n", "the header row leaves two columns without a name: fields 2 and 4", 1, 6),
        (
            "id,n,x\r1,n,3\r",
            "the header row names \"n\" twice: fields 2 and 4; lone carriage returns are no line ends", 1, 10
        ),
    ])
    func aHeaderThatNamesAColumnTwiceIsRefused(_ body: String, _ message: String, _ line: Int, _ column: Int) throws {
        for place in 0...body.utf8.count {
            let error = try #require(throws: RecordsError.self) { try Self.cut(Array(body.utf8), .csv, at: place) }
            #expect(error.code == .unsplittable && error.message == message, "cut at \(place)")
            #expect(error.position?.line == line && error.position?.column == column, "\(error), cut at \(place)")
        }
    }

    @Test func namesThatDifferInAByteAreTwo() throws {
        let frame = try Self.cut(Array("e\u{301},\u{E9},E, e\n1,2,3,4\n".utf8), .csv, at: nil)
        #expect(frame.recordCount == 1)
    }

    @Test(arguments: [
        ("", "the body holds no record"), ("\r\n\n", "the body holds no record"),
        ("id,n\n", "the body holds a header row and no record"),
        ("\"i\r\nd\",n\r\n\r\n", "the body holds a header row and no record"),
        (
            "id,n\r1,2\r3,4\r",
            "the body holds a header row and no record; lone carriage returns are no line ends"
        ),
    ])
    func whatABodyWithoutRecordsHolds(_ body: String, _ wanted: String) throws {
        var splitter = RecordSplitter(format: .csv)
        try splitter.append(Array(body.utf8))
        try splitter.finish()
        #expect(splitter.recordCount == 0 && splitter.emptiness == wanted)
    }

    // MARK: NDJSON

    /// A control character has its place, among good records and alone, in the record and in text that is cast.
    @Test(arguments: [
        ("{\"aaaaaaaa\":1,\"b\":\"tab\there\"}", "byte 22: a control character inside a string"),
        ("{\"a\\\"\u{1}\":1}", "byte 5: a control character inside a string"),
        ("{\"a\":\"\\\t\"}", "byte 7: a control character inside a string"),
        (#"{"a":+1}"#, #"byte 5: no JSON value begins with "+""#),
        (#"{"a":.5}"#, #"byte 5: no JSON value begins with ".""#),
        (#"{"a":[1, 'x']}"#, #"byte 9: no JSON value begins with "'""#),
        (#"{"a":“x”}"#, #"byte 5: no JSON value begins with "“""#),
        ("\u{FEFF}{\"a\":1}", "byte 0: no JSON value begins with a byte order mark (U+FEFF)"),
        ("{\"a\":\u{A0}1}", "byte 5: no JSON value begins with U+00A0"),
        ("{\"a\":\u{7F}}", "byte 5: no JSON value begins with U+007F"),
        ("{\"a\":\u{1F600}}", "byte 5: no JSON value begins with \"\u{1F600}\""),
        (#"{"a":True}"#, "byte 5: expected true, false or null"), (#"{"a":}"#, "byte 5: expected a value"),
    ])
    func whatIsNoValueIsNamedWithItsPlace(_ text: String, _ wanted: String) throws {
        let good = #"{"a":"\\\"{[,"}"#
        for records in [[good, text, good], [text]] {
            var frame = BatchFrame(format: .ndjson)
            for record in records { frame.append(record: Array(record.utf8)) }
            let (_, faults) = try RecordDecoder().decode(frame)
            #expect(faults.map(\.message) == ["invalid JSON at " + wanted])
        }
        let fault = JSONText.check(Array(text.utf8).span)
        #expect(fault?.message == "invalid input syntax for type json: invalid JSON at " + wanted)
    }

    private static func digits(_ count: Int, _ generator: inout SeededGenerator) -> String {
        let first = generator.pick(Array("123456789"))
        return String(first)
            + String((1..<max(count, 1)).map { _ in generator.pick(Array("0123456789")) }.prefix(count - 1))
    }

    private static func number(_ generator: inout SeededGenerator) -> String {
        let sign = Bool.random(using: &generator) ? "-" : ""
        switch Int.random(in: 0..<8, using: &generator) {
        case 0: return sign + "9223372036854775807"
        case 1: return "-9223372036854775808"
        case 2: return sign + "9223372036854775809"
        case 3: return sign + digits(100, &generator)
        case 4: return sign + digits(20, &generator) + "." + digits(30, &generator) + "0"
        case 5:
            return sign + digits(1, &generator) + "." + digits(16, &generator)
                + "e-\(Int.random(in: 0...300, using: &generator))"
        case 6:
            return "\(Double(bitPattern: UInt64.random(in: 0..<0x7FE0_0000_0000_0000, using: &generator)))".replacing(
                "e+", with: "e")
        default: return sign + digits(Int.random(in: 1...18, using: &generator), &generator)
        }
    }

    private static func text(_ generator: inout SeededGenerator) -> String {
        let pieces = [
            "a", "é", "日", "😀", "\\n", "\\\"", "\\\\", "\\/", "\\u00e9", "\\ud83d\\ude00", "{", "}", "[", ",", ":", " ",
            "\\u001f", "\\b", "\u{2028}", "\u{7F}",
        ]
        return "\""
            + (0..<Int.random(in: 0...6, using: &generator)).map { _ in generator.pick(pieces) }
            .joined()
            + "\""
    }

    private static func value(_ depth: Int, _ generator: inout SeededGenerator) -> String {
        let space = generator.pick(["", " ", "\t", " \r"])
        switch Int.random(in: 0..<(depth > 3 ? 4 : 6), using: &generator) {
        case 0: return space + generator.pick(["true", "false", "null"])
        case 1, 2: return space + number(&generator)
        case 3: return text(&generator) + space
        case 4:
            let items = (0..<Int.random(in: 0...3, using: &generator)).map { _ in value(depth + 1, &generator) }
            return "[" + space + items.joined(separator: ",") + "]"
        default: return object(depth + 1, &generator)
        }
    }

    private static func object(_ depth: Int, _ generator: inout SeededGenerator) -> String {
        let names = ["a", "b", "c", "é", "\\u0061", "a\\\"", "k\\n"]
        let fields = (0..<Int.random(in: 0...5, using: &generator)).map { _ in
            "\"\(generator.pick(names))\": \(value(depth, &generator))"
        }
        return "{" + fields.joined(separator: ", ") + "}"
    }

    /// A record's fields as Python has them: kind and text, numbers with their digits, nested values canonical.
    private static let oracle = """
        import json, sys
        class Number(str): pass
        def shown(value):
            if value is None: return None
            if isinstance(value, bool): return "true" if value else "false"
            if isinstance(value, str): return str(value)
            return canonical(value)
        def canonical(value):
            if isinstance(value, Number): return str(value)
            if isinstance(value, dict):
                return "{" + ",".join(json.dumps(k) + ":" + canonical(v) for k, v in sorted(value.items())) + "}"
            if isinstance(value, list): return "[" + ",".join(map(canonical, value)) + "]"
            return json.dumps(value)
        def load(text): return json.loads(text, parse_int=Number, parse_float=Number)
        given = json.load(open(sys.argv[1], encoding="utf-8"))
        records = [{k: shown(v) for k, v in load(text).items()} for text in given["records"]]
        nested = [canonical(load(text)) for text in given["nested"]]
        print(json.dumps({"records": records, "nested": nested}))
        """

    @Test func recordsAreWhatPythonReads() async throws {
        let seed = TestSeed.next()
        var generator = SeededGenerator(state: seed)
        let records = (0..<1_000).map { _ in Self.object(0, &generator) }
        let ends = ["\n", "\r\n", "\n\n", "\n \t\n"]
        let body = Array(records.map { $0 + generator.pick(ends) }.joined().utf8)
        let frame = try Self.cut(body, .ndjson, at: nil)
        for place in stride(from: 0, through: body.count, by: 997) {
            #expect(try Self.cut(body, .ndjson, at: place) == frame, "seed \(seed), cut at \(place)")
        }
        let (batch, faults) = try RecordDecoder().decode(frame)
        #expect(faults == [] && batch.rowCount == records.count, "seed \(seed)")
        var nested: [String] = []
        var places: [(row: Int, name: String)] = []
        for (row, _) in batch.rows.enumerated() {
            for named in batch.columns {
                guard case .variant(let values) = named.column.storage, values.kind(row) == .json else { continue }
                nested.append(String(decoding: values[row], as: UTF8.self))
                places.append((row, named.name))
            }
        }
        let answer = try await PythonOracle.run(
            Self.oracle,
            on: JSONValue.object(
                JSONObject([
                    ("records", .array(records.map { .string($0) })), ("nested", .array(nested.map { .string($0) })),
                ])
            ).serialized())
        let python = try JSONValue.parse(Array(answer.utf8))
        let ours = try #require(python["nested"]?.array)
        for (row, record) in (python["records"]?.array ?? []).enumerated() {
            var known: Set<String> = []
            let fields = record.object ?? JSONObject()
            for name in fields.keys {
                known.insert(name)
                let wanted = fields[name] ?? .null
                let column = try #require(batch[name], "seed \(seed): \(name)")
                if let place = places.firstIndex(where: { $0.row == row && $0.name == name }) {
                    #expect(ours[place] == wanted, "seed \(seed): \(records[row])")
                    continue
                }
                var text: [UInt8] = []
                TextOutput.append(column, row, into: &text)
                let shown: JSONValue = column.isPresent(row) ? .string(String(decoding: text, as: UTF8.self)) : .null
                #expect(shown == wanted, "seed \(seed): \(name) of \(records[row])")
            }
            for named in batch.columns where !known.contains(named.name) { #expect(!named.column.isPresent(row)) }
        }
    }

    @Test func invalidUTF8IsFoundAtEveryPlace() throws {
        let good = Array(#"{"a":"ü日😀"}"#.utf8)
        for place in good.indices {
            var bad = good
            bad[place] = 0xFF
            var frame = BatchFrame(format: .ndjson)
            for record in [good, bad, good] { frame.append(record: record) }
            let (batch, faults) = try RecordDecoder().decode(frame)
            #expect(batch.rows == [0, 2] && faults.map(\.code) == ["invalid_utf8"])
            // The byte itself, or the first of the character that it tears.
            let at = faults[0].message.split(separator: " ").last.flatMap { Int($0) } ?? -1
            #expect(at <= place && place - at < 4, "\(place): \(faults[0].message)")
        }
    }

    /// A canonical numeric without the zeros at its fraction's end.
    private func trimmed(_ text: [UInt8]) -> ArraySlice<UInt8> {
        guard text.contains(0x2E) else { return text[...] }
        let digits = text.prefix(1 + (text.lastIndex { $0 != 0x30 } ?? 0))
        return digits.last == 0x2E ? digits.dropLast() : digits
    }

    /// Any decimal comes out of the type that is inferred for it as the same number, an integer as its own text.
    @Test func numbersKeepTheirDigits() throws {
        let seed = TestSeed.next()
        var generator = SeededGenerator(state: seed)
        for _ in 0..<2_000 {
            let written = Self.number(&generator)
            let (batch, _) = try RecordDecoder().decode(frame(.ndjson, [#"{"n":\#(written)}"#]))
            let column = try #require(batch["n"])
            let type = try #require(ColumnInference.infer(column))
            let cast = column.cast(to: type, rows: [0], name: "n")
            #expect(cast.faults == [], "seed \(seed): \(written) as \(type)")
            var printed: [UInt8] = []
            cast.column.appendJSON(0, into: &printed)
            var one: [UInt8] = []
            var other: [UInt8] = []
            try TextInput.numeric(Array(written.utf8).span, into: &one)
            try TextInput.numeric(printed.span, into: &other)
            #expect(
                trimmed(one) == trimmed(other),
                "seed \(seed): \(written) became \(String(decoding: printed, as: UTF8.self)) as \(type)")
            if type == .float8 { #expect(Double(String(decoding: printed, as: UTF8.self)) == Double(written)) }
            if written.utf8.allSatisfy({ $0 != 0x2E && $0 | 0x20 != 0x65 }), type != .float8 {
                #expect(String(decoding: printed, as: UTF8.self) == written)
            }
        }
    }
}
