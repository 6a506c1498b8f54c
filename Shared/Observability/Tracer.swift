private import Synchronization

/// Where a process's spans wait for whoever exports them; a process that exports none has no tracer.
///
/// Recording never waits for the exporter and never takes more memory than `capacity` spans: what comes on top is
/// dropped and counted in `millrace_trace_spans_dropped_total`.
public final class Tracer: Sendable {
    /// Spans that wait at most.
    public static let standardCapacity = 8192
    /// Waiting spans at which the exporter is told not to wait for more.
    public static let batch = 512

    /// Decides about traces that begin here.
    public let sampler: TraceSampler
    /// Says that there are spans: when the first came, and again when a batch of them is there.
    public let arrivals: AsyncStream<Void>

    private let capacity: Int
    private let waiting = Mutex<[TraceSpan]>([])
    private let arrived: AsyncStream<Void>.Continuation
    private let dropped: Counter

    public init(sampler: TraceSampler, capacity: Int = standardCapacity, metrics: MetricsRegistry) {
        self.sampler = sampler
        self.capacity = capacity
        dropped = Tracer.dropped("queue_full", metrics)
        (arrivals, arrived) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        metrics.gauge("millrace_trace_spans_waiting", help: "Spans that wait to be exported.") { [weak self] in
            Double(self?.count ?? 0)
        }
    }

    /// The counter of spans lost for a reason.
    public static func dropped(_ reason: String, _ metrics: MetricsRegistry) -> Counter {
        metrics.counter(
            "millrace_trace_spans_dropped_total", help: "Spans that were not exported, by reason.",
            labels: [("reason", reason)])
    }

    /// Nanoseconds since 1970.
    public static func now() -> Int64 { WallClock.nanosecondsSince1970() }

    /// Spans that wait.
    public var count: Int { waiting.withLock(\.count) }

    /// Takes a span that has ended; one whose trace is not recorded is passed over.
    public func record(_ span: TraceSpan) {
        record(CollectionOfOne(span))
    }

    /// The same for several.
    public func record(_ spans: some Collection<TraceSpan>) {
        let sampled = spans.lazy.filter(\.context.isSampled)
        let (before, after, lost) = waiting.withLock { waiting in
            let before = waiting.count
            for span in sampled.prefix(capacity - before) { waiting.append(span) }
            return (before, waiting.count, sampled.count - (waiting.count - before))
        }
        dropped.add(lost)
        if after > before, before == 0 || before < Self.batch && after >= Self.batch { arrived.yield() }
    }

    /// Takes the oldest spans out.
    public func take(_ limit: Int = batch) -> [TraceSpan] {
        waiting.withLock { waiting in
            let taken = Array(waiting.prefix(limit))
            waiting.removeFirst(taken.count)
            return taken
        }
    }
}
