import HTTP
import JSON
public import Observability

/// The routes that every service has besides its own: health, readiness, metrics and its OpenAPI document.
public enum StandardRoutes {
    /// The service's own routes with the standard ones.
    ///
    /// - Parameters:
    ///   - title: of the OpenAPI document.
    ///   - readiness: asked at every `GET /readyz`, one after the other.
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
            id: "getHealth", summary: "Whether the process answers", tag: "service",
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

    private static let readiness = Schema.answer(
        [
            ("status", ["type": "string", "const": "ready"]),
            (
                "notes",
                Schema.array(of: Schema.answer([("check", Schema.string), ("message", Schema.string)]))
            ),
        ], optional: ["notes"])

    private static func ready(_ checks: [ReadinessCheck]) -> Route {
        Route(
            .get, "/readyz", scope: nil,
            operation: Operation(
                id: "getReadiness", summary: "Whether the service can do its work", tag: "service",
                answers: [
                    Operation.Answer(200, "It can", [.json(schema: readiness, example: ["status": "ready"])])
                ],
                problems: [.notReady])
        ) { _ in
            var faults: [FieldFault] = []
            var notes: [FieldFault] = []
            for check in checks {
                do {
                    if let note = try await check.note() { notes.append(FieldFault(path: check.name, message: note)) }
                } catch {
                    faults.append(FieldFault(path: check.name, message: "\(error)"))
                }
            }
            guard faults.isEmpty else {
                let names = faults.map(\.path).joined(separator: ", ")
                throw Problem(.notReady, "not ready: \(names)", errors: faults, retryAfter: .seconds(5))
            }
            return .json { writer in
                writer.object { writer in
                    writer.member("status", "ready")
                    if !notes.isEmpty { write(notes, &writer) }
                }
            }
        }
    }

    private static func write(_ notes: [FieldFault], _ writer: inout JSONWriter) {
        writer.key("notes")
        writer.array { writer in
            for note in notes {
                writer.object { writer in
                    writer.member("check", note.path)
                    writer.member("message", note.message)
                }
            }
        }
    }

    private static func rendered(
        _ metrics: MetricsRegistry, _ refresh: @escaping @Sendable () async -> Void
    ) -> Route {
        Route(
            .get, "/metrics", scope: nil,
            operation: Operation(
                id: "getMetrics", summary: "Metrics in Prometheus' text format", tag: "service",
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
                id: "getOpenAPI", summary: "This document", tag: "service",
                answers: [Operation.Answer(200, "An OpenAPI 3.1 document", [.json(schema: StandardRoutes.document)])])
        ) { _ in .json(bytes: document) }
    }
}
