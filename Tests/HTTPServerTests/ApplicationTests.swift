import HTTP
import HTTPServer
import JSON
import Observability
import Testing

@Suite struct ApplicationTests {
    private struct Odd: Error {}

    private struct Busy: ProblemConvertible {
        var problem: Problem { Problem(.databaseUnavailable, "away", retryAfter: .seconds(2)) }
    }

    private func failing(_ error: any Error & Sendable) -> Application {
        Fixture.application([Route(.get, "/x", scope: nil, operation: Fixture.operation("x")) { _ in throw error }])
    }

    private func answer(_ application: Application) async throws -> Response {
        await application.respond(to: try Fixture.request(.get, "/x"))
    }

    @Test func problemsBecomeTheirDocument() async throws {
        let response = try await answer(failing(Problem(.conflict, "no", extensions: [("paths", ["a"])])))
        #expect(response.status == .conflict)
        #expect(response.headers["content-type"] == "application/problem+json")
        #expect(response.json?["paths"] == ["a"])
    }

    @Test func errorsSayNothingOfTheInside() async throws {
        let response = try await answer(failing(Odd()))
        #expect(response.status == .internalServerError)
        #expect(response.json?["code"] == "internal")
        #expect(!response.bodyText.contains("Odd"))
    }

    @Test func otherModulesErrorsHaveAnswersOfTheirOwn() async throws {
        let response = try await answer(failing(Busy()))
        #expect(response.status == .serviceUnavailable)
        #expect(response.headers["retry-after"] == "2")
        #expect(try await answer(failing(CancellationError())).status == .serviceUnavailable)
        let faults = FieldFaults([FieldFault(path: "a", message: "unknown field")])
        #expect(try await answer(failing(faults)).json?["code"] == "unknown_field")
    }

    @Test func requestIDsAreKeptWhereTheyAreUsable() async throws {
        let application = Fixture.application([Fixture.route(.get, "/x", "x")])
        let id = { (given: String) in
            let request = try Fixture.request(.get, "/x", headers: ["X-Request-Id": given])
            return await application.respond(to: request).requestID?.description
        }
        #expect(try await id("abc-1") == "abc-1")
        #expect(try await id("a b") != "a b")
        #expect(try await id(String(repeating: "a", count: 129))?.count == 16)
        let first = await application.respond(to: try Fixture.request(.get, "/none")).requestID?.description
        let second = await application.respond(to: try Fixture.request(.get, "/none")).requestID?.description
        #expect(first != nil && first != second)
    }

    @Test func tracesAreCarriedOn() throws {
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        let context = try Fixture.request(.get, "/", headers: ["traceparent": parent]).context
        #expect(context.trace.traceparent.hasPrefix("00-0af7651916cd43dd8448eb211c80319c-"))
        #expect(context.trace.traceparent != parent)
        #expect(context.trace.isSampled && context.parentSpan?.description == "b7ad6b7169203331")
        let own = try Fixture.request(.get, "/").context
        #expect(!own.trace.isSampled && own.parentSpan == nil, "who traces nothing asks nobody else to")
    }

    @Test func bodiesAreLimitedByRoute() async throws {
        var limits = HTTPLimits()
        limits.body = 10
        let read: Route.Handler = { .text(.ok, "\(try await $0.body.collect(limit: .max).count)") }
        let application = Fixture.application(
            [
                Route(.post, "/small", scope: nil, bodyLimit: 4, operation: Fixture.operation("a"), handler: read),
                Route(.post, "/usual", scope: nil, operation: Fixture.operation("b"), handler: read),
            ], limits: limits)
        let send = { (path: String, pieces: [[UInt8]]) in
            let head = try HTTPRequestHead(.post, path, headers: ["transfer-encoding": "chunked"])
            let body = RequestBody(PiecewiseBody(pieces), contentLength: nil)
            return await application.respond(to: Fixture.request(head, body: body)).status.code
        }
        #expect(await application.respond(to: try Fixture.request(.post, "/small", body: "1234")).status == .ok)
        #expect(await application.respond(to: try Fixture.request(.post, "/small", body: "12345")).status.code == 413)
        #expect(await application.respond(to: try Fixture.request(.post, "/usual", body: "12345")).status == .ok)
        #expect(try await send("/small", [[1, 2], [3, 4]]) == 200)
        #expect(try await send("/small", [[1, 2], [3, 4], [5]]) == 413)
        #expect(try await send("/usual", [[1, 2], [3, 4], [5]]) == 200)
    }

    /// Notes its tag, at once or after a suspension, or refuses.
    private struct Tagging: Middleware {
        let tag: String
        let waits: Bool

        func admitAtOnce(_ request: inout Request) throws -> Bool {
            if !waits { try note(&request) }
            return !waits
        }

        nonisolated(nonsending) func admit(_ request: inout Request) async throws {
            await Task.yield()
            try note(&request)
        }

        private func note(_ request: inout Request) throws {
            if request.head.has("refuse", token: tag) { throw Problem(.forbidden, "by \(tag)") }
            request.context.principal = Tags(text: ((request.context.principal as? Tags)?.text ?? "") + tag)
        }
    }

    private final class Tags: RequestPrincipal {
        let text: String
        var logged: (workspace: String, key: String) { (text, "1") }

        init(text: String) { self.text = text }
    }

    @Test func middlewareStandsBeforeTheHandlerFromTheOutermostIn() async throws {
        let route = Route(.get, "/x", scope: "s", operation: Fixture.operation("x")) { request in
            #expect(request.route?.scope == "s")
            return .text(.ok, (request.context.principal as? Tags)?.text ?? "")
        }
        let layers = [
            Tagging(tag: "a", waits: false), Tagging(tag: "b", waits: true), Tagging(tag: "c", waits: false),
        ]
        let application = Fixture.application([route], middleware: layers)
        #expect(try await answer(application).bodyText == "abc")
        for (tag, refused) in [("a", "by a"), ("b", "by b"), ("c, b", "by b")] {
            let request = try Fixture.request(.get, "/x", headers: ["Refuse": tag])
            let response = await application.respond(to: request)
            #expect(response.status == .forbidden)
            #expect(response.json?["detail"] == .string(refused))
        }
    }

    @Test func requestsAreCountedByRoute() async throws {
        let metrics = MetricsRegistry()
        let application = Fixture.application([Fixture.route(.get, "/d/{n}", "d")], metrics: metrics)
        for target in ["/d/1", "/d/2", "/else"] {
            _ = await application.respond(to: try Fixture.request(.get, target))
        }
        let text = String(decoding: metrics.render(), as: UTF8.self)
        #expect(text.contains(#"http_requests_total{method="GET",route="/d/{n}",status="2xx"} 2"#))
        #expect(text.contains(#"status="4xx"} 1"#))
        #expect(!text.contains("/d/1"))
    }
}
