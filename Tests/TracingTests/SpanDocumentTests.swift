import JSON
import Observability
import Testing

@testable import Tracing

@Suite struct SpanDocumentTests {
    private let service = TracedService(name: "millrace-ingest", version: "1", instance: "here")

    private func document(_ spans: [TraceSpan]) throws -> JSONValue {
        try JSONValue.parse(SpanDocument.bytes(spans, from: service))
    }

    private func context(_ text: String) throws -> TraceContext { try #require(TraceContext(traceparent: text)) }

    @Test func aSpanIsWrittenAsTheProtocolHasIt() throws {
        let context = try context("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
        let parent = try self.context("00-4bf92f3577b34da6a3ce929d0e0e4736-b7ad6b7169203331-01")
        let other = try self.context("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203332-01")
        var span = TraceSpan(
            "POST /v1/ingest/{source}", .server, context, parent: parent.spanID, start: 1_700_000_000_123_456_789,
            attributes: [
                ("s", "a\"\u{1}é"), ("i", 7), ("d", 0.5), ("b", .bool(true)), ("t", .duration(.milliseconds(1500))),
                ("r", .redacted),
            ])
        span.end = span.start + 1
        span.links = [other]
        span.status = .failed("503")
        let resource = try document([span])["resourceSpans"]?[0]
        #expect(
            resource?["resource"]?["attributes"]?[0] == [
                "key": "service.name", "value": ["stringValue": "millrace-ingest"],
            ])
        let written = resource?["scopeSpans"]?[0]?["spans"]?[0]
        #expect(
            written == [
                "traceId": "4bf92f3577b34da6a3ce929d0e0e4736", "spanId": "00f067aa0ba902b7",
                "parentSpanId": "b7ad6b7169203331", "name": "POST /v1/ingest/{source}", "kind": 2,
                "startTimeUnixNano": "1700000000123456789", "endTimeUnixNano": "1700000000123456790",
                "attributes": [
                    ["key": "s", "value": ["stringValue": "a\"\u{1}é"]], ["key": "i", "value": ["intValue": "7"]],
                    ["key": "d", "value": ["doubleValue": 0.5]], ["key": "b", "value": ["boolValue": true]],
                    ["key": "t", "value": ["doubleValue": 1.5]],
                    ["key": "r", "value": ["stringValue": "<redacted>"]],
                ],
                "links": [["traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "b7ad6b7169203332"]],
                "status": ["message": "503", "code": 2],
            ])
    }

    @Test func whatIsLongIsCutAndAClockThatWentBackTakesNoTime() throws {
        let context = try context("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
        var span = TraceSpan(
            "n", .internal, context, parent: nil, start: 9,
            attributes: [("long", .string(String(repeating: "é", count: 300)))])
        span.end = 3
        span.links = Array(repeating: context, count: 200)
        let written = try document([span])["resourceSpans"]?[0]?["scopeSpans"]?[0]?["spans"]?[0]
        #expect(written?["endTimeUnixNano"] == "9" && written?["parentSpanId"] == nil)
        let text = try #require(written?["attributes"]?[0]?["value"]?["stringValue"]?.string)
        #expect(text.utf8.count == 256 && text.allSatisfy { $0 == "é" })
        #expect(written?["links"]?.array?.count == 128 && written?["droppedLinksCount"] == 72)
    }
}
