public import Configuration
public import EventLoop
import HTTP
import HTTPClient
import JSON
public import Lifecycle
public import Observability
private import Synchronization

/// Sends a tracer's spans to a collector: OTLP over HTTP, as JSON, in batches.
///
/// It sleeps while there are no spans, and gathers for a second once there are. A collector that is slow or away costs
/// the tracer's bounded queue and nothing else: a batch is sent up to six times over about half a minute, then dropped
/// and counted; what does not fit into the queue meanwhile is dropped and counted there. Asked to stop, it sends what
/// is there, once, within two seconds.
public final class SpanExporter: Service {
    public let name = "span exporter"

    /// How long spans are gathered, and how long the last ones may take.
    struct Pace: Sendable {
        var gathering = Duration.seconds(1)
        var attempt = Duration.seconds(10)
        var farewell = Duration.seconds(2)
        /// What the pauses between attempts are multiplied by.
        var patience = 1.0
    }

    private let tracer: Tracer
    private let service: TracedService
    private let url: String
    private let headers: HTTPHeaders
    private let client: HTTPClient
    private let limits: TransferLimits
    private let pace: Pace
    private let logger: Logger
    private let exported: Counter
    private let failed: Counter
    private let rejected: Counter
    private let complainedAt = Mutex<ContinuousClock.Instant?>(nil)

    public convenience init(
        _ tracer: Tracer, settings: TracingSettings, service: TracedService, on loop: EventLoop, logger: Logger,
        metrics: MetricsRegistry
    ) {
        self.init(
            tracer, settings: settings, service: service, on: loop, pace: Pace(), logger: logger, metrics: metrics)
    }

    init(
        _ tracer: Tracer, settings: TracingSettings, service: TracedService, on loop: EventLoop, pace: Pace,
        logger: Logger, metrics: MetricsRegistry
    ) {
        self.tracer = tracer
        self.service = service
        self.pace = pace
        self.logger = logger
        url = settings.url
        var headers: HTTPHeaders = ["content-type": "application/json"]
        for (name, value) in settings.headers {
            headers.add(name, PercentEncoding.decode(Array(value.reveal().utf8)[...]) ?? value.reveal())
        }
        self.headers = headers
        var limits = TransferLimits()
        var client = HTTPClientSettings()
        // Who runs the platform named the collector, wherever it is.
        client.addresses = AddressPolicy(opening: ["0.0.0.0/0", "::/0"].compactMap { AddressRange($0) })
        client.certificateAuthorities = settings.certificateAuthorities
        limits.body = 64 * 1024
        self.client = HTTPClient(on: loop, settings: client, logger: logger, metrics: metrics)
        self.limits = limits
        exported = metrics.counter("millrace_trace_spans_exported_total", help: "Spans that a collector has taken.")
        failed = Tracer.dropped("export_failed", metrics)
        rejected = Tracer.dropped("rejected", metrics)
    }

    public func run(until shutdown: ShutdownSignal) async throws {
        let after = ShutdownSignal()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.client.run(until: after) }
            group.addTask {
                let unsent = await self.export(until: shutdown)
                await self.sayFarewell(unsent)
                after.request()
            }
            try await group.waitForAll()
        }
    }

    /// Returns what was taken out of the queue and not sent.
    private func export(until shutdown: ShutdownSignal) async -> [TraceSpan] {
        await withTaskGroup(of: [TraceSpan].self) { group in
            group.addTask { await self.export() }
            group.addTask {
                await shutdown.requested()
                return []
            }
            var unsent: [TraceSpan] = []
            for await left in group {
                unsent += left
                group.cancelAll()
            }
            return unsent
        }
    }

    /// Sends until the task is cancelled.
    private func export() async -> [TraceSpan] {
        for await _ in tracer.arrivals {
            await gather()
            while !Task.isCancelled {
                let spans = tracer.take()
                if spans.isEmpty { break }
                if await !send(spans) { return spans }
            }
        }
        return []
    }

    /// Waits for more spans, in steps short enough for the queue not to overflow meanwhile.
    private func gather() async {
        let steps = 10
        for _ in 0..<steps where tracer.count < Tracer.batch && !Task.isCancelled {
            try? await Task.sleep(for: pace.gathering / steps)
        }
    }

    /// Sends a batch, again and again where that may help; false when the task was cancelled before that.
    private func send(_ spans: [TraceSpan]) async -> Bool {
        for attempt in 1...ExportPolicy.attempts {
            switch await post(spans, within: pace.attempt) {
            case .taken(let refused):
                count(spans, refused)
                return true
            case .refused:
                rejected.add(spans.count)
                return true
            case .again(let asked):
                guard attempt < ExportPolicy.attempts else { break }
                let pause = ExportPolicy.pause(after: attempt, asked: asked, random: .random(in: 0...1))
                try? await Task.sleep(for: pause * pace.patience)
            }
            if Task.isCancelled { return false }
        }
        failed.add(spans.count)
        return true
    }

    /// What is left is sent once.
    private func sayFarewell(_ unsent: [TraceSpan]) async {
        var left = unsent + tracer.take(.max)
        let deadline = ContinuousClock.now + pace.farewell
        while !left.isEmpty {
            let batch = Array(left.prefix(Tracer.batch))
            let time = deadline - .now
            guard time > .zero, case .taken(let refused) = await post(batch, within: time) else { break }
            count(batch, refused)
            left.removeFirst(batch.count)
        }
        failed.add(left.count)
    }

    private func count(_ spans: [TraceSpan], _ refused: Int) {
        let refused = min(max(0, refused), spans.count)
        exported.add(spans.count - refused)
        rejected.add(refused)
    }

    private func post(_ spans: [TraceSpan], within time: Duration) async -> ExportPolicy.Verdict {
        var limits = limits
        limits.whole = time
        let request = ClientRequest(
            .post, url, headers: headers, body: .bytes(SpanDocument.bytes(spans, from: service)), limits: limits)
        do {
            let answer = try await client.collect(request)
            let verdict = ExportPolicy.verdict(
                answer.status, retryAfter: answer.headers["retry-after"], rejected: Self.rejected(in: answer.body))
            if case .taken(0) = verdict { return verdict }
            complain("a collector did not take all spans", "\(answer.status.code)")
            return verdict
        } catch {
            if !Task.isCancelled { complain("a collector cannot be reached", "\(error)") }
            // It may have taken them: nothing is gained by sending them once more.
            return error.code == .tooLarge ? .refused : .again(after: nil)
        }
    }

    /// Spans that an answer says were not taken, though the others were.
    private static func rejected(in body: [UInt8]) -> Int {
        let count = (try? JSONValue.parse(body))?["partialSuccess"]?["rejectedSpans"]
        return count?.int ?? count?.string.flatMap { Int($0) } ?? 0
    }

    /// Once a minute at most: spans are no reason to fill the log.
    private func complain(_ message: StaticString, _ reason: String) {
        let isDue = complainedAt.withLock { last in
            if let last, .now - last < .seconds(60) { return false }
            last = ContinuousClock.now
            return true
        }
        if isDue { logger.warning(message, ["collector.reason": .string(reason)]) }
    }
}
