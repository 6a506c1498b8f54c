import HTTP
import HTTPServer
import Observability
import Testing

@Suite struct RequestSpanTests {
    private static let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331"

    private func spans(
        sampler: TraceSampler = .none, of requests: [(target: String, parent: String?)]
    ) async throws -> [TraceSpan] {
        let tracer = Tracer(sampler: sampler, metrics: MetricsRegistry())
        let own = [
            route(.get, "/things/{name}") { request in .text(.ok, request.context.trace.traceparent) },
            route(.get, "/broken") { _ in throw Problem(.internalError, "x") },
        ]
        let routes = StandardRoutes.adding(
            to: own, title: "t", version: "1", readiness: [], metrics: MetricsRegistry())
        try await TestServer.run(routes, tracer: tracer) { server in
            for (target, parent) in requests {
                let client = try server.connect()
                let field = parent.map { "traceparent: \($0)\r\n" } ?? ""
                try await client.send("GET \(target) HTTP/1.1\r\nHost: a\r\n\(field)Connection: close\r\n\r\n")
                let answer = try #require(Answer.parse(try await client.receiveAll())?.answer)
                if parent?.hasPrefix(Self.parent) == true { #expect(answer.body.hasPrefix("00-0af7651916cd43dd")) }
                client.close()
            }
        }
        return tracer.take(.max)
    }

    @Test func aRequestIsASpanBelowItsClients() async throws {
        let before = Tracer.now()
        let spans = try await spans(of: [("/things/a?secret=1", Self.parent + "-01")])
        let span = try #require(spans.first)
        #expect(spans.count == 1 && span.name == "GET /things/{name}" && span.kind == .server)
        #expect(span.context.traceID == "0af7651916cd43dd8448eb211c80319c")
        #expect(span.parent?.description == "b7ad6b7169203331" && span.context.spanID != span.parent)
        #expect(before - 1_000_000 <= span.start && span.start <= span.end && span.end <= Tracer.now() + 1_000_000)
        let attributes = Dictionary(span.attributes.map { ($0.key, $0.value) }, uniquingKeysWith: { first, _ in first })
        #expect(attributes["url.path"] == "/things/a" && attributes["http.response.status_code"] == 200)
        #expect(attributes["http.response.body.size"] == 55 && attributes["client.address"] == "127.0.0.1")
        #expect(!attributes.values.contains { "\($0)".contains("secret") } && span.status == .unset)
    }

    @Test func theClientsFlagDecidesAndElseTheShare() async throws {
        let calls: [(target: String, parent: String?)] = [
            ("/things/a", Self.parent + "-00"), ("/things/b", Self.parent + "-01"), ("/things/c", nil),
            ("/things/d", "nonsense"), ("/broken", nil), ("/nowhere", nil),
        ]
        #expect(try await spans(sampler: .none, of: calls).count == 1)
        let all = try await spans(sampler: .all, of: calls)
        #expect(
            all.map(\.name) == ["GET /things/{name}", "GET /things/{name}", "GET /things/{name}", "GET /broken", "GET"])
        #expect(all.dropFirst().allSatisfy { $0.parent == nil })
        #expect(all.map(\.status) == [.unset, .unset, .unset, .failed("500"), .unset])
    }

    /// Whoever looks after the service asks every few seconds.
    @Test func probesAreNotTraced() async throws {
        let calls = ["/healthz", "/readyz", "/metrics", "/openapi.json"].map { ($0, nil as String?) }
        #expect(try await spans(sampler: .all, of: calls).isEmpty)
    }
}
