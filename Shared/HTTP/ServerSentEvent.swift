/// One event of a `text/event-stream` (WHATWG HTML, section 9.2).
public struct ServerSentEvent: Sendable, Hashable {
    /// What a client that comes back sends as `Last-Event-ID`; it must not hold a line end or NUL. Nil leaves the
    /// client's last one as it is; empty forgets it.
    public var id: String?
    /// The event's type; nil is `message`. It must not hold a line end.
    public var event: String?
    /// Any number of lines.
    public var data: String
    /// How long a client waits before it comes back; whole milliseconds.
    public var retry: Duration?

    public init(id: String? = nil, event: String? = nil, data: String, retry: Duration? = nil) {
        precondition(!Octets.hasLineEnd(id ?? ""), "an event's id is one line")
        precondition(!Octets.hasLineEnd(event ?? ""), "an event's type is one line")
        self.id = id
        self.event = event
        self.data = data
        self.retry = retry
    }

    /// What keeps a connection alive and is no event.
    public static let keepAlive = Array(":\n\n".utf8)

    /// The event as it goes over the wire, with the empty line that dispatches it.
    public func encode(into output: inout [UInt8]) {
        if let retry {
            let (seconds, attoseconds) = retry.components
            Self.append("retry", "\(seconds * 1000 + attoseconds / 1_000_000_000_000_000)".utf8, to: &output)
        }
        if let id { Self.append("id", id.utf8, to: &output) }
        if let event { Self.append("event", event.utf8, to: &output) }
        appendData(to: &output)
        output.append(Octets.lf)
    }

    /// A line for each line of the data; CRLF, CR and LF end one.
    private func appendData(to output: inout [UInt8]) {
        let octets = Array(data.utf8)
        var start = 0
        var index = 0
        while index < octets.count {
            if octets[index] == Octets.lf || octets[index] == Octets.cr {
                Self.append("data", octets[start..<index], to: &output)
                if octets[index] == Octets.cr, index + 1 < octets.count, octets[index + 1] == Octets.lf { index += 1 }
                start = index + 1
            }
            index += 1
        }
        Self.append("data", octets[start...], to: &output)
    }

    private static func append(_ field: String, _ value: some Collection<UInt8>, to output: inout [UInt8]) {
        output.append(contentsOf: field.utf8)
        output.append(Octets.colon)
        output.append(Octets.space)
        output.append(contentsOf: value)
        output.append(Octets.lf)
    }
}
