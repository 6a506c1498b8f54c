import EventLoop
import HTTP
import Observability

/// Counts, times and measures requests by method, route pattern and class of status: never by what a client made up.
struct RequestMetrics: Sendable {
    private let routes: [Instruments]
    private let unmatched: Instruments

    private final class Instruments: Sendable {
        /// By class of status, from 1xx on.
        let counters: [Counter]
        let duration: Histogram
        let received: Histogram
        let sent: Histogram

        init(_ method: String, _ pattern: String, _ registry: MetricsRegistry) {
            let labels = [("method", method), ("route", pattern)]
            counters = (1...5).map { status in
                registry.counter(
                    "http_requests_total", help: "Requests answered, by method, route and class of status.",
                    labels: labels + [("status", "\(status)xx")])
            }
            duration = registry.histogram(
                "http_request_duration_seconds", help: "Time from a request's head to its answer's head.",
                labels: labels)
            received = registry.histogram(
                "http_request_size_bytes", help: "Octets of requests' bodies as they came.", labels: labels,
                buckets: RequestMetrics.sizes)
            sent = registry.histogram(
                "http_response_size_bytes", help: "Octets of answers' bodies.", labels: labels,
                buckets: RequestMetrics.sizes)
        }
    }

    /// Fewer bounds than times have, for there are two sizes a route.
    private static let sizes: [Double] = [256, 4096, 65_536, 1_048_576, 16_777_216, 268_435_456]

    init(routes: [Route], registry: MetricsRegistry) {
        self.routes = routes.map { Instruments($0.method.description, $0.pattern, registry) }
        unmatched = Instruments("other", "unmatched", registry)
    }

    /// The tallies of one thread: one for each route, and one for what matches none.
    func tallies() -> [RequestTally] { Array(repeating: RequestTally(), count: routes.count + 1) }

    func record(_ index: Int, _ status: HTTPStatus, after time: LoopInterval, in tallies: inout [RequestTally]) {
        tallies[index].byClass[status.code / 100 - 1] += 1
        instruments(index).duration.observe(Double(time.nanoseconds) * 1e-9, in: &tallies[index].duration)
    }

    func record(_ index: Int, _ sizes: RequestSizes, in tallies: inout [RequestTally]) {
        let instruments = instruments(index)
        instruments.received.observe(Double(sizes.received), in: &tallies[index].received)
        instruments.sent.observe(Double(sizes.sent), in: &tallies[index].sent)
    }

    /// Adds a tally to what all threads have counted, and empties it.
    func add(_ tally: inout RequestTally, _ index: Int) {
        let instruments = instruments(index)
        for place in tally.byClass.indices where tally.byClass[place] > 0 {
            instruments.counters[place].add(tally.byClass[place])
        }
        instruments.duration.add(&tally.duration)
        instruments.received.add(&tally.received)
        instruments.sent.add(&tally.sent)
        tally.byClass = .init(repeating: 0)
        tally.isListed = false
    }

    private func instruments(_ index: Int) -> Instruments { index < routes.count ? routes[index] : unmatched }
}

/// Octets of a request's body and of its answer's, without heads and framing.
struct RequestSizes {
    var received: Int
    var sent: Int
}

/// What one thread has counted of one route's requests.
struct RequestTally {
    /// By class of status, from 1xx on.
    var byClass = InlineArray<5, Int>(repeating: 0)
    var duration = HistogramTally()
    var received = HistogramTally()
    var sent = HistogramTally()
    /// It is among those to be handed over.
    var isListed = false
}
