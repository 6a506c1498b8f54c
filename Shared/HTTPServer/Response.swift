public import HTTP
public import JSON
public import Observability

/// An answer. The connection adds `Date`, `Connection` and the length or the chunks; HEAD answers lose their body.
public struct Response: Sendable {
    public enum Body: Sendable {
        case empty
        case bytes([UInt8])
        /// Written piece by piece after the head is sent; a body that throws is left unterminated and the connection
        /// closed, so that a client can tell.
        case stream(@Sendable (ResponseWriter) async throws -> Void)
        /// No body: after the head the connection is a WebSocket. Made by `Response.webSocket`.
        case webSocket(WebSocketUpgrade)

        /// Octets that are there.
        var count: Int {
            if case .bytes(let bytes) = self { bytes.count } else { 0 }
        }

        var isStream: Bool {
            if case .stream = self { true } else { false }
        }

        var isWebSocket: Bool {
            if case .webSocket = self { true } else { false }
        }
    }

    public var status: HTTPStatus
    public var headers: HTTPHeaders
    public var body: Body
    /// What the connection names the request by (`X-Request-Id`).
    public internal(set) var requestID: RequestID?

    public init(_ status: HTTPStatus, headers: HTTPHeaders = HTTPHeaders(), body: Body = .empty) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    /// `application/json` of bytes that are JSON already.
    public static func json(_ status: HTTPStatus = .ok, bytes: [UInt8], headers: HTTPHeaders = [:]) -> Response {
        typed(status, "application/json", bytes, headers)
    }

    public static func json(
        _ status: HTTPStatus = .ok, _ value: JSONValue, headers: HTTPHeaders = [:]
    ) -> Response {
        json(status, bytes: value.serialized(), headers: headers)
    }

    /// `application/json` as `write` writes it: one value.
    public static func json(
        _ status: HTTPStatus = .ok, headers: HTTPHeaders = [:], write: (inout JSONWriter) throws -> Void
    ) rethrows -> Response {
        var writer = JSONWriter()
        try write(&writer)
        return json(status, bytes: writer.bytes, headers: headers)
    }

    public static func text(_ status: HTTPStatus = .ok, _ text: String) -> Response {
        typed(status, "text/plain; charset=utf-8", Array(text.utf8), [:])
    }

    public static func bytes(_ status: HTTPStatus = .ok, _ contentType: String, _ bytes: [UInt8]) -> Response {
        typed(status, contentType, bytes, [:])
    }

    public static func noContent() -> Response { Response(.noContent) }

    public static func stream(
        _ status: HTTPStatus = .ok, _ contentType: String, headers: HTTPHeaders = [:],
        _ write: @escaping @Sendable (ResponseWriter) async throws -> Void
    ) -> Response {
        var headers = headers
        headers.add("content-type", contentType)
        return Response(status, headers: headers, body: .stream(write))
    }

    public static func problem(_ problem: Problem) -> Response {
        Response(problem.status, headers: problem.responseHeaders, body: .bytes(problem.body()))
    }

    private static func typed(
        _ status: HTTPStatus, _ contentType: String, _ bytes: [UInt8], _ headers: HTTPHeaders
    ) -> Response {
        // Made once, since it is most answers' only field.
        if headers.isEmpty, contentType == "application/json" {
            return Response(status, headers: onlyJSON, body: .bytes(bytes))
        }
        var headers = headers
        headers.add("content-type", contentType)
        return Response(status, headers: headers, body: .bytes(bytes))
    }

    private static let onlyJSON: HTTPHeaders = ["content-type": "application/json"]
}
