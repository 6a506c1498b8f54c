import HTTP
import Testing

@Suite struct RequestLimitTests {
    private func line(of length: Int) -> String {
        let fixed = "GET / HTTP/1.1".utf8.count
        return "GET /" + String(repeating: "a", count: length - fixed) + " HTTP/1.1\r\nHost: a\r\n\r\n"
    }

    private func chunked(_ body: String) -> String {
        "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n\(body)".wire
    }

    @Test func theRequestLineIsLimited() {
        #expect(ParsedStream(line(of: 8_000)).requests.first?.isComplete == true)
        #expect(ParsedStream(line(of: 8_001)).fault?.code == .targetTooLong)
        #expect(ParsedStream(String(repeating: "A", count: 100_000)).fault?.code == .targetTooLong)
    }

    @Test func headerOctetsAreLimited() {
        var limits = RequestParserLimits()
        limits.headerOctets = 100
        let filled = { (octets: Int) in
            let fixed = "Host: a\r\nX: \r\n\r\n".utf8.count
            return "GET / HTTP/1.1\r\nHost: a\r\nX: " + String(repeating: "v", count: octets - fixed) + "\r\n\r\n"
        }
        #expect(ParsedStream(filled(100), limits: limits).requests.first?.isComplete == true)
        #expect(ParsedStream(filled(101), limits: limits).fault?.code == .headersTooLarge)
        #expect(ParsedStream(filled(40_000)).fault?.problem.status.code == 431)
        #expect(ParsedStream(filled(30_000)).fault == nil)
    }

    @Test func headerFieldsAreLimited() {
        let fields = { (count: Int) in
            "GET / HTTP/1.1\r\nHost: a\r\n" + String(repeating: "X: y\r\n", count: count - 1) + "\r\n"
        }
        #expect(ParsedStream(fields(100)).fault == nil)
        #expect(ParsedStream(fields(101)).fault?.code == .headersTooLarge)
    }

    @Test func chunkExtensionsAreLimitedInAll() {
        let body = { (octets: Int, chunks: Int) in
            let chunk = "1;" + String(repeating: "e", count: octets) + "\nx\n"
            return chunked(String(repeating: chunk, count: chunks) + "0\n\n")
        }
        #expect(ParsedStream(body(4_096, 1)).fault == nil)
        #expect(ParsedStream(body(4_097, 1)).fault?.code == .malformed)
        #expect(ParsedStream(body(1_024, 4)).fault == nil)
        #expect(ParsedStream(body(1_024, 5)).fault?.code == .malformed)
    }

    @Test func trailersAreLimited() {
        let trailers = { (octets: Int) in
            chunked("0\nX: " + String(repeating: "t", count: octets) + "\n\n")
        }
        #expect(ParsedStream(trailers(8_000)).fault == nil)
        #expect(ParsedStream(trailers(8_192)).fault?.code == .headersTooLarge)
    }

    @Test func limitsAreTheSameForEverySplit() {
        var limits = RequestParserLimits()
        limits.requestLine = 20
        limits.headerOctets = 24
        limits.headerFields = 3
        limits.trailerOctets = 12
        limits.chunkExtensions = 3
        let streams =
            [
                "GET /aaaaaa HTTP/1.1\nHost: a\nX: yyyyyyy\n\n", "GET /aaaaaaa HTTP/1.1\nHost: a\n\n",
                "GET / HTTP/1.1\nHost: a\nX: yyyyyyyyyyyyyyyy\n\n", "GET / HTTP/1.1\nHost: a\nA:\nB:\nC:\n\n",
                "GET /aaaaaa HTTP/1.1\nHost: a\nX: yyyyyyyy\n\n", "GET / HTTP/1.1\nHost: a\nbad bad bad bad bad\n\n",
                "G T aaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n\n", "GETAAAAAAAAAAAAAAAAAAAAAAA\n",
                "GETAAAAAAAAAAAAAAAAAA{", "GETAAAAAAAAAAAAAAAAAAA{", "GETAAAAAAAAAAAAAAAAAAA\nX",
                "GETAAAAAAAAAAAAAAAAAAAA{",
            ].map(\.wire) + ["GET /aaaaaaaaaaaaaaa\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: aaaaaaaaaaaaaaa\n\r\n"]
        for stream in streams {
            let bytes = Array(stream.utf8)
            let whole = ParsedStream(bytes, limits: limits)
            for cut in 0...bytes.count {
                #expect(ParsedStream([bytes[..<cut], bytes[cut...]], limits: limits) == whole, "\(stream) at \(cut)")
            }
            #expect(ParsedStream(bytes.indices.map { bytes[$0...$0] }, limits: limits) == whole)
        }
    }
}
