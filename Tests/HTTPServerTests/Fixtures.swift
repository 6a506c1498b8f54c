import HTTP
import HTTPServer
import JSON
import Observability

/// Requests and routes made in code, for what needs no socket.
enum Fixture {
    static func operation(_ id: String) -> Operation {
        Operation(id: id, summary: id, answers: [Operation.Answer(200, "done")])
    }

    /// A route that answers its own name and parameters.
    static func route(_ method: HTTPMethod, _ pattern: String, _ id: String, names: [String] = []) -> Route {
        Route(method, pattern, scope: nil, operation: operation(id)) { request in
            .text(.ok, ([id] + names.map { request.parameter($0) }).joined(separator: "|"))
        }
    }

    static func request(
        _ method: HTTPMethod, _ target: String, headers: HTTPHeaders = [:], body: String? = nil
    ) throws -> Request {
        let head = try HTTPRequestHead(method, target, headers: headers, bodyLength: body?.utf8.count)
        return request(head, body: RequestBody(Array((body ?? "").utf8)))
    }

    static func request(_ head: HTTPRequestHead, body: RequestBody) -> Request {
        Request(head, body: body, context: RequestContext(head, logger: .silent, peerAddress: "192.0.2.1"))
    }

    static func application(
        _ routes: [Route], middleware: [any Middleware] = [], limits: HTTPLimits = HTTPLimits(),
        metrics: MetricsRegistry = MetricsRegistry()
    ) -> Application {
        Application(router: Router(routes: routes), middleware: middleware, limits: limits, metrics: metrics)
    }
}

extension Response {
    var bodyText: String {
        if case .bytes(let bytes) = body { String(decoding: bytes, as: UTF8.self) } else { "" }
    }

    var json: JSONValue? { try? JSONValue.parse(bodyText) }
}

/// A body that comes in given pieces.
actor PiecewiseBody: RequestBodySource {
    private var pieces: [[UInt8]]

    init(_ pieces: [[UInt8]]) {
        self.pieces = pieces
    }

    func next() async throws(Problem) -> [UInt8]? {
        pieces.isEmpty ? nil : pieces.removeFirst()
    }
}
