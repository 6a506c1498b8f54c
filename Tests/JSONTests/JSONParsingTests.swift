import JSON
import Testing

@Suite struct JSONParsingTests {
    @Test(arguments: [
        "null", "true", "false", "0", "-0", "-0.0", "1e5", "1E+5", "1.25e-3", "123456789012345678901234567890",
        "0.10000000000000000000000000000000000001", "\"\"", "\"a\\\"b\"", "[]", "{}", "[1,[2,[]],{\"a\":null}]",
        " \t\r\n[ 1 , 2 ] \n", "\"\u{10FFFF}\u{7F}\"", "{\"\":0}", "\"\\/\\b\\f\\n\\r\\t\"",
    ])
    func accepts(_ text: String) throws {
        _ = try JSONValue.parse(text)
    }

    @Test(arguments: [
        "", " ", "nul", "nulll", "True", "01", "-", "+1", "1.", ".5", "1e", "1e+", "0x1", "NaN", "Infinity", "'a'",
        "[1,]", "[,1]", "[1 2]", "[1", "]", "{\"a\":1,}", "{\"a\"}", "{a:1}", "{\"a\" 1}", "{\"a\":1 \"b\":2}", "{1:2}",
        "\"a", "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "\"\\ud800\"", "\"\\udc00\"", "\"\\ud800\\u0041\"", "\"a\nb\"",
        "\"\u{0}\"", "1 2", "[]]", "\u{FEFF}1", "--1", "1.e5", "{\"a\":}", "// c\n1", "[1]\u{0}", "-01",
    ])
    func refuses(_ text: String) {
        #expect(throws: JSONError.self) { try JSONValue.parse(text) }
    }

    @Test(
        arguments: [
            [0x22, 0xFF, 0x22], [0x22, 0xC0, 0x80, 0x22], [0x22, 0xED, 0xA0, 0x80, 0x22], [0x22, 0xC3, 0x22],
            [0x22, 0xF4, 0x90, 0x80, 0x80, 0x22], [0xFF],
        ] as [[UInt8]])
    func refusesWhatIsNoUTF8(_ bytes: [UInt8]) {
        #expect(throws: JSONError.self) { try JSONValue.parse(bytes) }
    }

    @Test func keepsEveryDigit() throws {
        let text = "[9223372036854775807,18446744073709551616,1.10,1E400,-0.0]"
        #expect(try JSONValue.parse(text).serialized() == Array(text.utf8))
        #expect(try JSONValue.parse("9223372036854775807").int == .max)
        #expect(try JSONValue.parse("9223372036854775808").int == nil)
        #expect(try JSONValue.parse("1.0").int == 1)
        #expect(try JSONValue.parse("1.5").int == nil)
        #expect(try JSONValue.parse("1E400").double == nil)
    }

    @Test func decodesEscapes() throws {
        #expect(try JSONValue.parse(#""\u0041\u00e9\u4e2d\ud83d\ude00\\\"""#).string == "Aé中😀\\\"")
        #expect(try JSONValue.parse(#""\u0000""#).string == "\0")
    }

    @Test func lastOfARepeatedKeyCountsAtTheFirstOnesPlace() throws {
        let value = try JSONValue.parse(#"{"a":1,"b":2,"a":3}"#)
        #expect(value.serialized() == Array(#"{"a":3,"b":2}"#.utf8))
    }

    @Test func findsMembersOfLargeObjects() throws {
        let text = "{" + (0..<500).map { "\"k\($0)\":\($0)" }.joined(separator: ",") + ",\"k7\":-7}"
        var object = try #require(try JSONValue.parse(text).object)
        #expect(object.count == 500)
        #expect(object["k499"] == 499)
        #expect(object["k7"] == -7)
        object["k3"] = nil
        #expect(object["k3"] == nil)
        #expect(object["k4"] == 4)
        #expect(object.count == 499)
    }

    @Test(arguments: [
        ("{\n  \"a\": 1,\n  \"é\": tru\n}", 3, 11, "expected 'true'"),
        ("[1,\n2,\n]", 3, 1, "expected a value"),
        ("", 1, 1, "unexpected end of the text"),
        ("{\"a\":1", 1, 7, "expected ',' or '}'"),
        ("[\"ééé\" x]", 1, 8, "expected ',' or ']'"),
        ("\"abc", 1, 5, "unterminated string"),
    ])
    func saysWhere(_ text: String, line: Int, column: Int, message: String) {
        let error = #expect(throws: JSONError.self) { try JSONValue.parse(text) }
        #expect(error?.line == line)
        #expect(error?.column == column)
        #expect(error?.message == message)
    }

    @Test func limitsDepth() throws {
        let deep = { (levels: Int) in
            String(repeating: "[", count: levels) + String(repeating: "]", count: levels)
        }
        _ = try JSONValue.parse(deep(128))
        #expect(throws: JSONError.self) { try JSONValue.parse(deep(129)) }
        #expect(throws: JSONError.self) { try JSONValue.parse(String(repeating: "[", count: 1_000_000)) }
        let object = String(repeating: "{\"a\":", count: 129) + "1" + String(repeating: "}", count: 129)
        #expect(throws: JSONError.self) { try JSONValue.parse(object) }
    }

    @Test func equalObjectsDifferInOrderOnly() throws {
        let one = try JSONValue.parse(#"{"a":1,"b":[true]}"#)
        let other = try JSONValue.parse(#"{"b":[true],"a":1}"#)
        #expect(one == other)
        #expect(one.hashValue == other.hashValue)
        #expect(try one != JSONValue.parse(#"{"a":1,"b":[false]}"#))
    }
}
