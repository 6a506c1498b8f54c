import Catalog
import HTTP
import HTTPServer
import JSON

extension SourceRoutes {
    var routes: [Route] { [putRoute, getRoute, deleteRoute, listRoute] }

    private static let source = Operation.Parameter(
        "source", .path, "The source.", schema: ResourceName.schema, example: "weblogs")
    private static let whole = Operation.Content.json(schema: SourceSchemas.source, example: example)
    private static let links = ["getSource", "putSource", "deleteSource"].map {
        Operation.Link($0, [("source", "$response.body#/name")])
    }

    private static let definition: JSONValue = [
        "limits": ["max_lag": "5m", "max_body_bytes": 67_108_864, "records_per_second": 10_000],
        "retention": ["raw": "30d"], "coalescing": ["linger": "20ms"],
    ]

    private static let example: JSONValue = [
        "name": "weblogs", "version": 1, "declared": true, "definition": definition,
        "limits": [
            "max_lag": "5m", "max_body_bytes": 67_108_864, "landing_bytes": nil, "records_per_second": 10_000,
            "bytes_per_second": nil,
        ],
        "retention": ["raw": "30d"], "coalescing": ["max_bytes": 1_048_576, "linger": "20ms"],
        "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
        "rates": ["records_per_second": 812.5, "bytes_per_second": 140_262.25, "stored_per_second": 810.0],
        "lag_seconds": 0.25, "freshness": 0.25,
    ]

    private static let item: JSONValue = [
        "name": "weblogs", "version": 1, "declared": true, "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z",
    ]

    private var putRoute: Route {
        Route(
            .put, "/v1/sources/{source}", scope: "sources:write",
            operation: Operation(
                id: "putSource", summary: "Declare a source, or change its settings",
                description: """
                    All is optional; what is left out follows the service's own settings. `limits`: `max_lag` (1s to \
                    7d; past it 429 `lagging`), `max_body_bytes` (413), `landing_bytes` (raw bytes that may wait to be \
                    stored; past it 429 `lagging`), `records_per_second` and `bytes_per_second` (429 `rate_limited`; \
                    for each ingest process; a request may exceed a second's worth, and those after it wait until that \
                    is made up). `retention.raw` (1h to 3650d): how long raw batches are kept at least; they leave \
                    together with those of other sources that came at the same time, so a shorter time than theirs \
                    changes nothing. `coalescing`: `max_bytes` (1 KiB to 4 MiB) at which a batch of small requests is \
                    full, and `linger` (0s to 1s), for which a small request may wait for others. Every process goes \
                    by a change within 5 s. Identical settings make no new version.
                    """,
                tag: "ingest", parameters: [Self.source, .ifMatch],
                requestBody: [
                    .json(schema: SourceSchemas.settings(bodyLimit: defaults.maxBodyBytes), example: Self.definition)
                ],
                answers: [
                    .init(.created, "Created.", [Self.whole], headers: [.entityTag], links: Self.links),
                    .init(.ok, "Changed, or unchanged.", [Self.whole], headers: [.entityTag], links: Self.links),
                ],
                problems: [
                    .invalidSource, .unknownField, .invalidName, .invalidJSON, .emptyBody, .unsupportedMediaType,
                    .payloadTooLarge, .preconditionFailed, .conflict, .databaseUnavailable,
                ]),
            handler: put)
    }

    private var getRoute: Route {
        Route(
            .get, "/v1/sources/{source}", scope: "sources:read",
            operation: Operation(
                id: "getSource", summary: "A source: its settings, its rates and its lag",
                description: """
                    `definition` is what was put, the other settings what counts. `rates` are those of the last \
                    minute; `stored_per_second` counts rows, of every pipeline. `freshness` is the \
                    age in seconds of the oldest record that is not stored yet, null when all are; `lag_seconds` is \
                    the same with 0. Records of dead letters are not among them.
                    """,
                tag: "ingest", parameters: [Self.source],
                answers: [.init(.ok, "The source.", [Self.whole], headers: [.entityTag])],
                problems: [.notFound, .invalidName, .databaseUnavailable]),
            handler: get)
    }

    private var deleteRoute: Route {
        Route(
            .delete, "/v1/sources/{source}", scope: "sources:write",
            operation: Operation(
                id: "deleteSource", summary: "Delete a source",
                description: """
                    Only once no pipeline that was put reads it and all its records are stored. Its receipts, batches \
                    and their raw bytes stay in the ledger under its name, and rows in datasets keep their lineage; \
                    its settings and its idempotency keys are gone, and its name is free. Records that still come in \
                    make it anew.
                    """,
                tag: "ingest",
                parameters: [
                    Self.source, .confirm("source", schema: ResourceName.schema, example: "weblogs"), .ifMatch,
                ],
                answers: [.init(.noContent, "Deleted.")],
                problems: [
                    .notFound, .invalidName, .confirmationRequired, .inUse, .conflict, .preconditionFailed,
                    .invalidParameter, .databaseUnavailable,
                ]),
            handler: delete)
    }

    private var listRoute: Route {
        Route(
            .get, "/v1/sources", scope: "sources:read", reach: .handler,
            operation: Operation(
                id: "listSources", summary: "The workspace's sources",
                description: """
                    With `rates=true` each has its `rates`, `lag_seconds` and `freshness`, as one that is asked for by \
                    its name; at most \(SourceRoutes.measuredLimit) a page then.
                    """,
                tag: "ingest",
                parameters: [
                    .limit(), .cursor,
                    .init("rates", .query, "Say how each source does.", schema: Schema.boolean),
                ],
                answers: [
                    .init(
                        .ok, "A page of sources, by name.",
                        [
                            .json(
                                schema: Schema.page(of: SourceSchemas.item),
                                example: ["items": [Self.item], "next_cursor": nil])
                        ])
                ],
                problems: [.invalidParameter, .invalidCursor, .databaseUnavailable]),
            handler: list)
    }
}
