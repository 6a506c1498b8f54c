import Observability
import Postgres
import Testing

@testable import Ingest

@Suite struct LandSpanTests {
    /// Ids of batches with the trace that they and their jobs carry, for an active pipeline.
    private func batches(_ fixture: IngestFixture) async throws -> [String: String] {
        let result = try await fixture.pool.withConnection {
            try await $0.query(
                """
                select b.id::text, b.trace, j.trace from millrace.batch b
                join queue.job j on (j.arguments ->> 'batch')::int8 = b.id
                """)
        }
        var batches: [String: String] = [:]
        for row in 0..<result.rowCount {
            batches[try result[row].text(0)] = try result[row].text(1)
            #expect(try result[row].text(1) == result[row].optionalText(2), "the job carries the batch's trace")
        }
        return batches
    }

    private func batchID(of span: TraceSpan) -> String {
        guard case .string(let id)? = span.attributes.first(where: { $0.key == "millrace.batch.id" })?.value else {
            return ""
        }
        return id
    }

    @Test(arguments: [false, true]) func requestsThatShareABatchLinkToIt(_ areKeyed: Bool) async throws {
        let tracer = Tracer(sampler: .none, metrics: MetricsRegistry())
        try await IngestFixture.run(tracer: tracer) { fixture in
            var numbers = UniqueNumbers()
            var traces: [TraceContext] = []
            for number in 0..<40 { traces.append(.generate(&numbers, by: number % 4 == 0 ? .none : .all)) }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (number, trace) in traces.enumerated() {
                    let key = areKeyed ? "k\(number)" : nil
                    group.addTask { _ = try await fixture.land(["\(number)"], key: key, trace: trace) }
                }
                try await group.waitForAll()
            }
            let spans = tracer.take(.max)
            #expect(spans.count == 30 && spans.allSatisfy { $0.name == "land" && $0.start <= $0.end })
            let recorded = Dictionary(uniqueKeysWithValues: traces.filter(\.isSampled).map { ($0.traceID, $0) })
            for span in spans { #expect(span.parent == recorded[span.context.traceID]?.spanID) }
            let batches = try await batches(fixture)
            #expect(batches.count < 40, "some shared a batch")
            for (id, shared) in Dictionary(grouping: spans, by: batchID) {
                let place = try #require(batches[id].flatMap { TraceContext(traceparent: $0) })
                let first = try #require(shared.first { $0.context == place }, "the batch stands in one of the traces")
                let others = shared.filter { $0.context != place }
                #expect(others.allSatisfy { $0.links == [place] })
                #expect(Set(first.links.map(\.traceID)) == Set(others.map(\.context.traceID)))
                #expect(first.links.count == others.count)
            }
        }
    }

    @Test func aBatchThatNobodyRecordsStillHasItsTrace() async throws {
        let tracer = Tracer(sampler: .all, metrics: MetricsRegistry())
        try await IngestFixture.run(tracer: tracer) { fixture in
            var numbers = UniqueNumbers()
            let trace = TraceContext.generate(&numbers, by: .none)
            _ = try await fixture.land(["1"], trace: trace)
            #expect(tracer.count == 0)
            #expect(try await Array(batches(fixture).values) == [trace.traceparent])
        }
    }
}
