import HTTP
import Observability
import Synchronization

/// Counts WebSockets by route: how many are open, what went over them, and how they ended.
final class WebSocketMetrics: Sendable {
    /// One route's.
    final class Instruments: Sendable {
        let open: Gauge
        let received: Counter
        let receivedOctets: Counter
        let sent: Counter
        let sentOctets: Counter
        private let ends: [UInt16: Counter]
        private let otherEnds: Counter

        init(_ route: String, _ registry: MetricsRegistry) {
            func counter(_ name: String, _ help: String, _ direction: String) -> Counter {
                registry.counter(name, help: help, labels: [("route", route), ("direction", direction)])
            }
            func end(_ code: String) -> Counter {
                registry.counter(
                    "http_websockets_ended_total", help: "WebSockets ended, by close code.",
                    labels: [("route", route), ("code", code)])
            }
            open = registry.gauge("http_websockets_open", help: "WebSockets that are open.", labels: [("route", route)])
            let messages = "http_websocket_messages_total"
            received = counter(messages, "Messages of WebSockets.", "received")
            sent = counter(messages, "Messages of WebSockets.", "sent")
            let octets = "http_websocket_octets_total"
            receivedOctets = counter(octets, "Octets of WebSockets' messages, expanded.", "received")
            sentOctets = counter(octets, "Octets of WebSockets' messages, expanded.", "sent")
            let codes: [WebSocketCloseCode] = [
                .normal, .goingAway, .protocolError, .unsupportedData, .invalidPayload, .policyViolation,
                .messageTooBig, .internalError, .tryAgainLater,
            ]
            ends = Dictionary(uniqueKeysWithValues: codes.map { ($0.rawValue, end($0.description)) })
            otherEnds = end("other")
        }

        /// `code` is nil where there was no close frame.
        func ended(_ code: WebSocketCloseCode?) { (code.flatMap { ends[$0.rawValue] } ?? otherEnds).add(1) }
    }

    private let registry: MetricsRegistry
    private let routes = Mutex<[String: Instruments]>([:])

    init(_ registry: MetricsRegistry) {
        self.registry = registry
    }

    /// Made by a route's first WebSocket.
    func instruments(for route: String) -> Instruments {
        routes.withLock { routes in
            if let known = routes[route] { return known }
            let made = Instruments(route, registry)
            routes[route] = made
            return made
        }
    }
}
