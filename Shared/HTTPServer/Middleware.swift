/// Work around every handler: it may change the request, answer in the handler's place, or change the answer.
public protocol Middleware: Sendable {
    nonisolated(nonsending) func handle(_ request: Request, next: Route.Handler) async throws -> Response
}
