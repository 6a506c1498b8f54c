import Observability

/// What the transform service counts.
struct TransformMetrics: Sendable {
    private let batches: Counter
    private let rows: Counter
    private let quarantined: Counter
    private let filtered: Counter
    private let duplicates: Counter

    init(_ registry: MetricsRegistry) {
        batches = registry.counter("millrace_transform_batches_total", help: "Batches transformed.")
        rows = registry.counter("millrace_transform_rows_total", help: "Rows handed to store.")
        quarantined = registry.counter("millrace_transform_quarantined_total", help: "Records quarantined.")
        filtered = registry.counter("millrace_transform_filtered_total", help: "Records filtered out.")
        duplicates = registry.counter(
            "millrace_transform_duplicates_total", help: "Records left out because another one stands for them.")
    }

    func transformed(_ results: [TransformedBatch]) {
        batches.add(results.count)
        let outputs = results.flatMap(\.outputs)
        rows.add(outputs.reduce(0) { $0 + Int($1.chunk?.rows ?? 0) })
        quarantined.add(outputs.reduce(0) { $0 + Int($1.application.quarantined) })
        filtered.add(outputs.reduce(0) { $0 + Int($1.application.filtered) })
        duplicates.add(outputs.reduce(0) { $0 + Int($1.application.duplicates) })
    }
}
