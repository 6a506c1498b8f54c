public import HTTP

extension Response {
    /// A `text/event-stream` (WHATWG HTML, section 9.2): `produce` sends events until it returns, the client goes, or
    /// the server drains; then it is cancelled.
    ///
    /// The head goes out at once, so what can fail is to be done before. Where nothing was sent for `keepAlive`, a
    /// comment is. A client that comes back says where it was: `Request.lastEventID`. The stream also ends when `until`
    /// returns or throws.
    ///
    /// ```swift
    /// return .events(request) { events in
    ///     for await row in rows { try await events.send(ServerSentEvent(id: row.id, data: row.json)) }
    /// }
    /// ```
    public static func events(
        _ request: Request, keepAlive: Duration = .seconds(15),
        until end: (@Sendable () async throws -> Void)? = nil,
        _ produce: @escaping @Sendable (EventWriter) async throws -> Void
    ) -> Response {
        let context = request.context
        // A cache between here and the client must neither keep an event nor hold it back.
        let headers: HTTPHeaders = ["cache-control": "no-store", "x-accel-buffering": "no"]
        return .stream(.ok, MediaType.eventStream.essence, headers: headers) { writer in
            let stream = EventStream(writer)
            try await stream.write(ServerSentEvent.keepAlive)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await produce(EventWriter(stream)) }
                group.addTask { try await stream.keepAlive(every: keepAlive) }
                group.addTask { await context.clientGoneOrDraining() }
                if let end { group.addTask { try? await end() } }
                try await group.next()
                group.cancelAll()
            }
        }
    }
}

extension Request {
    /// The id of the last event that the client has seen (`Last-Event-ID`); nil where it has seen none.
    public var lastEventID: String? {
        head["last-event-id"].flatMap { $0.isEmpty ? nil : $0 }
    }
}

/// Sends the events of one stream.
public struct EventWriter: Sendable {
    private let stream: EventStream

    init(_ stream: EventStream) {
        self.stream = stream
    }

    /// Sends an event; waits while the client is slower than the events, and throws when it has gone, or has taken
    /// nothing for `HTTPLimits.writeTimeout`. Any number of tasks may send; each event goes out whole.
    public func send(_ event: ServerSentEvent) async throws {
        var octets: [UInt8] = []
        event.encode(into: &octets)
        try await stream.write(octets)
    }
}
