import EventLoop
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

    /// The end of a WebSocket, whose beginning was an answer 101. `code` is nil where there was no close frame.
    static func record(_ request: Request, ended code: WebSocketCloseCode?, after time: LoopInterval) {
        guard code == .internalError || request.context.isDebugging else { return }
        let fields: KeyValuePairs<String, LogValue> = [
            "http.route": .string(request.route?.pattern ?? "unmatched"),
            "websocket.code": code.map { .int(Int($0.rawValue)) } ?? .string("none"),
            "websocket.seconds": .double(Double(time.nanoseconds) / 1e9),
            "client.address": .string(request.context.clientAddress),
        ]
        if code == .internalError {
            request.context.logger.warning("websocket.ended", fields)
        } else {
            request.context.logger.debug("websocket.ended", fields)
        }
    }
}
