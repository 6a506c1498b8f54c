import HTTP
import Observability

/// Logs answers: those of the server's own faults as warnings, all others when debugging.
enum AccessLog {
    static func record(_ request: Request, _ response: Response) {
        let isFault = response.status.code >= 500
        guard isFault || request.context.isDebugging else { return }
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
    }
}
