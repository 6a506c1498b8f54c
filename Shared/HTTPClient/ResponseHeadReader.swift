import HTTP

/// Gathers the head of an answer from the lines that libcurl hands over, each whole: interim heads are dropped, so are
/// trailers, and all of them count towards the limits.
struct ResponseHeadReader {
    private let limits: TransferLimits
    private var octets = 0
    private var fields = 0
    private var status: HTTPStatus?
    private var headers = HTTPHeaders()
    /// The head of the final answer, once the empty line after it is there.
    private(set) var head: (status: HTTPStatus, headers: HTTPHeaders)?

    init(limits: TransferLimits) {
        self.limits = limits
    }

    /// Takes one line with its end. Errors: `.tooLarge`, `.protocolViolation`.
    mutating func read(_ line: [UInt8]) throws(HTTPClientError) {
        octets += line.count
        guard octets <= limits.headOctets else {
            throw HTTPClientError(.tooLarge, "the answer's head is larger than \(limits.headOctets) octets")
        }
        var line = line[...]
        while let last = line.last, last == 0x0D || last == 0x0A { line.removeLast() }
        if status == nil {
            status = try ResponseHeadReader.status(line)
        } else if line.isEmpty {
            try finish()
        } else {
            try field(line)
        }
    }

    private mutating func finish() throws(HTTPClientError) {
        guard head == nil, let status else { return }
        if status.isInformational {
            self.status = nil
            headers = HTTPHeaders()
        } else {
            head = (status, headers)
        }
    }

    private mutating func field(_ line: ArraySlice<UInt8>) throws(HTTPClientError) {
        fields += 1
        guard fields <= limits.headFields else {
            throw HTTPClientError(.tooLarge, "the answer's head has more than \(limits.headFields) fields")
        }
        // White space before the name would be a folded line (RFC 9112, section 5.2); it is no token.
        guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { throw ResponseHeadReader.malformed }
        let name = String(decoding: line[..<colon], as: UTF8.self)
        let value = line[(colon + 1)...]
        let text = value.drop { $0 == 0x20 || $0 == 0x09 }
        let end = text.lastIndex { $0 != 0x20 && $0 != 0x09 }.map { $0 + 1 } ?? text.startIndex
        let field = HTTPHeaders.Field(name: name, value: String(decoding: text[..<end], as: UTF8.self))
        guard field.isWellFormed else { throw ResponseHeadReader.malformed }
        if head == nil { headers.add(field.name, field.value) }
    }

    private static var malformed: HTTPClientError {
        HTTPClientError(.protocolViolation, "a line of the answer's head is malformed")
    }

    /// `HTTP/1.1 200 OK`: the code of a status line (RFC 9112, section 4).
    private static func status(_ line: ArraySlice<UInt8>) throws(HTTPClientError) -> HTTPStatus {
        let parts = line.split(separator: 0x20, maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count >= 2, parts[0].starts(with: "HTTP/1.".utf8), parts[1].count == 3 else { throw malformed }
        guard let code = Int(String(decoding: parts[1], as: UTF8.self)), (100...599).contains(code), code != 101 else {
            throw HTTPClientError(.protocolViolation, "the answer's status is none that was asked for")
        }
        return HTTPStatus(code)
    }
}
