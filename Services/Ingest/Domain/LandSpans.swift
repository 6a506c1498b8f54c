import Observability

/// The spans of one commit: for each of its requests whose trace is recorded one below the request's own, from when its
/// records came to when they are durable.
///
/// A batch has one place in one trace, though many requests may share it: it is that of the first request's span,
/// which links to the other requests, as their spans link to it. What becomes of the batch follows from there.
struct LandSpans: Sendable {
    /// Where the batch stands.
    let batch: TraceContext
    private let tracer: Tracer
    private var spans: [TraceSpan] = []

    /// Nil where no request's trace is recorded.
    init?(_ parts: [Coalescer.Part], records: Int, rawBytes: Int64, _ tracer: Tracer) {
        let recorded = parts.filter(\.request.trace.isSampled)
        guard let first = recorded.first else { return nil }
        self.tracer = tracer
        batch = first.request.trace.child()
        for part in recorded {
            let trace = part.request.trace
            var span = TraceSpan(
                "land", .internal, part === first ? batch : trace.child(), parent: trace.spanID, start: part.came,
                attributes: [
                    ("millrace.batch.requests", .int(parts.count)), ("millrace.batch.records", .int(records)),
                    ("millrace.batch.bytes", .int(Int(rawBytes))),
                ])
            span.links = part === first ? recorded.dropFirst().map(\.request.trace) : [batch]
            spans.append(span)
        }
    }

    /// The same, naming the batch.
    func of(batch id: Int64) -> LandSpans {
        var named = self
        for place in spans.indices { named.spans[place].attributes.append(("millrace.batch.id", .string(String(id)))) }
        return named
    }

    /// The batch is durable.
    func end() {
        let now = Tracer.now()
        tracer.record(
            spans.map { span in
                var span = span
                span.end = now
                return span
            })
    }
}
