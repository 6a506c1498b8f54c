import EventLoop
import HTTP
import Observability

/// Logs answers: those of the server's own faults as warnings, all others where every request is to be logged.
enum AccessLog {
    static func record(
        _ request: Request, _ response: Response, after time: LoopInterval, _ lines: inout LogLines
    ) {
        let isFault = response.status.code >= 500
        guard isFault || request.context.origin.logsAccess else { return }
        let route = request.route?.pattern ?? "unmatched"
        let microseconds = Int(time.nanoseconds / 1000)
        guard isFault else {
            return lines.append { line in
                line.append(#","request.id":""#, request.context.id)
                line.append(#"","trace.id":""#, traceOf: request.context.trace)
                line.append(#"","http.method":""#, plain: request.method.description)
                line.append(#"","http.path":"#, octets: request.head.pathBytes)
                line.append(#","http.route":""#, plain: route)
                line.append(#"","http.status":"#, response.status.code)
                line.append(#","http.seconds":"#, microseconds: microseconds)
                line.append(#","client.address":""#, plain: request.clientAddress)
                line.append("\"")
            }
        }
        request.context.logger.warning(
            "request.answered",
            [
                "http.method": .string(request.method.description),
                "http.path": .string(request.head.path),
                "http.route": .string(route),
                "http.status": .int(response.status.code),
                "http.seconds": .double(Double(microseconds) / 1e6),
                "client.address": .string(request.clientAddress),
            ])
    }

    /// The end of a WebSocket, whose beginning was an answer 101. `code` is nil where there was no close frame.
    static func record(_ request: Request, ended code: WebSocketCloseCode?, after time: LoopInterval) {
        guard code == .internalError || request.context.origin.logsAccess else { return }
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
