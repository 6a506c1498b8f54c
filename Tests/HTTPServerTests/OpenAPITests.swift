import HTTP
import HTTPServer
import JSON
import Observability
import Testing

@Suite struct OpenAPITests {
    private struct Away: Error, CustomStringConvertible {
        var description: String { "cannot connect" }
    }

    private static let put = Route(
        .put, "/v1/things/{name}", scope: "things:write",
        operation: Operation(
            id: "putThing", summary: "Puts a thing", tag: "things",
            parameters: [Operation.Parameter("dry", .query, "Only checks", schema: ["type": "boolean"], example: true)],
            requestBody: [.json(schema: ["type": "object"], example: ["size": 1])],
            answers: [
                Operation.Answer(200, "Replaced", [.json(example: ["size": 1])]), Operation.Answer(201, "Created"),
            ], problems: [.incompatibleChange, .conflict, .invalidName])
    ) { _ in .noContent() }

    private static let get = Route(
        .get, "/v1/things/{name}", scope: "things:read",
        operation: Operation(id: "getThing", summary: "Gets a thing", answers: [Operation.Answer(200, "It")])
    ) { _ in .noContent() }

    @Test func describesTheRouteTable() throws {
        let document = OpenAPIDocument.build(title: "Things", version: "1.2", routes: [Self.put, Self.get])
        #expect(document["openapi"] == "3.1.0")
        #expect(document["info"] == ["title": "Things", "version": "1.2"])
        let item = try #require(document["paths"]?["/v1/things/{name}"])
        #expect(item["get"]?["operationId"] == "getThing")
        let put = try #require(item["put"])
        #expect(put["operationId"] == "putThing")
        #expect(put["tags"] == ["things"])
        #expect(put["security"] == [["key": []]])
        #expect(put["x-scope"] == "things:write")
        #expect(put["parameters"]?[0]?["name"] == "name")
        #expect(put["parameters"]?[0]?["required"] == true)
        #expect(put["parameters"]?[1]?["example"] == true)
        #expect(put["requestBody"]?["content"]?["application/json"]?["example"] == ["size": 1])
        #expect(put["responses"]?["201"]?["description"] == "Created")
        let statuses = put["responses"]?.object?.keys ?? []
        let expected = [
            "200", "201", "400", "401", "403", "408", "409", "413", "414", "415", "417", "422", "429", "431", "500",
            "501", "503", "505",
        ]
        #expect(statuses == expected)
        #expect(put["responses"]?["200"]?["headers"]?["X-Request-Id"]?["$ref"] == "#/components/headers/RequestID")
        #expect(put["responses"]?["401"]?["$ref"] == "#/components/responses/unauthorized", "one code: said once")
        let shared = document["components"]?["responses"]?["unauthorized"]
        #expect(shared?["headers"]?["WWW-Authenticate"]?["$ref"] == "#/components/headers/Authenticate")
        let schema = put["responses"]?["409"]?["content"]?["application/problem+json"]?["schema"]
        #expect(schema?["allOf"]?[1]?["properties"]?["code"]?["enum"] == ["conflict", "incompatible_change"])
    }

    @Test func everyServiceHasTheStandardRoutes() async throws {
        let metrics = MetricsRegistry()
        let refreshes = metrics.counter("refreshes", help: "How often the metrics were refreshed.")
        let routes = StandardRoutes.adding(
            to: [Self.get], title: "Things", version: "1", readiness: [ReadinessCheck("database") { throw Away() }],
            metrics: metrics
        ) { refreshes.add() }
        let application = Fixture.application(routes, metrics: metrics)
        let get = { (path: String) in await application.respond(to: try Fixture.request(.get, path)) }
        #expect(try await get("/healthz").json == ["status": "ok"])
        let ready = try await get("/readyz")
        #expect(ready.status == .serviceUnavailable)
        #expect(ready.json?["code"] == "not_ready")
        #expect(ready.json?["errors"] == [["path": "database", "message": "cannot connect"]])
        #expect(
            ready.json?["checks"] == [["check": "database", "status": "failed", "message": "cannot connect"]])
        #expect(ready.headers["retry-after"] == "5")
        let rendered = try await get("/metrics")
        #expect(rendered.headers["content-type"] == MetricsRegistry.contentType)
        #expect(rendered.bodyText.contains("refreshes 1\n"), "before they were rendered")
        let paths = try await get("/openapi.json").json?["paths"]?.object?.keys
        #expect(paths == ["/v1/things/{name}", "/healthz", "/readyz", "/metrics", "/openapi.json"])
    }

    @Test func readinessFollowsItsChecks() async throws {
        let metrics = MetricsRegistry()
        let routes = StandardRoutes.adding(
            to: [], title: "t", version: "1", readiness: [ReadinessCheck("all") {}], metrics: metrics)
        let response = await Fixture.application(routes, metrics: metrics).respond(
            to: try Fixture.request(.get, "/readyz"))
        #expect(response.json == ["status": "ready", "checks": [["check": "all", "status": "ok"]]])
    }
}
