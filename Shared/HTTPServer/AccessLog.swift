import HTTP
import Observability

/// Logs each answer: those of the server's own faults as warnings, all others when debugging.
struct AccessLog: Middleware {
    func handle(_ request: Request, next: @Sendable (Request) async throws -> Response) async throws -> Response {
        let response = try await next(request)
        let isFault = response.status.code >= 500
        guard isFault || request.context.isDebugging else { return response }
        let fields: KeyValuePairs<String, LogValue> = [
            "http.method": .string(request.method.description),
            "http.route": .string(request.route?.pattern ?? "unmatched"),
            "http.status": .int(response.status.code),
            "client.address": .string(request.context.clientAddress),
        ]
        if isFault {
            request.context.logger.warning("request.answered", fields)
        } else {
            request.context.logger.debug("request.answered", fields)
        }
        return response
    }
}
