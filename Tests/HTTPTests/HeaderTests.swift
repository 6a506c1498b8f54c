import HTTP
import Testing

@Suite struct HeaderTests {
    @Test func headersKeepOrderAndIgnoreCase() {
        var headers: HTTPHeaders = ["A": "1", "b": "2", "a": "3"]
        #expect(headers["B"] == "2")
        #expect(headers.values("A") == ["1", "3"])
        headers["A"] = "4"
        #expect(headers.fields.map(\.name) == ["b", "A"])
        headers["b"] = nil
        #expect(!headers.contains("B"))
    }

    @Test func noValueAddsLines() {
        let headers: HTTPHeaders = ["X\r\nY: z": "a\r\nSet-Cookie: b\u{0}"]
        var bytes: [UInt8] = []
        headers.encode(into: &bytes)
        #expect(String(decoding: bytes, as: UTF8.self) == "X  Y: z: a  Set-Cookie: b \r\n")
    }

    @Test func headsAreReadLazily() throws {
        let head = try HTTPRequestHead(
            .put, "/a%20b?x=1", headers: ["Accept": "a, B", "accept": "c", "Connection": "Upgrade, close"],
            bodyLength: 3)
        #expect(head.method == .put)
        #expect(head.path == "/a%20b")
        #expect(head.query == "x=1")
        #expect(head["accept"] == "a, B")
        #expect(head.values("accept") == ["a, B", "c"])
        #expect(head.has("accept", token: "b") && head.has("accept", token: "c"))
        #expect(head.has("connection", token: "upgrade"))
        #expect(!head.keepsAlive)
        #expect(head.contentLength == 3)
        #expect(head["absent"] == nil)
        #expect(throws: RequestFault.self) { try HTTPRequestHead(.get, "/a b") }
    }

    @Test(arguments: [
        ("http://h/a/b?c=d", "/a/b", "c=d"), ("http://h", "/", ""), ("http://h?q", "/", "q"), ("/?", "/", ""),
        ("https://[::1]:8080/x", "/x", ""), ("/a?b?c", "/a", "b?c"),
    ])
    func findsThePathOfEveryForm(_ target: String, _ path: String, _ query: String) throws {
        let head = try HTTPRequestHead(.get, target)
        #expect(head.path == path)
        #expect(head.query == query)
    }

    @Test(
        arguments: [
            ("text/csv", "text/csv", nil), ("Text/CSV; Charset=\"UTF-8\"", "text/csv", "UTF-8"),
            ("application/json;charset=utf-8;", "application/json", "utf-8"), ("a/b ; x=\"q\\\"s\"", "a/b", nil),
        ] as [(String, String, String?)])
    func readsMediaTypes(_ text: String, _ essence: String, _ charset: String?) throws {
        let type = try #require(MediaType(text))
        #expect(type.essence == essence)
        #expect(type["charset"] == charset)
        #expect(type.isUTF8)
    }

    @Test(arguments: ["", "text", "text/", "/csv", "text csv", "text/csv x", "text/csv; a", "text/csv; a=\"b"])
    func refusesMediaTypes(_ text: String) {
        #expect(MediaType(text) == nil)
    }

    @Test func otherCharsetsAreNoUTF8() {
        #expect(MediaType("text/csv; charset=latin1")?.isUTF8 == false)
    }

    @Test(
        arguments: [
            (nil, "application/json"), ("*/*", "application/json"), ("text/csv", "text/csv"),
            ("text/*;q=0.5, application/json;q=0.1", "text/csv"), ("application/json;q=0", nil), ("image/png", nil),
            ("text/csv;q=0, */*", "application/json"), ("text/csv, application/json", "application/json"),
            ("!", "application/json"),
        ] as [(String?, String?)])
    func choosesByAccept(_ accept: String?, _ chosen: String?) {
        #expect(MediaType.choose(accept, from: [.json, .csv])?.essence == chosen)
    }

    @Test(
        arguments: [
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"), (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"), (4_102_444_799, "Thu, 31 Dec 2099 23:59:59 GMT"),
            (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] as [(Int64, String)])
    func writesDates(_ seconds: Int64, _ text: String) {
        #expect(HTTPDate.format(seconds) == text)
        #expect(HTTPDate.parse(text) == seconds)
    }

    @Test(arguments: [
        "", "Sun, 31 Feb 1999 00:00:00 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun, 06 Nov 1994 24:49:37 GMT",
    ])
    func refusesDates(_ text: String) {
        #expect(HTTPDate.parse(text) == nil)
    }

    @Test func entityTagsGuardChanges() throws {
        let tag = EntityTag(version: 3)
        let head = { (name: String, value: String) throws(RequestFault) in
            try HTTPRequestHead(.put, "/", headers: [name: value])
        }
        try EntityTag.check(HTTPRequestHead(.put, "/"), current: nil)
        try EntityTag.check(head("If-Match", "\"v2\", \"v3\""), current: tag)
        try EntityTag.check(head("If-Match", "*"), current: tag)
        try EntityTag.check(head("If-None-Match", "*"), current: nil)
        #expect(throws: Problem.self) { try EntityTag.check(head("If-Match", "\"v2\""), current: tag) }
        #expect(throws: Problem.self) { try EntityTag.check(head("If-Match", "W/\"v3\""), current: tag) }
        #expect(throws: Problem.self) { try EntityTag.check(head("If-Match", "*"), current: nil) }
        #expect(throws: Problem.self) { try EntityTag.check(head("If-None-Match", "*"), current: tag) }
        #expect(try EntityTag.isUnchanged(head("If-None-Match", "W/\"v3\""), current: tag))
        #expect(try !EntityTag.isUnchanged(head("If-None-Match", "\"v4\""), current: tag))
    }
}
