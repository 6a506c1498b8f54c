import HTTP
import JSON
import Testing

@Suite struct QueryTests {
    private enum Wait: String, CaseIterable { case stored, transformed }

    @Test(arguments: [
        ("a%20b", "a b"), ("%C3%A9", "é"), ("a+b", "a+b"), ("%2F%2f", "//"), ("", ""), ("%25", "%"),
    ])
    func decodes(_ text: String, _ decoded: String) {
        #expect(PercentEncoding.decode(Array(text.utf8)[...]) == decoded)
        #expect(PercentEncoding.decode(Array(PercentEncoding.encode(decoded).utf8)[...]) == decoded)
    }

    @Test(arguments: ["%", "%2", "%zz", "%FF", "%00", "%C3", "a%"])
    func refusesEscapes(_ text: String) {
        #expect(PercentEncoding.decode(Array(text.utf8)[...]) == nil)
    }

    @Test func readsTypedParameters() throws {
        let query = try QueryFields(query: "wait=stored&timeout=30s&limit=5&on=true&c=a,b&t=1&t=2&q=a+b%26&e=&f")
        #expect(query.value("wait", oneOf: Wait.self) == .stored)
        #expect(query.duration("timeout") == .seconds(30))
        #expect(query.int("limit", in: 1...10) == 5)
        #expect(query.bool("on") == true)
        #expect(query.list("c") == ["a", "b"])
        #expect(query.strings("t") == ["1", "2"])
        #expect(query.string("q") == "a b&")
        #expect(query.string("e") == "")
        #expect(query.string("f") == "")
        #expect(query.int("absent") == nil)
        try query.finish()
    }

    @Test func collectsAllFaults() throws {
        let query = try QueryFields(query: "wait=x&timeout=5&limit=0&on=1&a=1&a=2&what=1&what=2&long=61s")
        _ = query.value("wait", oneOf: Wait.self)
        _ = query.duration("timeout")
        _ = query.int("limit", in: 1...10)
        _ = query.bool("on")
        _ = query.string("a")
        _ = query.duration("long", maximum: .seconds(60))
        _ = query.requiredString("needed")
        let problem = #expect(throws: Problem.self) { try query.finish() }
        #expect(problem?.code == .invalidParameter)
        #expect(problem?.errors.map(\.path) == ["wait", "timeout", "limit", "on", "a", "long", "needed", "what"])
    }

    @Test func remainingParametersAreKnown() throws {
        let query = try QueryFields(query: "limit=1&from=x&n=2")
        _ = query.int("limit")
        #expect(query.remaining().map(\.name) == ["from", "n"])
        try query.finish()
    }

    @Test func refusesWhatDoesNotDecode() {
        #expect(throws: Problem.self) { try QueryFields(query: "a=%FF") }
        #expect(throws: Problem.self) {
            try QueryFields(query: Array(repeating: "a=1", count: 201).joined(separator: "&"))
        }
    }

    @Test func cursorsServeTheirListOnly() throws {
        let cursor = Cursor(["x", 12_345_678_901_234_567])
        let text = cursor.text(of: "datasets")
        #expect(text.utf8.allSatisfy { $0 &- 0x30 < 10 || $0 | 0x20 &- 0x61 < 26 || $0 == 0x2D || $0 == 0x5F })
        #expect(try Cursor(text, of: "datasets", count: 2) == cursor)
        #expect(throws: Problem.self) { try Cursor(text, of: "pipelines", count: 2) }
        #expect(throws: Problem.self) { try Cursor(text, of: "datasets", count: 1) }
        #expect(throws: Problem.self) { try Cursor("!", of: "datasets", count: 1) }
        #expect(throws: Problem.self) { try Cursor(String(text.dropLast()), of: "datasets", count: 2) }
    }

    @Test func readsPages() throws {
        let cursor = Cursor(["x"]).text(of: "l")
        let query = try QueryFields(query: "limit=7&cursor=\(cursor)")
        let page = try PageRequest(query, list: "l")
        #expect(page.limit == 7)
        #expect(page.cursor?.values == ["x"])
        try query.finish()
        #expect(try PageRequest(QueryFields(query: ""), list: "l").limit == 100)
        #expect(throws: Problem.self) {
            let query = try QueryFields(query: "limit=1001")
            _ = try PageRequest(query, list: "l")
            try query.finish()
        }
    }

    @Test(arguments: 0..<40)
    func base64SurvivesEveryLength(_ length: Int) {
        let bytes = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ length) }
        #expect(Base64URL.decode(Base64URL.encode(bytes)) == bytes)
    }

    @Test(arguments: ["A", "AB=", "AB+/", "AC", "AAB"])
    func base64RefusesWhatIsNotCanonical(_ text: String) {
        #expect(Base64URL.decode(text) == nil)
    }

    @Test(arguments: [
        ("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg"), ("fooba", "Zm9vYmE"),
        ("foobar", "Zm9vYmFy"),
    ])
    func base64URLAsInTheStandard(_ text: String, _ encoded: String) {
        #expect(Base64URL.encode(Array(text.utf8)) == encoded)
    }

    @Test func base64URLUsesItsOwnAlphabet() {
        #expect(Base64URL.encode([0xFB, 0xFF, 0xFE]) == "-__-")
    }
}
