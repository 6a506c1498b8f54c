import EventLoop
import HTTP
import Observability

/// Counts and times requests by method, route pattern and class of status: never by what a client made up.
struct RequestMetrics: Sendable {
    private let routes: [Instruments]
    private let unmatched: Instruments

    private final class Instruments: Sendable {
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

    /// The tallies of one thread: one for each route, and one for what matches none.
    func tallies() -> [RequestTally] { Array(repeating: RequestTally(), count: routes.count + 1) }

    func record(_ index: Int, _ status: HTTPStatus, after time: LoopInterval, in tallies: inout [RequestTally]) {
        tallies[index].byClass[status.code / 100 - 1] += 1
        instruments(index).duration.observe(Double(time.nanoseconds) * 1e-9, in: &tallies[index].duration)
    }

    /// Adds a tally to what all threads have counted, and empties it.
    func add(_ tally: inout RequestTally, _ index: Int) {
        let instruments = instruments(index)
        for place in tally.byClass.indices where tally.byClass[place] > 0 {
            instruments.counters[place].add(tally.byClass[place])
        }
        instruments.duration.add(&tally.duration)
        tally.byClass = .init(repeating: 0)
    }

    private func instruments(_ index: Int) -> Instruments { index < routes.count ? routes[index] : unmatched }
}

/// What one thread has counted of one route's requests.
struct RequestTally {
    /// By class of status, from 1xx on.
    var byClass = InlineArray<5, Int>(repeating: 0)
    var duration = HistogramTally()

    var isEmpty: Bool {
        for place in byClass.indices where byClass[place] > 0 { return false }
        return true
    }
}
