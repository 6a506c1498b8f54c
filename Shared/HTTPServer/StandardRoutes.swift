import HTTP
import JSON
public import Observability

/// The routes that every service has besides its own: health, readiness, metrics and its OpenAPI document.
public enum StandardRoutes {
    /// What they are listed under in the document.
    static let tag = "service"

    /// The service's own routes with the standard ones.
    ///
    /// - Parameters:
    ///   - title: of the OpenAPI document.
    ///   - readiness: asked at every `GET /readyz`, all at the same time, each for two seconds at most.
    ///   - refresh: awaited at every `GET /metrics` before they are rendered; it bounds itself.
    public static func adding(
        to routes: [Route], title: String, version: String, readiness: [ReadinessCheck], metrics: MetricsRegistry,
        refresh: @escaping @Sendable () async -> Void = {}
    ) -> [Route] {
        let own = routes + [health, ready(readiness), rendered(metrics, refresh)]
        let document = OpenAPIDocument.build(title: title, version: version, routes: own + [openAPI([])])
        return own + [openAPI(document.serialized())]
    }

    private static let health = Route(
        .get, "/healthz", scope: nil,
        operation: Operation(
            id: "getHealth", summary: "Whether the process answers", tag: tag,
            answers: [
                Operation.Answer(
                    200, "It does",
                    [
                        .json(
                            schema: Schema.answer([("status", ["type": "string", "const": "ok"])]),
                            example: ["status": "ok"])
                    ])
            ])
    ) { _ in .json(bytes: healthy) }

    private static let healthy = Array(#"{"status":"ok"}"#.utf8)

    private static func ready(_ checks: [ReadinessCheck]) -> Route {
        Route(
            .get, "/readyz", scope: nil,
            operation: Operation(
                id: "getReadiness", summary: "Whether the service can do its work, and what is missing", tag: tag,
                answers: [
                    Operation.Answer(200, "It can", [.json(schema: Readiness.schema, example: Readiness.example)])
                ],
                problems: [.notReady])
        ) { request in
            var findings = await Readiness.findings(of: checks)
            if await request.context.isDraining {
                findings.append(.init(check: "draining", isFailed: true, message: "the service is being stopped"))
            }
            return try Readiness.answer(findings)
        }
    }

    private static func rendered(
        _ metrics: MetricsRegistry, _ refresh: @escaping @Sendable () async -> Void
    ) -> Route {
        Route(
            .get, "/metrics", scope: nil,
            operation: Operation(
                id: "getMetrics", summary: "Metrics in Prometheus' text format", tag: tag,
                answers: [
                    Operation.Answer(200, "The metrics", [Operation.Content("text/plain", schema: Schema.string)])
                ])
        ) { _ in
            await refresh()
            return .bytes(.ok, MetricsRegistry.contentType, metrics.render())
        }
    }

    private static let document = Schema.answer([
        ("openapi", Schema.string), ("info", ["type": "object"]), ("paths", ["type": "object"]),
        ("components", ["type": "object"]),
    ])

    private static func openAPI(_ document: [UInt8]) -> Route {
        Route(
            .get, "/openapi.json", scope: nil,
            operation: Operation(
                id: "getOpenAPI", summary: "This document", tag: tag,
                answers: [Operation.Answer(200, "An OpenAPI 3.1 document", [.json(schema: StandardRoutes.document)])])
        ) { _ in .json(bytes: document) }
    }
}
