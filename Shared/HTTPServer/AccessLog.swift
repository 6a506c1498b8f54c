import EventLoop
import HTTP
import Observability

/// Logs answers: those of the server's own faults as warnings, all others where every request is to be logged.
enum AccessLog {
    static func record(_ request: Request, _ response: Response, after time: Double) {
        let isFault = response.status.code >= 500
        guard isFault || request.context.logsAccess else { return }
        let fields: KeyValuePairs<String, LogValue> = [
            "http.method": .string(request.method.description),
            "http.path": .string(request.head.path),
            "http.route": .string(request.route?.pattern ?? "unmatched"),
            "http.status": .int(response.status.code),
            "http.seconds": .double(time),
            "client.address": .string(request.clientAddress),
        ]
        let logger = request.context.logger
        if isFault {
            logger.warning("request.answered", fields)
        } else {
            logger.info("request.answered", fields)
        }
    }

    /// The end of a WebSocket, whose beginning was an answer 101. `code` is nil where there was no close frame.
    static func record(_ request: Request, ended code: WebSocketCloseCode?, after time: LoopInterval) {
        guard code == .internalError || request.context.logsAccess else { return }
        let fields: KeyValuePairs<String, LogValue> = [
            "http.path": .string(request.head.path),
            "http.route": .string(request.route?.pattern ?? "unmatched"),
            "websocket.code": code.map { .int(Int($0.rawValue)) } ?? .string("none"),
            "websocket.seconds": .double(Double(time.nanoseconds) / 1e9),
            "client.address": .string(request.clientAddress),
        ]
        let logger = request.context.logger
        if code == .internalError {
            logger.warning("websocket.ended", fields)
        } else {
            logger.info("websocket.ended", fields)
        }
    }
}
