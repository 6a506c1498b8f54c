import HTTP
import Observability

/// Counts and times requests by method, route pattern and class of status: never by what a client made up.
struct RequestMetrics: Sendable {
    private let routes: [Instruments]
    private let unmatched: Instruments

    private struct Instruments: Sendable {
        /// By class of status, from 1xx on.
        let counters: [Counter]
        let duration: Histogram

        init(_ method: String, _ pattern: String, _ registry: MetricsRegistry) {
            counters = (1...5).map { status in
                registry.counter(
                    "http_requests_total", help: "Requests answered, by method, route and class of status.",
                    labels: [("method", method), ("route", pattern), ("status", "\(status)xx")])
            }
            duration = registry.histogram(
                "http_request_duration_seconds", help: "Time from a request's head to its answer's head.",
                labels: [("method", method), ("route", pattern)])
        }
    }

    init(routes: [Route], registry: MetricsRegistry) {
        self.routes = routes.map { Instruments($0.method.description, $0.pattern, registry) }
        unmatched = Instruments("other", "unmatched", registry)
    }

    /// Returns the seconds it took.
    func record(_ request: Request, _ response: Response, since start: ContinuousClock.Instant) -> Double {
        let instruments = request.routeIndex.map { routes[$0] } ?? unmatched
        let elapsed = (ContinuousClock.now - start).components
        let seconds = Double(elapsed.seconds) + Double(elapsed.attoseconds) / 1e18
        instruments.duration.observe(seconds)
        instruments.counters[response.status.code / 100 - 1].add(1)
        return seconds
    }
}
