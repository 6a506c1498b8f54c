import HTTP

/// Sends the request's id back, so that a client's report can be found in the logs.
struct RequestIdentity: Middleware {
    func handle(_ request: Request, next: @Sendable (Request) async throws -> Response) async throws -> Response {
        var response = try await next(request)
        response.headers.add("x-request-id", request.context.requestID)
        return response
    }
}
