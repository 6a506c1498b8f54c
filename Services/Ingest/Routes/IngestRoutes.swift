import Catalog
import HTTP
import HTTPServer
import JSON

/// Ingest's route table.
struct IngestRoutes: Sendable {
    let ingest: IngestRoute
    let stream: StreamRoute
    let receipts: ReceiptRoutes
    let batches: BatchRoutes
    let sources: SourceRoutes

    var routes: [Route] {
        [ingestRoute, streamRoute, receiptRoute] + batches.routes + sources.routes
    }

    private static let text: JSONValue = ["type": "string", "minLength": 1]
    private static let receiptLink = Operation.Link("getReceipt", [("id", "$response.body#/receipt")])
    private static let receiptHeaders: [Operation.Header] = [
        .init("Location", "The receipt's path.", example: "/v1/receipts/r0000000080000"),
        .idempotentReplayed,
    ]

    private var ingestRoute: Route {
        Route(
            .post, "/v1/ingest/{source}", scope: "ingest:write", bodyLimit: ingest.bodyLimit,
            operation: Operation(
                id: "ingest", summary: "Send records",
                description: """
                    Answers once the records are durable; with `wait=stored` once they are rows of every dataset \
                    that the source's pipelines fill. A record that cannot be used is quarantined with its reason \
                    and its neighbours go on; a body that cannot be cut into records is refused as a whole. \
                    The first row of CSV names the columns, each once; `header=absent` is refused.
                    """,
                tag: "ingest",
                parameters: [
                    .init(
                        "source", .path, "The source; its first record makes it.", schema: ResourceName.schema,
                        example: "weblogs"),
                    .init(
                        "wait", .query, "`stored` waits until the records can be queried.",
                        schema: ["type": "string", "enum": ["stored"]]),
                    .init(
                        "timeout", .query, "How long to wait, at most 60 s; goes with `wait`.",
                        schema: ["type": "string", "pattern": .string(DurationText.upToAMinute), "default": "30s"]),
                    .idempotencyKey("The same key with the same body answers the first receipt, for at least 24 h."),
                    .init(
                        "Content-Encoding", .header, "How the body is compressed.",
                        schema: ["type": "string", "enum": ["gzip", "deflate", "zstd", "identity"]]),
                ],
                requestBody: [
                    .init(
                        "application/x-ndjson", schema: Self.text,
                        example: "{\"status\": 200, \"path\": \"/\"}\n{\"status\": 404}\n"),
                    .json(
                        schema: ["type": ["object", "array"]],
                        example: [["status": 200, "path": "/"], ["status": 404]]),
                    .init("text/csv", schema: Self.text, example: "status,path\n200,/\n404,/x\n"),
                    .init(
                        "text/plain", schema: Self.text,
                        example: "127.0.0.1 - - [10/Oct/2000:13:55:36 +0000] \"GET / HTTP/1.1\" 200 5\n"),
                ],
                answers: [
                    .init(
                        .ok, "Stored in all outputs.",
                        [
                            .json(
                                schema: IngestSchemas.summary,
                                example: [
                                    "receipt": "r0000000080000", "state": "stored", "received": 2, "stored": 2,
                                    "filtered": 0, "quarantined": 0, "duplicates": 0,
                                ])
                        ], headers: Self.receiptHeaders, links: [Self.receiptLink]),
                    .init(
                        .accepted, "Durable.",
                        [
                            .json(
                                schema: IngestSchemas.acknowledgement,
                                example: ["receipt": "r0000000080000", "state": "accepted"])
                        ], headers: Self.receiptHeaders, links: [Self.receiptLink]),
                ],
                problems: [
                    .emptyBody, .malformedBody, .invalidEncoding, .unsupportedMediaType, .invalidName,
                    .invalidParameter,
                    .invalidHeader, .idempotencyInProgress, .idempotencyMismatch, .uploadExpired, .payloadTooLarge,
                    .storageFull, .lagging, .rateLimited, .overloaded, .receiptFailed, .databaseUnavailable,
                    .incompleteBody,
                ]),
            handler: ingest.handle)
    }

    private var receiptRoute: Route {
        Route(
            .get, "/v1/receipts/{id}", scope: "ingest:write", reach: .handler,
            operation: Operation(
                id: "getReceipt", summary: "What became of a request's records", tag: "ingest",
                parameters: [
                    .init("id", .path, "The receipt.", schema: IngestSchemas.receiptID, example: "r0000000080000")
                ],
                answers: [
                    .init(
                        .ok, "The receipt.",
                        [
                            .json(schema: IngestSchemas.receipt, example: Self.receiptExample)
                        ])
                ],
                problems: [.notFound, .databaseUnavailable]),
            handler: receipts.get)
    }
    private static let receiptExample: JSONValue = [
        "id": "r0000000080000", "source": "weblogs", "state": "stored", "received": 2, "stored": 2, "filtered": 0,
        "quarantined": 0, "duplicates": 0,
        "outputs": [
            [
                "pipeline": "weblogs", "version": 1, "dataset": "weblogs", "state": "stored", "error": nil,
                "stored": 2, "filtered": 0, "quarantined": 0, "duplicates": 0,
            ]
        ],
        "received_at": "2026-01-01T00:00:00Z", "stored_at": "2026-01-01T00:00:01Z",
    ]
}
