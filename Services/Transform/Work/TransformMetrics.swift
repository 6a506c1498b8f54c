import Observability

/// What the transform service counts.
struct TransformMetrics: Sendable {
    private let batches: Counter
    private let bytes: Counter
    private let rows: Counter
    private let quarantined: CounterFamily
    private let filtered: Counter
    private let duplicates: Counter
    private let seconds: Histogram
    private let groupBytes: Histogram

    init(_ registry: MetricsRegistry) {
        batches = registry.counter("millrace_transform_batches_total", help: "Batches transformed.")
        bytes = registry.counter(
            "millrace_transform_bytes_total", help: "Raw bytes of batches transformed as they came.")
        rows = registry.counter("millrace_transform_rows_total", help: "Rows handed to store.")
        quarantined = registry.quarantine()
        filtered = registry.counter("millrace_transform_filtered_total", help: "Records filtered out.")
        duplicates = registry.counter(
            "millrace_transform_duplicates_total", help: "Records left out because another one stands for them.")
        seconds = registry.histogram(
            "millrace_transform_seconds", help: "Time to transform a group of batches, from reading them to the commit."
        )
        groupBytes = registry.histogram(
            "millrace_transform_group_size_bytes", help: "Raw bytes of batches transformed together.",
            buckets: Histogram.sizeBuckets)
    }

    func transformed(_ results: [TransformedBatch]) {
        batches.add(results.count)
        let outputs = results.flatMap(\.outputs)
        rows.add(outputs.reduce(0) { $0 + Int($1.chunk?.rows ?? 0) })
        filtered.add(outputs.reduce(0) { $0 + Int($1.application.filtered) })
        duplicates.add(outputs.reduce(0) { $0 + Int($1.application.duplicates) })
        var reasons: [[String]: Int] = [:]
        for result in results {
            for record in result.quarantined { reasons[[record.stage, record.reason], default: 0] += 1 }
        }
        for (labels, count) in reasons { quarantined.add(labels, count) }
    }

    /// A group of batches of so many raw bytes each was read, transformed and handed on.
    func worked(_ time: Duration, on rawBytes: [Int64]) {
        let all = rawBytes.reduce(0, +)
        bytes.add(Int(all))
        groupBytes.observe(Double(all))
        seconds.observe(time)
    }
}
