import JSON
import Observability

/// Spans as an `ExportTraceServiceRequest` in OTLP's JSON (opentelemetry-proto 1.x): ids as hexadecimal digits, 64-bit
/// numbers as strings, enumerations as numbers.
enum SpanDocument {
    static func bytes(_ spans: [TraceSpan], from service: TracedService) -> [UInt8] {
        var writer = JSONWriter(reserving: 512 * spans.count)
        writer.object { writer in
            writer.key("resourceSpans")
            writer.array { writer in
                writer.object { writer in
                    writer.key("resource")
                    writer.object { writer in write(service.attributes, &writer) }
                    writer.key("scopeSpans")
                    writer.array { writer in
                        writer.object { writer in
                            writer.key("scope")
                            writer.object { $0.member("name", "millrace") }
                            writer.key("spans")
                            writer.array { writer in
                                for span in spans { write(span, &writer) }
                            }
                        }
                    }
                }
            }
        }
        return writer.bytes
    }

    private static func write(_ span: TraceSpan, _ writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("traceId", span.context.traceID)
            writer.member("spanId", "\(span.context.spanID)")
            if let parent = span.parent { writer.member("parentSpanId", "\(parent)") }
            writer.member("name", cut(span.name))
            writer.member("kind", number(of: span.kind))
            writer.member("startTimeUnixNano", String(span.start))
            // Where the wall clock went back meanwhile, it took no time.
            writer.member("endTimeUnixNano", String(max(span.start, span.end)))
            write(span.attributes, &writer)
            if !span.links.isEmpty { write(span.links, &writer) }
            if case .failed(let reason) = span.status {
                writer.key("status")
                writer.object { writer in
                    writer.member("message", cut(reason))
                    writer.member("code", 2)
                }
            }
        }
    }

    private static func write(_ links: [TraceContext], _ writer: inout JSONWriter) {
        writer.key("links")
        writer.array { writer in
            for link in links.prefix(TraceSpan.maximumLinks) {
                writer.object { writer in
                    writer.member("traceId", link.traceID)
                    writer.member("spanId", "\(link.spanID)")
                }
            }
        }
        if links.count > TraceSpan.maximumLinks {
            writer.member("droppedLinksCount", links.count - TraceSpan.maximumLinks)
        }
    }

    private static func write(_ attributes: [(key: String, value: LogValue)], _ writer: inout JSONWriter) {
        writer.key("attributes")
        writer.array { writer in
            for attribute in attributes {
                writer.object { writer in
                    writer.member("key", attribute.key)
                    writer.key("value")
                    writer.object { writer in write(attribute.value, &writer) }
                }
            }
        }
    }

    private static func write(_ value: LogValue, _ writer: inout JSONWriter) {
        switch value {
        case .string(let text): writer.member("stringValue", cut(text))
        case .int(let number): writer.member("intValue", String(number))
        case .double(let number):
            writer.key("doubleValue")
            writer.number(number)
        case .bool(let flag): writer.member("boolValue", flag)
        case .duration(let duration):
            writer.key("doubleValue")
            writer.number(duration / .seconds(1))
        case .redacted: writer.member("stringValue", "<redacted>")
        }
    }

    private static func number(of kind: TraceSpan.Kind) -> Int {
        switch kind {
        case .internal: 1
        case .server: 2
        case .producer: 4
        case .consumer: 5
        }
    }

    /// Text of at most ``TraceSpan/maximumValue`` octets, cut between characters.
    private static func cut(_ text: String) -> String {
        guard text.utf8.count > TraceSpan.maximumValue else { return text }
        var scalars = String.UnicodeScalarView()
        var octets = 0
        for scalar in text.unicodeScalars {
            octets += UTF8.width(scalar)
            if octets > TraceSpan.maximumValue { break }
            scalars.append(scalar)
        }
        return String(scalars)
    }
}
