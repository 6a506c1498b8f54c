import HTTP

/// Writes the heads of answers: status line, header fields, framing, `Date`. One a loop, since it keeps the date's
/// text for the second and the status lines that were used.
struct AnswerHead {
    /// How an answer's body is delimited.
    enum Framing: Equatable {
        /// No body and no length: 1xx, 204, 304.
        case none
        case length(Int)
        case chunked
        /// Until the connection is closed: a body of unknown length for an HTTP/1.0 client.
        case untilClose
    }

    /// What the head says about the connection.
    enum Persistence {
        /// Nothing to say: HTTP/1.1 keeps it alive.
        case implicit
        case keepAlive
        case close
        /// What follows is another protocol.
        case upgrade
    }

    private var statusLines = [[UInt8]?](repeating: nil, count: 600)
    private var date: [UInt8] = []
    private var dateSeconds: Int64 = -1

    private static let contentLength = Array("content-length: ".utf8)
    private static let chunked = Array("transfer-encoding: chunked\r\n".utf8)
    private static let close = Array("connection: close\r\n".utf8)
    private static let keepAlive = Array("connection: keep-alive\r\n".utf8)
    private static let upgrade = Array("connection: upgrade\r\n".utf8)
    static let interim = Array("HTTP/1.1 100 Continue\r\n\r\n".utf8)

    /// Appends the whole head, with the empty line that ends it.
    mutating func encode(
        _ response: Response, _ framing: Framing, _ persistence: Persistence, into output: inout [UInt8]
    ) {
        appendStatusLine(response.status, into: &output)
        for field in response.headers.fields where !AnswerHead.isOwn(field.name) {
            output.append(contentsOf: field.name.utf8)
            output.append(0x3A)
            output.append(0x20)
            output.append(contentsOf: field.value.utf8)
            output.appendLineEnd()
        }
        switch framing {
        case .length(let length):
            output.append(contentsOf: AnswerHead.contentLength)
            output.append(decimal: length)
            output.appendLineEnd()
        case .chunked: output.append(contentsOf: AnswerHead.chunked)
        case .none, .untilClose: break
        }
        switch persistence {
        case .implicit: break
        case .keepAlive: output.append(contentsOf: AnswerHead.keepAlive)
        case .close: output.append(contentsOf: AnswerHead.close)
        case .upgrade: output.append(contentsOf: AnswerHead.upgrade)
        }
        // Upgrade is a field of the connection (RFC 9110, section 7.8).
        if response.status.code == 426 { output.append(contentsOf: AnswerHead.upgrade) }
        appendDate(into: &output)
        output.appendLineEnd()
    }

    /// Fields that the connection writes itself: one given by a handler is left out.
    private static func isOwn(_ name: String) -> Bool {
        switch name.utf8.count {
        case 4: name.lowercased() == "date"
        case 10: name.lowercased() == "connection"
        case 14: name.lowercased() == "content-length"
        case 17: name.lowercased() == "transfer-encoding"
        default: false
        }
    }

    private mutating func appendStatusLine(_ status: HTTPStatus, into output: inout [UInt8]) {
        if let line = statusLines[status.code] {
            output.append(contentsOf: line)
        } else {
            let line = Array("HTTP/1.1 \(status.code) \(status.reason)\r\n".utf8)
            statusLines[status.code] = line
            output.append(contentsOf: line)
        }
    }

    private mutating func appendDate(into output: inout [UInt8]) {
        let seconds = Socket.wallSeconds
        if seconds != dateSeconds {
            dateSeconds = seconds
            date = Array("date: \(HTTPDate.format(seconds))\r\n".utf8)
        }
        output.append(contentsOf: date)
    }
}

extension [UInt8] {
    mutating func appendLineEnd() {
        append(0x0D)
        append(0x0A)
    }

    /// Appends a number that is not negative.
    mutating func append(decimal number: Int) {
        guard number >= 10 else { return append(0x30 + UInt8(number)) }
        append(decimal: number / 10)
        append(0x30 + UInt8(number % 10))
    }

    mutating func append(hexadecimal number: Int) {
        if number >= 16 { append(hexadecimal: number >> 4) }
        let digit = UInt8(number & 15)
        append(digit < 10 ? 0x30 + digit : 0x57 + digit)
    }
}
