import Testing

@testable import Observability

@Suite struct TracerTests {
    private func span(_ name: String = "s", sampler: TraceSampler = .all) -> TraceSpan {
        var numbers = UniqueNumbers()
        return TraceSpan(name, .internal, .generate(&numbers, by: sampler), parent: nil, start: Tracer.now())
    }

    @Test(arguments: [0.0, 0.01, 0.25, 0.5, 1.0]) func aShareOfTheTracesIsRecorded(_ ratio: Double) {
        var numbers = UniqueNumbers()
        let sampler = TraceSampler(ratio: ratio)
        let taken = (0..<20_000).count { _ in TraceContext.generate(&numbers, by: sampler).isSampled }
        // Five standard deviations.
        let spread = 5 * (ratio * (1 - ratio) / 20_000).squareRoot()
        #expect(abs(Double(taken) / 20_000 - ratio) <= spread)
    }

    @Test func aRatioBeyondItsRangeCountsAsTheNearerEnd() {
        #expect(TraceSampler(ratio: -1) == .none && TraceSampler(ratio: 7) == .all)
        #expect(!TraceSampler.none.takes(0) && TraceSampler.all.takes(.max))
    }

    @Test func spansComeOutInOrderAndOnlyThoseThatAreRecorded() {
        let tracer = Tracer(sampler: .all, metrics: MetricsRegistry())
        tracer.record(span("a"))
        tracer.record([span("b"), span("no", sampler: .none), span("c")])
        #expect(tracer.take(2).map(\.name) == ["a", "b"])
        #expect(tracer.take().map(\.name) == ["c"] && tracer.count == 0)
    }

    @Test func whatDoesNotFitIsDroppedAndCounted() {
        let metrics = MetricsRegistry()
        let tracer = Tracer(sampler: .all, capacity: 3, metrics: metrics)
        tracer.record([span(), span()])
        tracer.record([span(), span(), span(sampler: .none)])
        tracer.record(span())
        #expect(tracer.count == 3)
        let lines = String(decoding: metrics.render(), as: UTF8.self).split(separator: "\n")
        #expect(lines.contains(#"millrace_trace_spans_dropped_total{reason="queue_full"} 2"#))
        #expect(lines.contains("millrace_trace_spans_waiting 3"))
    }

    @Test func whoExportsIsToldOfTheFirstAndOfABatch() async {
        let tracer = Tracer(sampler: .all, metrics: MetricsRegistry())
        var arrivals = tracer.arrivals.makeAsyncIterator()
        tracer.record(span())
        #expect(await arrivals.next() != nil)
        for _ in 1..<Tracer.batch { tracer.record(span()) }
        #expect(await arrivals.next() != nil, "a batch is there")
        _ = tracer.take(.max)
        tracer.record(span())
        #expect(await arrivals.next() != nil, "the first again")
    }
}
