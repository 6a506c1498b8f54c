import Observability

/// What the load worker counts.
struct LoadMetrics: Sendable {
    let rows: Counter
    let chunks: Counter
    let bytes: Counter
    let refused: Counter
    let duplicates: Counter
    let expired: Counter
    let sentBack: Counter
    let seconds: Histogram
    private let quarantined: CounterFamily
    private let groupRows: Histogram

    init(_ registry: MetricsRegistry) {
        rows = registry.counter("millrace_store_rows_total", help: "Rows loaded into datasets.")
        chunks = registry.counter("millrace_store_chunks_total", help: "Chunks loaded.")
        bytes = registry.counter("millrace_store_bytes_total", help: "Bytes of rows loaded, in the COPY format.")
        refused = registry.counter("millrace_store_refused_total", help: "Rows that tables refused.")
        duplicates = registry.counter(
            "millrace_store_duplicates_total", help: "Rows that lost against another with their key.")
        expired = registry.counter(
            "millrace_store_expired_total", help: "Rows left out that were older than their dataset's retention.")
        sentBack = registry.counter(
            "millrace_store_sent_back_total", help: "Chunks sent back to be transformed again.")
        seconds = registry.histogram("millrace_store_load_seconds", help: "Time to load a group of chunks.")
        groupRows = registry.histogram(
            "millrace_store_load_rows", help: "Rows loaded in one transaction.",
            buckets: [1, 10, 100, 1000, 10_000, 100_000, 1_000_000])
        quarantined = registry.quarantine()
    }

    func loaded(_ outcome: GroupLoader.Outcome, chunks count: Int, bytes size: Int) {
        rows.add(outcome.rows)
        chunks.add(count)
        bytes.add(size)
        refused.add(outcome.refused)
        duplicates.add(outcome.duplicates)
        expired.add(outcome.expired)
        groupRows.observe(Double(outcome.rows))
        for (reason, count) in outcome.reasons { quarantined.add(["store", reason], count) }
    }
}
