import Observability

/// What the ingest service counts.
struct IngestMetrics: Sendable {
    private let requests: Counter
    private let records: Counter
    private let bytes: Counter
    private let batches: Counter
    private let refused: Counter
    private let messages: Counter
    private let repeated: Counter
    private let batchRequests: Histogram
    private let batchBytes: Histogram
    private let seconds: Histogram

    init(_ registry: MetricsRegistry) {
        requests = registry.counter(
            "millrace_ingest_requests_landed_total", help: "Requests whose records are durable.")
        records = registry.counter("millrace_ingest_records_landed_total", help: "Records landed.")
        bytes = registry.counter("millrace_ingest_bytes_landed_total", help: "Raw bytes of landed records.")
        batches = registry.counter("millrace_ingest_batches_landed_total", help: "Batches landed.")
        refused = registry.counter(
            "millrace_ingest_requests_refused_total", help: "Requests refused for back-pressure.")
        messages = registry.counter(
            "millrace_ingest_stream_messages_landed_total", help: "Messages of streams whose records are durable.")
        repeated = registry.counter(
            "millrace_ingest_stream_messages_repeated_total", help: "Messages of streams that had come before.")
        batchRequests = registry.histogram(
            "millrace_ingest_batch_requests", help: "Requests that share a batch; 0 for a part of a large one.",
            buckets: [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024])
        batchBytes = registry.histogram(
            "millrace_ingest_batch_size_bytes", help: "Raw bytes of a batch.", buckets: Histogram.sizeBuckets)
        seconds = registry.histogram(
            "millrace_ingest_commit_seconds", help: "Time to make a batch durable, once it is gathered.")
    }

    /// Messages of streams, together.
    func landedMessages(_ count: Int) { messages.add(count) }

    func repeatedMessage() { repeated.add(1) }

    /// A batch; a part of a large request counts as a batch of no request.
    func landed(requests count: Int, records recordCount: Int, bytes size: Int64, after time: Duration) {
        requests.add(count)
        records.add(recordCount)
        bytes.add(Int(size))
        batches.add(1)
        batchRequests.observe(Double(count))
        batchBytes.observe(Double(size))
        seconds.observe(time)
    }

    /// A large request whose parts have been landed.
    func acceptedUpload() { requests.add(1) }

    func refusedRequest() { refused.add(1) }
}
