import HTTP
import Observability
import Synchronization

/// What calls of endpoints are counted by.
///
/// Endpoints have names that their users choose, so only the first so many of a process have series of their own; the
/// others share `overflow`. A deleted one's stay until the process ends.
final class EndpointMetrics: Sendable {
    /// Of one endpoint.
    final class Calls: Sendable {
        private let answered: Counter
        private let unchanged: Counter
        private let refused: Counter
        private let failed: Counter
        private let seconds: Histogram

        fileprivate init(_ registry: MetricsRegistry, workspace: String, endpoint: String) {
            let labels = [("workspace", workspace), ("endpoint", endpoint)]
            func counter(_ status: String) -> Counter {
                registry.counter(
                    "millrace_endpoint_calls_total", help: "Calls of endpoints by the status of their answers.",
                    labels: labels + [("status", status)])
            }
            answered = counter("200")
            unchanged = counter("304")
            refused = counter("4xx")
            failed = counter("5xx")
            seconds = registry.histogram(
                "millrace_endpoint_seconds", help: "From a call to the end of its answer.", labels: labels)
        }

        func count(_ status: HTTPStatus, since start: ContinuousClock.Instant) {
            switch status.code {
            case 304: unchanged.add()
            case 400..<500: refused.add()
            case 500...: failed.add()
            default: answered.add()
            }
            seconds.observe(start.duration(to: .now))
        }
    }

    /// Four counters each stay below what a family of the registry holds.
    static let ownSeries = 400

    let hits: Counter
    let misses: Counter
    let shared: Counter
    private let registry: MetricsRegistry
    private let known = Mutex<[[String]: Calls]>([:])
    private let overflow: Calls

    init(_ registry: MetricsRegistry) {
        self.registry = registry
        func counter(_ result: String) -> Counter {
            registry.counter(
                "millrace_endpoint_cache_total",
                help: "Calls of endpoints with a cache: answered from it, by a query, or by a query of another call.",
                labels: [("result", result)])
        }
        hits = counter("hit")
        misses = counter("miss")
        shared = counter("shared")
        overflow = Calls(registry, workspace: "overflow", endpoint: "overflow")
    }

    func calls(workspace: String, endpoint: String) -> Calls {
        known.withLock { known in
            if let calls = known[[workspace, endpoint]] { return calls }
            guard known.count < Self.ownSeries else { return overflow }
            let calls = Calls(registry, workspace: workspace, endpoint: endpoint)
            known[[workspace, endpoint]] = calls
            return calls
        }
    }

    /// Reads the cache's size when metrics are rendered.
    func watch(_ cache: EndpointCache) {
        registry.gauge("millrace_endpoint_cache_bytes", help: "What the cache of endpoints' answers holds.") {
            Double(cache.size.bytes)
        }
        registry.gauge("millrace_endpoint_cache_answers", help: "Answers in the cache of endpoints.") {
            Double(cache.size.count)
        }
        registry.gauge("millrace_endpoint_waiting", help: "Calls of endpoints that wait for the query of another.") {
            Double(cache.waiting)
        }
    }
}
