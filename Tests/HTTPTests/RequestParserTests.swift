import HTTP
import Testing

@Suite struct RequestParserTests {
    @Test(arguments: RequestCorpus.accepted)
    func accepts(_ stream: String) {
        let parsed = ParsedStream(stream)
        #expect(parsed.fault == nil)
        #expect(!parsed.requests.isEmpty && parsed.requests.allSatisfy(\.isComplete))
        #expect(parsed.endsBetweenRequests)
    }

    @Test(arguments: RequestCorpus.refused)
    func refuses(_ stream: String, code: Int) {
        let parsed = ParsedStream(stream)
        #expect(parsed.fault?.problem.status.code == code)
        #expect(parsed.completed == 0)
    }

    @Test(arguments: RequestCorpus.cutOff)
    func whatIsCutOffIsNeverComplete(_ stream: String) {
        let parsed = ParsedStream(stream)
        #expect(parsed.fault == nil)
        #expect(parsed.completed == 0)
        #expect(parsed.endsBetweenRequests == stream.allSatisfy { $0 == "\r\n" })
    }

    @Test func everySplitParsesTheSame() {
        for bytes in RequestCorpus.all {
            let whole = ParsedStream(bytes)
            for cut in 0...bytes.count {
                let parsed = ParsedStream([bytes[..<cut], bytes[cut...]])
                #expect(parsed == whole, "cut at \(cut) of \(String(decoding: bytes, as: UTF8.self).debugDescription)")
            }
            let single = ParsedStream(bytes.indices.map { bytes[$0...$0] })
            #expect(single == whole, "octet by octet: \(String(decoding: bytes, as: UTF8.self).debugDescription)")
        }
    }

    @Test func readsHeadAndBody() throws {
        let parsed = ParsedStream(RequestCorpus.accepted[7])
        let request = try #require(parsed.requests.first)
        #expect(request.line == "POST /p")
        #expect(request.body == Array("0123456789".utf8))
        #expect(request.framing == .chunked)
        #expect(request.headers["host"] == "a")
        #expect(request.trailers == ["X-Sum": "1"])
    }

    @Test func answersPipelinedRequestsInOrder() {
        let parsed = ParsedStream(RequestCorpus.accepted[8])
        #expect(parsed.requests.map(\.line) == ["PUT /a", "GET /b"])
        #expect(parsed.requests.map(\.keepsAlive) == [true, false])
        #expect(parsed.requests[0].body == Array("{}".utf8))
    }

    @Test(arguments: [(9, false), (10, true), (11, true)])
    func keepsAliveByVersion(_ index: Int, _ keeps: Bool) {
        #expect(ParsedStream(RequestCorpus.accepted[index]).requests.first?.keepsAlive == keeps)
    }

    @Test func expectationsCountOnlyWithABodyOn11() throws {
        #expect(ParsedStream(RequestCorpus.accepted[15]).requests.first?.expectsContinue == true)
        let old = "POST / HTTP/1.0\nExpect: 100-continue\nContent-Length: 1\n\nx".wire
        #expect(ParsedStream(old).requests.first?.expectsContinue == false)
        let empty = "POST / HTTP/1.1\nHost: a\nExpect: 100-continue\n\n".wire
        #expect(ParsedStream(empty).requests.first?.expectsContinue == false)
    }

    @Test func trailersAreForgottenByTheNextRequest() {
        let parsed = ParsedStream(RequestCorpus.accepted[7] + RequestCorpus.accepted[0])
        #expect(parsed.requests.map(\.trailers.count) == [1, 0])
    }
}
