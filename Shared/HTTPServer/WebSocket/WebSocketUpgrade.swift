public import HTTP

/// What becomes of a connection once its answer is 101.
public final class WebSocketUpgrade: Sendable {
    /// As the handler that made this saw it: with its route.
    let request: Request
    let handshake: WebSocketHandshake
    let options: WebSocketOptions
    let handler: WebSocket.Handler

    init(
        _ request: Request, _ handshake: WebSocketHandshake, _ options: WebSocketOptions,
        _ handler: @escaping WebSocket.Handler
    ) {
        self.request = request
        self.handshake = handshake
        self.options = options
        self.handler = handler
    }
}

extension Response {
    /// Makes the connection a WebSocket, which `handler` runs; what it is like is told at ``WebSocket``.
    ///
    /// The answer goes through the middleware as any other. Throws `upgrade_required` (426) where the request asks for
    /// no WebSocket, `invalid_header` (400) where its handshake is malformed.
    ///
    /// ```swift
    /// Route(.get, "/v1/echo", scope: nil, operation: …) { request in
    ///     try .webSocket(request) { socket in
    ///         while let message = try await socket.receive() { try await socket.send(message) }
    ///     }
    /// }
    /// ```
    public static func webSocket(
        _ request: Request, options: WebSocketOptions = WebSocketOptions(), handler: @escaping WebSocket.Handler
    ) throws(Problem) -> Response {
        let handshake = try WebSocketHandshake(
            request.head, subprotocols: options.subprotocols, compression: options.compression)
        return Response(
            .switchingProtocols, headers: handshake.headers,
            body: .webSocket(WebSocketUpgrade(request, handshake, options, handler)))
    }
}
