import JSON
import Testing

@Suite struct JSONWriterTests {
    @Test func putsCommasWhereTheyBelong() {
        var writer = JSONWriter()
        writer.object { writer in
            writer.member("a", 1)
            writer.member("b", nil as String?)
            writer.key("c")
            writer.array { writer in
                writer.null()
                writer.bool(true)
                writer.array { _ in }
                writer.object { _ in }
                writer.writeRaw(Array("1.50".utf8))
            }
            writer.member("d", JSONValue.object(["x": [1, 2]]))
        }
        #expect(writer.text == #"{"a":1,"b":null,"c":[null,true,[],{},1.50],"d":{"x":[1,2]}}"#)
    }

    @Test func escapesWhatMustBe() throws {
        let text = "\"\\\n\r\t\u{1}\u{1F}\u{7F}é😀/"
        var writer = JSONWriter()
        writer.string(text)
        #expect(writer.text == "\"\\\"\\\\\\n\\r\\t\\u0001\\u001f\u{7F}é😀/\"")
        #expect(try JSONValue.parse(writer.bytes).string == text)
    }

    @Test(arguments: [
        (0.1, "0.1"), (1, "1"), (-0.0, "-0"), (1e21, "1e+21"), (.leastNonzeroMagnitude, "5e-324"), (.nan, "\"NaN\""),
        (.infinity, "\"Infinity\""), (-.infinity, "\"-Infinity\""), (1.7976931348623157e308, "1.7976931348623157e+308"),
    ])
    func writesTheShortestDouble(_ value: Double, _ text: String) throws {
        var writer = JSONWriter()
        writer.number(value)
        #expect(writer.text == text)
        _ = try JSONValue.parse(writer.bytes)
    }

    @Test func drainsInTheMiddleOfAnArray() throws {
        var writer = JSONWriter()
        var all: [UInt8] = []
        writer.beginArray()
        for number in 0..<5 {
            writer.number(number)
            all += writer.drain()
        }
        writer.endArray()
        all += writer.drain()
        #expect(try JSONValue.parse(all) == [0, 1, 2, 3, 4])
    }
}

extension JSONWriter {
    fileprivate var text: String { String(decoding: bytes, as: UTF8.self) }
}
