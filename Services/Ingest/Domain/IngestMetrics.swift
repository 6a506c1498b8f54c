import Observability

/// What the ingest service counts.
struct IngestMetrics: Sendable {
    private let requests: Counter
    private let bytes: Counter
    private let batches: Counter
    private let refused: Counter
    private let messages: Counter
    private let repeated: Counter

    init(_ registry: MetricsRegistry) {
        requests = registry.counter(
            "millrace_ingest_requests_landed_total", help: "Requests whose records are durable.")
        bytes = registry.counter("millrace_ingest_bytes_landed_total", help: "Raw bytes of landed records.")
        batches = registry.counter("millrace_ingest_batches_landed_total", help: "Batches landed.")
        refused = registry.counter(
            "millrace_ingest_requests_refused_total", help: "Requests refused for back-pressure.")
        messages = registry.counter(
            "millrace_ingest_stream_messages_landed_total", help: "Messages of streams whose records are durable.")
        repeated = registry.counter(
            "millrace_ingest_stream_messages_repeated_total", help: "Messages of streams that had come before.")
    }

    /// Messages of streams, together.
    func landedMessages(_ count: Int) { messages.add(count) }

    func repeatedMessage() { repeated.add(1) }

    func landed(requests count: Int, bytes size: Int64) {
        requests.add(count)
        bytes.add(Int(size))
        batches.add(1)
    }

    func refusedRequest() { refused.add(1) }
}
