import HTTP
public import HTTPServer

/// The routes that the corpus' answers are those of.
public enum EchoRoutes {
    public static var all: [Route] {
        let echoing: [Route] = [HTTPMethod.get, .post, .put, .delete, .patch].flatMap { method in
            ["/", "/{path...}"].map { route(method, $0, echo) }
        }
        return echoing + [
            route(.post, "/small", bodyLimit: 8, echo),
            route(.get, "/status/204") { _ in .noContent() },
            route(.get, "/status/304") { _ in Response(.notModified, headers: ["etag": "\"v1\""]) },
            route(.get, "/stream") { request in
                let answer = try await echoed(request)
                return .stream(.ok, "application/octet-stream") { writer in
                    try await writer.write(Array(answer.prefix(3)))
                    try await writer.write(Array(answer.dropFirst(3)))
                }
            },
        ]
    }

    private static let echo: Route.Handler = { request in
        .bytes(.ok, "application/octet-stream", try await echoed(request))
    }

    /// `METHOD target length:body`
    private nonisolated(nonsending) static func echoed(_ request: Request) async throws -> [UInt8] {
        let body = try await request.body.collect(limit: 1 << 20)
        return Array("\(request.method) \(request.head.targetText) \(body.count):".utf8) + body
    }

    private static func route(
        _ method: HTTPMethod, _ pattern: String, bodyLimit: Int? = nil, _ handler: @escaping Route.Handler
    ) -> Route {
        let operation = Operation(id: pattern, summary: pattern, answers: [Operation.Answer(200, "What was read")])
        return Route(method, pattern, scope: nil, bodyLimit: bodyLimit, operation: operation, handler: handler)
    }
}
