import HTTP
import HTTPServer
import JSON

extension StoreRoutes {
    var readRows: Route {
        Route(
            .get, "/v1/datasets/{name}/rows", scope: "datasets:read",
            operation: Operation(
                id: "listRows", summary: "A dataset's rows",
                description: """
                    In the order of loading unless `order` says otherwise. A page ends early where its values take \
                    more than 4 MiB. `next_cursor` is also in the header `X-Next-Cursor`, for CSV and NDJSON, which \
                    `Accept` asks for.
                    """,
                tag: "datasets", parameters: [Self.name] + Self.exportParameters + Self.rowParameters,
                answers: [
                    .init(
                        .ok, "A page of rows.",
                        [
                            .json(
                                schema: DatasetSchemas.rows,
                                example: [
                                    "items": [
                                        ["id": 1, "path": "/", "_extra": nil, "_batch": 7, "_row": 0, "_out": 0]
                                    ], "next_cursor": nil,
                                ]), .init("application/x-ndjson", schema: Schema.string),
                            .init("text/csv", schema: Schema.string),
                        ],
                        headers: [
                            .init("X-Next-Cursor", "As `next_cursor`; absent on the last page.", required: false)
                        ])
                ],
                problems: [
                    .notFound, .invalidName, .invalidParameter, .invalidCursor, .invalidExpression, .queryFailed,
                    .notAcceptable, .timeout, .databaseUnavailable,
                ]),
            handler: rows.rows)
    }

    static let exportParameters: [Operation.Parameter] = [
        .init(
            "columns", .query, "The columns wanted, separated by commas; all if it is left out.",
            schema: ["type": "string", "pattern": #"[^,\u0000]"#], example: "_batch,_row"),
        .init(
            "where", .query, "A condition in the platform's expression language.",
            schema: Schema.text, example: "_row >= 500 and _out = 0"),
        .init(
            "numbers", .query, "`string` quotes numeric, and int8 beyond 2^53.",
            schema: Schema.oneOf(RowRoutes.Numbers.self)),
    ]

    private static let rowParameters: [Operation.Parameter] = [
        .init(
            "order", .query, "At most eight columns separated by commas, each with `.asc` or `.desc`.",
            schema: Schema.text, example: "_batch.desc"),
        .limit(RowsQuery.limits.upperBound, usual: RowsQuery.defaultLimit), .cursor,
    ]

    var quarantine: Route {
        let item: JSONValue = [
            "batch": "7", "row": 3, "raw": "{\"id\": 1}", "stage": "store", "pipeline": "web", "version": 1,
            "output": 0,
            "errors": [
                [
                    "code": "duplicate_key", "step": nil, "column": nil,
                    "message": "duplicate key value violates unique constraint \"web.key\"",
                ]
            ], "at": "2026-01-01T00:00:00Z",
        ]
        let stage = Operation.Parameter(
            "stage", .query, "Only those refused at this stage.", schema: Schema.oneOf(RowRoutes.Stage.self))
        return Route(
            .get, "/v1/datasets/{name}/quarantine", scope: "raw:read",
            operation: Operation(
                id: "listQuarantine", summary: "The records that were turned down on their way into a dataset",
                description: "Bytes that are no UTF-8 are shown as far as they are, and exactly in `raw_base64`.",
                tag: "datasets", parameters: [Self.name, stage] + Self.page,
                answers: [
                    .init(
                        .ok, "A page, by batch and row.",
                        [
                            .json(
                                schema: Schema.page(of: DatasetSchemas.quarantined),
                                example: ["items": [item], "next_cursor": nil])
                        ])
                ],
                problems: [.notFound, .invalidName, .invalidParameter, .invalidCursor, .databaseUnavailable]),
            handler: rows.quarantine)
    }

    var quarantineReasons: Route {
        let item: JSONValue = [
            "pipeline": "web", "stage": "transform", "code": "invalid_cast", "step": "steps[1].cast",
            "column": "status", "records": 42, "first_at": "2026-01-01T00:00:00Z", "last_at": "2026-01-02T00:00:00Z",
        ]
        return Route(
            .get, "/v1/datasets/{name}/quarantine/reasons", scope: "datasets:read",
            operation: Operation(
                id: "listQuarantineReasons", summary: "Why records are in quarantine, counted",
                description: """
                    Most frequent first, at most \(ListQuarantineReasons.maximum). A record with several errors counts \
                    for each kind of them once. `records` is how many were looked at: at most 100,000, the newest; \
                    `truncated` says whether that was the limit.
                    """,
                tag: "datasets", parameters: [Self.name],
                answers: [
                    .init(
                        .ok, "The reasons.",
                        [
                            .json(
                                schema: DatasetSchemas.reasons,
                                example: ["items": [item], "records": 42, "truncated": false])
                        ])
                ],
                problems: [.notFound, .invalidName, .invalidParameter, .databaseUnavailable]),
            handler: rows.reasons)
    }

    var lineage: Route {
        let item: JSONValue = [
            "batch": "7", "row": 3, "pipeline": "web", "version": 1, "output": 0, "state": "stored",
            "source": "weblogs",
            "request": "018f", "receipt": "r0000000700000", "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
            "received_at": "2026-01-01T00:00:00Z",
            "stored_at": "2026-01-01T00:00:01Z", "raw": "{\"id\": 1}",
        ]
        return Route(
            .get, "/v1/datasets/{name}/lineage", scope: "datasets:read", wideningScope: "raw:read",
            operation: Operation(
                id: "getLineage", summary: "Where a row came from",
                description: """
                    `_batch` and `_row` of a row name its record. `raw` needs the scope `raw:read` besides. Once the \
                    raw bytes have expired it is null, and `raw_expired_at` says since when. `trace_id` is the trace \
                    in which the record's batch came, where spans are collected; of a batch that many requests share \
                    it is the first one's.
                    """,
                tag: "datasets",
                parameters: [
                    Self.name,
                    .init("batch", .query, "The row's `_batch`.", schema: Schema.id, required: true, example: "7"),
                    .init(
                        "row", .query, "The row's `_row`.", schema: Schema.integer(0...Int(Int32.max)), required: true,
                        example: 3),
                ],
                answers: [
                    .init(
                        .ok, "An item for each pipeline's output.",
                        [
                            .json(
                                schema: Schema.page(of: DatasetSchemas.lineage),
                                example: ["items": [item], "next_cursor": nil])
                        ])
                ],
                problems: [.notFound, .invalidName, .invalidParameter, .databaseUnavailable]),
            handler: rows.lineage)
    }
}
