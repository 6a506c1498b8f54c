/// Work around every handler: it may change the request, answer in the handler's place, or change the answer.
public protocol Middleware: Sendable {
    func handle(_ request: Request, next: @Sendable (Request) async throws -> Response) async throws -> Response
}
