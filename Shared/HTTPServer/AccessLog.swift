import EventLoop
import HTTP
import Observability

/// Logs answers: those of the server's own faults as warnings, all others where every request is to be logged. Neither
/// queries nor header fields nor bodies are logged, for those hold secrets.
enum AccessLog {
    static func record(
        _ request: Request, _ status: HTTPStatus, _ sizes: RequestSizes, after time: LoopInterval,
        _ lines: inout LogLines
    ) {
        let isFault = status.code >= 500
        guard isFault || request.context.origin.logsAccess else { return }
        let route = request.route?.pattern ?? "unmatched"
        let microseconds = Int(time.nanoseconds / 1000)
        let principal = request.context.principal?.logged
        guard isFault else {
            return lines.append { line in
                line.append(#","request.id":""#, request.context.id)
                line.append(#"","trace.id":""#, traceOf: request.context.trace)
                line.append(#"","http.method":""#, plain: request.method.description)
                line.append(#"","http.path":"#, octets: request.head.loggedPathBytes)
                line.append(#","http.route":""#, plain: route)
                line.append(#"","http.status":"#, status.code)
                line.append(#","http.seconds":"#, microseconds: microseconds)
                line.append(#","http.received":"#, sizes.received)
                line.append(#","http.sent":"#, sizes.sent)
                line.append(#","client.address":""#, plain: request.clientAddress)
                line.append("\"")
                guard let principal else { return }
                line.append(#","workspace":"#, principal.workspace)
                line.append(#","key.id":"#, principal.key)
            }
        }
        let fields: KeyValuePairs<String, LogValue> = [
            "http.method": .string(request.method.description),
            "http.path": .string(request.head.loggedPath),
            "http.route": .string(route),
            "http.status": .int(status.code),
            "http.seconds": .double(Double(microseconds) / 1e6),
            "http.received": .int(sizes.received),
            "http.sent": .int(sizes.sent),
            "client.address": .string(request.clientAddress),
        ]
        var logger = request.context.logger
        if let principal {
            logger = logger.with(["workspace": .string(principal.workspace), "key.id": .string(principal.key)])
        }
        logger.warning("request.answered", fields)
    }

    /// The end of a WebSocket, whose beginning was an answer 101. `code` is nil where there was no close frame.
    static func record(_ request: Request, ended code: WebSocketCloseCode?, after time: LoopInterval) {
        guard code == .internalError || request.context.origin.logsAccess else { return }
        let fields: KeyValuePairs<String, LogValue> = [
            "http.path": .string(request.head.loggedPath),
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
