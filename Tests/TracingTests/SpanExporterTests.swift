import Configuration
import EventLoop
import HTTP
import HTTPServer
import JSON
import Lifecycle
import Observability
import Synchronization
import Testing

@testable import Tracing

/// A collector that answers as it is told, and keeps what it took.
private final class Collector: Sendable {
    typealias Answer = @Sendable (_ number: Int, Request) async throws -> Response

    let metrics = MetricsRegistry()
    let tracer: Tracer
    private let taken = Mutex<[String]>([])
    private let requests = Mutex(0)
    private let fields = Mutex<[String?]>([])

    init(capacity: Int = Tracer.standardCapacity) {
        tracer = Tracer(sampler: .all, capacity: capacity, metrics: metrics)
    }

    var names: [String] { taken.withLock { $0.sorted() } }
    var requestCount: Int { requests.withLock { $0 } }
    var authorizations: [String?] { fields.withLock { $0 } }

    func span(_ name: String) -> TraceSpan {
        var numbers = UniqueNumbers()
        return TraceSpan(name, .internal, .generate(&numbers, by: .all), parent: nil, start: Tracer.now())
    }

    func metric(_ series: String) -> Int {
        let lines = String(decoding: metrics.render(), as: UTF8.self).split(separator: "\n")
        return lines.first { $0.hasPrefix(series + " ") }.flatMap { Int($0.dropFirst(series.count + 1)) } ?? 0
    }

    var lost: Int { metric(#"millrace_trace_spans_dropped_total{reason="export_failed"}"#) }
    var rejected: Int { metric(#"millrace_trace_spans_dropped_total{reason="rejected"}"#) }
    var exported: Int { metric("millrace_trace_spans_exported_total") }

    /// Waits until that many spans are known to the exporter to have been taken or rejected: stopped before it has read
    /// an answer, it would send once more.
    func decided(_ count: Int) async throws {
        let deadline = ContinuousClock.now + .seconds(30)
        while exported + rejected < count && .now < deadline { try await Task.sleep(for: .milliseconds(5)) }
    }

    /// Runs an exporter against a server that answers so, while `body` runs, and then has it stop.
    func run(
        pace: SpanExporter.Pace = .quick, headers: String? = nil, answer: @escaping Answer,
        _ body: @escaping @Sendable () async throws -> Void
    ) async throws {
        let route = Route(
            .post, "/v1/traces", scope: nil,
            operation: Operation(id: "take", summary: "t", answers: [Operation.Answer(200, "d")])
        ) { [self] request in
            let bytes = try await request.body.collect(limit: 16 << 20)
            let number = requests.withLock { count in
                count += 1
                return count
            }
            fields.withLock { $0.append(request.head["authorization"]) }
            let response = try await answer(number, request)
            if response.status == .ok {
                let spans = try JSONValue.parse(bytes)["resourceSpans"]?[0]?["scopeSpans"]?[0]?["spans"]?.array
                taken.withLock { $0 += (spans ?? []).compactMap { $0["name"]?.string } }
            }
            return response
        }
        let loops = try EventLoopGroup(count: 1, name: "collector")
        let server = HTTPServer(
            name: "collector", port: 0, router: Router(routes: [route]), loops: loops, logger: .silent,
            metrics: MetricsRegistry())
        let port = try server.bind()
        try await export(to: port, pace: pace, headers: headers, on: loops, beside: [server], body)
    }

    /// The same where nobody listens, or somebody else.
    func export(
        to port: UInt16, pace: SpanExporter.Pace = .quick, headers: String? = nil, on loops: EventLoopGroup,
        beside services: [any Service] = [], _ body: @escaping @Sendable () async throws -> Void
    ) async throws {
        defer { loops.shutdown() }
        var variables = ["MILLRACE_OTLP_ENDPOINT": "http://127.0.0.1:\(port)"]
        variables["OTEL_EXPORTER_OTLP_HEADERS"] = headers
        var settings = Settings(Environment(variables))
        let tracing = try #require(TracingSettings(service: "test", from: &settings))
        try settings.finish()
        let exporter = SpanExporter(
            tracer, settings: tracing, service: TracedService(name: "t", version: "1"), on: loops.next(), pace: pace,
            logger: .silent, metrics: metrics)
        let (stopExporter, stopServer) = (ShutdownSignal(), ShutdownSignal())
        try await withThrowingTaskGroup(of: Void.self) { group in
            for service in services { group.addTask { try await service.run(until: stopServer) } }
            group.addTask {
                defer { stopServer.request() }
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { try await exporter.run(until: stopExporter) }
                    defer { stopExporter.request() }
                    try await body()
                }
            }
            try await group.waitForAll()
        }
    }
}

extension SpanExporter.Pace {
    static let quick = SpanExporter.Pace(
        gathering: .milliseconds(10), attempt: .seconds(5), farewell: .seconds(2), patience: 0.001)
}

@Suite struct SpanExporterTests {
    @Test func spansAreSentInBatchesAndWhatIsLeftAtTheEnd() async throws {
        let collector = Collector()
        try await collector.run(answer: { _, _ in .text(.ok, #"{"partialSuccess":{}}"#) }) {
            for number in 0..<1200 { collector.tracer.record(collector.span("\(number)")) }
            try await collector.decided(1)
        }
        // The batch that was under way may have come twice.
        #expect(Set(collector.names) == Set((0..<1200).map(String.init)))
        #expect(collector.exported == 1200 && collector.lost == 0 && collector.tracer.count == 0)
        #expect((3...5).contains(collector.requestCount))
    }

    @Test func fieldsAreSentDecoded() async throws {
        let collector = Collector()
        try await collector.run(headers: "authorization=Bearer%20a%2Cb", answer: { _, _ in .text(.ok, "{}") }) {
            collector.tracer.record(collector.span("x"))
            try await collector.decided(1)
        }
        #expect(collector.authorizations == ["Bearer a,b"])
    }

    @Test func whatIsRefusedForNowIsSentAgain() async throws {
        let collector = Collector()
        try await collector.run(answer: { number, _ in number < 4 ? Response(.serviceUnavailable) : .text(.ok, "{}") })
        {
            collector.tracer.record(collector.span("x"))
            try await collector.decided(1)
        }
        #expect(collector.names == ["x"] && collector.exported == 1 && collector.requestCount == 4)
    }

    @Test func whatIsRefusedForGoodIsDroppedAndCounted() async throws {
        let collector = Collector()
        try await collector.run(answer: { number, _ in number == 1 ? Response(.badRequest) : .text(.ok, "{}") }) {
            collector.tracer.record(collector.span("bad"))
            try await collector.decided(1)
            collector.tracer.record(collector.span("good"))
            try await collector.decided(2)
        }
        #expect(collector.names == ["good"])
        #expect(collector.rejected == 1)
    }

    @Test func spansThatACollectorRejectsAreCountedAsSuch() async throws {
        let collector = Collector()
        try await collector.run(answer: { _, _ in .text(.ok, #"{"partialSuccess":{"rejectedSpans":"2"}}"#) }) {
            collector.tracer.record((0..<5).map { collector.span("\($0)") })
            try await collector.decided(1)
        }
        #expect(collector.exported == 3)
        #expect(collector.rejected == 2)
    }

    @Test func aCollectorThatIsAwayCostsItsSpansAndNothingElse() async throws {
        let collector = Collector(capacity: 600)
        let loops = try EventLoopGroup(count: 1, name: "nobody")
        // A port that was free a moment ago.
        let listener = HTTPServer(
            name: "free", port: 0, router: Router(routes: []), loops: loops, logger: .silent, metrics: MetricsRegistry()
        )
        let port = try listener.bind()
        let stopped = ShutdownSignal()
        stopped.request()
        try await listener.run(until: stopped)
        for number in 0..<5000 { collector.tracer.record(collector.span("\(number)")) }
        #expect(collector.tracer.count == 600)
        try await collector.export(to: port, on: loops) {}
        #expect(collector.metric(#"millrace_trace_spans_dropped_total{reason="queue_full"}"#) == 4400)
        #expect(collector.exported == 0 && collector.lost == 600 && collector.tracer.count == 0)
    }

    /// A collector that takes connections and never answers holds up neither who records nor the end.
    @Test func aCollectorThatHangsHoldsUpNobody() async throws {
        let collector = Collector(capacity: 100)
        var pace = SpanExporter.Pace.quick
        pace.farewell = .milliseconds(200)
        let began = ContinuousClock.now
        try await collector.run(
            pace: pace,
            answer: { _, request in
                await request.context.clientGone()
                return .text(.ok, "{}")
            }
        ) {
            collector.tracer.record(collector.span("first"))
            for number in 0..<300 { collector.tracer.record(collector.span("\(number)")) }
        }
        #expect(ContinuousClock.now - began < .seconds(5))
        #expect(collector.tracer.count == 0)
    }
}
