import Buffers
import HTTP
import Observability

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

    private static let separator: StaticString = ": "
    private static let requestID: StaticString = "x-request-id: "
    private static let contentLength: StaticString = "content-length: "
    private static let chunked: StaticString = "transfer-encoding: chunked\r\n"
    private static let close: StaticString = "connection: close\r\n"
    private static let keepAlive: StaticString = "connection: keep-alive\r\n"
    private static let upgrade: StaticString = "connection: upgrade\r\n"
    static let interim = Array("HTTP/1.1 100 Continue\r\n\r\n".utf8)

    /// Appends the whole head, with the empty line that ends it.
    mutating func encode(
        _ response: Response, _ framing: Framing, _ persistence: Persistence, into output: inout OctetBuffer
    ) {
        appendStatusLine(response.status, into: &output)
        for field in response.headers.fields where !AnswerHead.isOwn(field.name) {
            output.append(field.name)
            output.append(AnswerHead.separator)
            output.append(field.value)
            output.appendLineEnd()
        }
        if let id = response.requestID {
            output.append(AnswerHead.requestID)
            id.write(to: &output)
            output.appendLineEnd()
        }
        switch framing {
        case .length(let length):
            output.append(AnswerHead.contentLength)
            output.append(decimal: length)
            output.appendLineEnd()
        case .chunked: output.append(AnswerHead.chunked)
        case .none, .untilClose: break
        }
        switch persistence {
        case .implicit: break
        case .keepAlive: output.append(AnswerHead.keepAlive)
        case .close: output.append(AnswerHead.close)
        case .upgrade: output.append(AnswerHead.upgrade)
        }
        // Upgrade is a field of the connection (RFC 9110, section 7.8).
        if response.status.code == 426 { output.append(AnswerHead.upgrade) }
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

    private mutating func appendStatusLine(_ status: HTTPStatus, into output: inout OctetBuffer) {
        if let line = statusLines[status.code] {
            output.append(line)
        } else {
            let line = Array("HTTP/1.1 \(status.code) \(status.reason)\r\n".utf8)
            statusLines[status.code] = line
            output.append(line)
        }
    }

    private mutating func appendDate(into output: inout OctetBuffer) {
        let seconds = Socket.wallSeconds
        if seconds != dateSeconds {
            dateSeconds = seconds
            date = Array("date: \(HTTPDate.format(seconds))\r\n".utf8)
        }
        output.append(date)
    }
}
