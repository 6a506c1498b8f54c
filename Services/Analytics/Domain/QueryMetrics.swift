import Observability

/// What the queries of users are counted by.
struct QueryMetrics: Sendable {
    private let answered: Counter
    private let refused: Counter
    private let failed: Counter
    private let rows: Counter
    private let seconds: Histogram

    init(_ registry: MetricsRegistry) {
        func counter(_ outcome: String) -> Counter {
            registry.counter(
                "millrace_queries_total", help: "Users' queries by what became of them.",
                labels: [("outcome", outcome)])
        }
        answered = counter("answered")
        refused = counter("refused")
        failed = counter("failed")
        rows = registry.counter("millrace_query_rows_total", help: "Rows that queries answered with.")
        seconds = registry.histogram("millrace_query_seconds", help: "From a query's start to its last row.")
    }

    func answered(rows count: Int, in time: Duration) {
        answered.add(1)
        rows.add(count)
        seconds.observe(time / .seconds(1))
    }

    func refusedQuery() { refused.add(1) }
    func failedQuery() { failed.add(1) }
}
