import EventLoop
public import HTTP

/// A WebSocket as its handler sees it.
///
/// One task receives, all the time: that is when pings are sent and answered, silence is noticed, and octets are read
/// at all; a client is held up by TCP while nobody receives. Any number of tasks may send. When the handler returns,
/// what it sent goes out, and the connection is closed with 1000; with 1001 where the server drains. When it throws,
/// the error becomes a problem as it would in an answer: its JSON is the last message, and the close code tells the
/// kind:
///
/// | problem | close code |
/// |---|---|
/// | 400, 415, 422 | 1007 |
/// | 413 | 1009 |
/// | other 4xx but 429 | 1008 |
/// | 429, 503 | 1013 |
/// | other 5xx | 1011 |
///
/// A client that broke the protocol or a limit gets the code that RFC 6455 gives to that.
public struct WebSocket: Sendable {
    /// What runs a WebSocket, on its connection's loop.
    public typealias Handler = nonisolated(nonsending) @Sendable (WebSocket) async throws -> Void

    private let session: LoopBound<WebSocketSession>
    /// The subprotocol that was agreed on.
    public let subprotocol: String?

    init(_ session: LoopBound<WebSocketSession>, subprotocol: String?) {
        self.session = session
        self.subprotocol = subprotocol
    }

    /// The next message; nil once the client has closed, or the server drains. What is sent after that still goes out,
    /// until the handler returns.
    public nonisolated(nonsending) func receive() async throws(WebSocketEnd) -> WebSocketMessage? {
        if session.loop.isCurrent { return try await session.value.receive() }
        let session = session
        let result: Result<WebSocketMessage?, WebSocketEnd> = await session.loop.run {
            do throws(WebSocketEnd) {
                return .success(try await session.value.receive())
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    /// Ends the `receive` that is on, and every later one, as if the client had closed: for a handler whose other tasks
    /// have come to an end.
    public nonisolated(nonsending) func stopReceiving() async {
        if session.loop.isCurrent { return session.value.stopReceiving() }
        let session = session
        await session.loop.run { session.value.stopReceiving() }
    }

    /// Sends a message; returns once no more than `WebSocketOptions.sendBuffer` octets are on their way. Messages go
    /// out in the order of the calls.
    public nonisolated(nonsending) func send(_ message: WebSocketMessage) async throws(WebSocketEnd) {
        if session.loop.isCurrent { return try await session.value.send(message) }
        let session = session
        let result: Result<Void, WebSocketEnd> = await session.loop.run {
            do throws(WebSocketEnd) {
                return .success(try await session.value.send(message))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }
}
