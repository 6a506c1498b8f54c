import HTTP

/// What a stream of bytes came to: the requests in it, then a fault or what was left open.
struct ParsedStream: Equatable {
    struct Parsed: Equatable {
        var line: String
        var headers: HTTPHeaders
        var framing: HTTPRequestHead.Framing
        var keepsAlive: Bool
        var expectsContinue: Bool
        var body: [UInt8] = []
        var trailers = HTTPHeaders()
        var isComplete = false

        /// What was read, as the corpus writes it.
        var echo: [UInt8] { Array("\(line) \(body.count):".utf8) + body }
    }

    var requests: [Parsed] = []
    var fault: RequestFault?
    var endsBetweenRequests = false

    /// Feeds the pieces one after the other, as a connection would: each in a buffer of its own.
    init(_ pieces: [ArraySlice<UInt8>], limits: RequestParserLimits = RequestParserLimits()) {
        var parser = RequestParser(limits: limits)
        do {
            for piece in pieces { try feed(Array(piece), &parser) }
            endsBetweenRequests = parser.isBetweenRequests
        } catch {
            fault = error
        }
    }

    init(_ bytes: [UInt8], limits: RequestParserLimits = RequestParserLimits()) {
        self.init([bytes[...]], limits: limits)
    }

    init(_ text: String, limits: RequestParserLimits = RequestParserLimits()) {
        self.init(Array(text.utf8), limits: limits)
    }

    private mutating func feed(_ buffer: [UInt8], _ parser: inout RequestParser) throws(RequestFault) {
        var position = 0
        while true {
            let before = position
            switch try parser.next(in: buffer, at: &position, to: buffer.count) {
            case .needsInput:
                precondition(position == buffer.count, "input was left")
                return
            case .head(let head):
                requests.append(
                    Parsed(
                        line: "\(head.method) \(head.targetText)", headers: head.headers, framing: head.framing,
                        keepsAlive: head.keepsAlive, expectsContinue: head.expectsContinue))
            case .body(let range):
                precondition(range.lowerBound >= before && range.upperBound == position && !range.isEmpty)
                requests[requests.count - 1].body += buffer[range]
            case .end:
                requests[requests.count - 1].trailers = parser.trailers
                requests[requests.count - 1].isComplete = true
            }
        }
    }
}

extension String {
    /// Requests written with `\n` as they go over the wire, with CRLF.
    var wire: String { split(separator: "\n", omittingEmptySubsequences: false).joined(separator: "\r\n") }
}
