import HTTP
import HTTPCorpus
import Testing

@Suite struct RequestParserTests {
    @Test(arguments: try HTTPCorpus.cases())
    func readsTheCorpus(_ wire: HTTPCase) {
        let parsed = ParsedStream(wire.octets)
        #expect(parsed.requests.filter(\.isComplete).map(\.echo) == wire.requests)
        #expect(parsed.fault?.problem.status.code == wire.fault)
        if let trailers = wire.trailers {
            let last = parsed.requests.last { $0.isComplete }
            #expect(last?.trailers.fields.map { "\($0.name): \($0.value)" } == trailers)
        }
        guard wire.fault == nil else { return }
        #expect(parsed.endsBetweenRequests == (wire.end == .open || wire.end == .closed))
        #expect((parsed.requests.count > wire.requests.count) == (wire.end == .body))
        if wire.end == .open { #expect(parsed.requests.allSatisfy { $0.keepsAlive }) }
        if wire.isInterim { #expect(parsed.requests.last?.expectsContinue == true) }
    }

    /// In two, everywhere; and octet by octet. Streams that are long for a limit's sake are cut where the limit is, and
    /// here and there; the limits' own tests cut short ones everywhere.
    @Test(arguments: try HTTPCorpus.cases())
    func everySplitParsesTheSame(_ wire: HTTPCase) {
        let octets = wire.octets
        let whole = ParsedStream(octets)
        for cut in 0...octets.count where octets.count < 2_000 || cut % 499 == 0 || octets.count - cut < 30 {
            #expect(ParsedStream([octets[..<cut], octets[cut...]]) == whole, "cut at \(cut)")
        }
        #expect(ParsedStream(octets.indices.map { octets[$0...$0] }) == whole, "octet by octet")
    }

    @Test func expectationsCountOnlyWithABodyOn11() throws {
        let old = "POST / HTTP/1.0\nExpect: 100-continue\nContent-Length: 1\n\nx".wire
        #expect(ParsedStream(old).requests.first?.expectsContinue == false)
        let empty = "POST / HTTP/1.1\nHost: a\nExpect: 100-continue\n\n".wire
        #expect(ParsedStream(empty).requests.first?.expectsContinue == false)
    }

    @Test func trailersAreForgottenByTheNextRequest() {
        let trailing = "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n0\nX: y\n\n".wire
        let parsed = ParsedStream(trailing + "GET / HTTP/1.1\nHost: a\n\n".wire)
        #expect(parsed.requests.map(\.trailers.count) == [1, 0])
    }
}
