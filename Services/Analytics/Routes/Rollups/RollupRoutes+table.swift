import Catalog
import HTTP
import HTTPServer
import JSON

extension RollupRoutes {
    var routes: [Route] { [putRoute, getRoute, deleteRoute, listRoute, dataRoute, liveRoute] }

    private static let name = Operation.Parameter(
        "name", .path, "The rollup.", schema: ResourceName.schema, example: "hits_by_path")
    private static let whole = Operation.Content.json(schema: RollupSchemas.rollup, example: example)
    private static let links = ["getRollup", "putRollup", "deleteRollup", "getRollupData", "getRollupChanges"].map {
        Operation.Link($0, [("name", "$response.body#/name")])
    }

    private static let definition: JSONValue = [
        "dataset": "web", "time": ["column": "ts", "grain": "minute"], "dimensions": ["path"],
        "measures": ["hits": "count()", "bytes": "sum(bytes)", "p99": "quantile(latency_ms, 0.99)"],
    ]

    private static let example: JSONValue = [
        "name": "hits_by_path", "version": 1, "dataset": "web", "time": ["column": "ts", "grain": "minute"],
        "dimensions": ["path"],
        "measures": ["bytes": "sum(bytes)", "hits": "count()", "p99": "quantile(latency_ms, 0.99)"],
        "state": "ready", "reason": nil, "progress": 1, "waiting_batches": 0, "applied_at": "2026-01-01T00:00:00Z",
        "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
    ]

    private var putRoute: Route {
        Route(
            .put, "/v1/rollups/{name}", scope: "rollups:write",
            operation: Operation(
                id: "putRollup", summary: "Keep an aggregate of a dataset up to date",
                description: """
                    Rows are counted by the bucket of their time and by the dimensions. `grain` is `second`, `minute`, \
                    `hour`, `day`, `week`, `month`, `quarter` or `year`, in UTC, weeks from Monday; a time column is \
                    timestamptz or date. Rows without a time, or with an infinite one, are left out. Measures: \
                    `count()`, `count(c)`, `sum(c)`, `min(c)`, `max(c)`, `avg(c)`, `stddev(c)` as PostgreSQL has them, \
                    and `quantile(c, 0.99)` as percentile_disc within 1 % (DDSketch; NaN is above Infinity). What \
                    there is already is counted after the answer: `state` and `progress` say how far that is. The \
                    same again makes no new version; of a rollup that has `failed` it begins anew. A change of the \
                    definition counts from the beginning.
                    """,
                tag: "rollups", parameters: [Self.name, .ifMatch],
                requestBody: [.json(schema: RollupSchemas.definition, example: Self.definition)],
                answers: [
                    .init(.created, "Created.", [Self.whole], headers: [.entityTag], links: Self.links),
                    .init(.ok, "Changed, or unchanged.", [Self.whole], headers: [.entityTag], links: Self.links),
                ],
                problems: [
                    .invalidRollup, .unknownField, .invalidName, .invalidJSON, .emptyBody, .unsupportedMediaType,
                    .payloadTooLarge, .preconditionFailed, .conflict, .databaseUnavailable,
                ]),
            handler: put)
    }

    private var getRoute: Route {
        Route(
            .get, "/v1/rollups/{name}", scope: "rollups:read",
            operation: Operation(
                id: "getRollup", summary: "A rollup's definition and how fresh it is",
                description: """
                    `state`: `preparing` and `backfilling` until what there was is counted, then `ready`; `failed` \
                    with its `reason`. `progress` is the share of the dataset that is counted. `waiting_batches` are \
                    stored and not counted yet (10,000 at most are told); `applied_at` is when it last followed.
                    """,
                tag: "rollups", parameters: [Self.name],
                answers: [.init(.ok, "The rollup.", [Self.whole], headers: [.entityTag])],
                problems: [.notFound, .invalidName, .databaseUnavailable]),
            handler: get)
    }

    private var deleteRoute: Route {
        Route(
            .delete, "/v1/rollups/{name}", scope: "rollups:write",
            operation: Operation(
                id: "deleteRollup", summary: "Delete a rollup and its data", tag: "rollups",
                parameters: [Self.name, .ifMatch], answers: [.init(.noContent, "Deleted.")],
                problems: [.notFound, .invalidName, .preconditionFailed, .conflict, .databaseUnavailable]),
            handler: delete)
    }

    private var listRoute: Route {
        Route(
            .get, "/v1/rollups", scope: "rollups:read",
            operation: Operation(
                id: "listRollups", summary: "The workspace's rollups", tag: "rollups",
                parameters: [.limit(), .cursor],
                answers: [
                    .init(
                        .ok, "A page of rollups, by name.",
                        [
                            .json(
                                schema: Schema.page(of: RollupSchemas.rollup),
                                example: ["items": [Self.example], "next_cursor": nil])
                        ])
                ],
                problems: [.invalidParameter, .invalidCursor, .databaseUnavailable]),
            handler: list)
    }

    private static func text(_ name: String, _ description: String, example: JSONValue? = nil) -> Operation.Parameter {
        .init(name, .query, description, schema: Schema.text, example: example)
    }

    private static let dataParameters: [Operation.Parameter] = [
        name,
        .init(
            "from", .query, "The first bucket is the one that holds it.", schema: Schema.timestamp,
            example: "2026-01-01T00:00:00Z"),
        .init(
            "to", .query, "The last bucket begins before it.", schema: Schema.timestamp,
            example: "2026-01-02T00:00:00Z"),
        .init(
            "grain", .query, "Longer buckets, made of the rollup's: hour of minute, not month of week.",
            schema: Schema.oneOf(RollupGrain.self)),
        text("group_by", "Dimensions, with commas; all others are merged. Empty: all are.", example: "path"),
        text("where", "A condition over dimensions, in the language of pipelines.", example: "path <> '/health'"),
        text(
            "order", "`time`, dimensions and measures, with commas, each with `.desc` or `.asc`; else by time."),
        .init(
            "limit", .query, "Rows, 1,000 if left out.", schema: Schema.integer(RollupQuery.limits)),
        .init(
            "fill", .query,
            "Adds the buckets without rows between `from` and `to`: with `null`, `zero`, the value before, or one on "
                + "the straight line between those around it. At most 10,000 buckets, and 1,000,000 rows in all.",
            schema: Schema.oneOf(RollupOptions.Fill.self)),
        .init(
            "moving_average", .query,
            "Adds `hits.moving_average`: the mean over so many buckets of time up to each, of those that have a value; "
                + "buckets before `from` count, too. `fill=zero` has buckets without rows count as zero.",
            schema: Schema.integer(2...RollupOptions.longestAverage)),
        .init(
            "rate", .query, "Adds `hits.rate`: the change since the bucket before, a second.", schema: Schema.boolean),
        .init(
            "trend", .query,
            "Adds `hits.slope`, of the straight line through all buckets by least squares, a second, and "
                + "`hits.trend`, where the line is at each.", schema: Schema.boolean),
        .init(
            "anomalies", .query,
            "Adds `hits.zscore`, a value's distance from the mean in standard deviations, and `hits.anomaly`.",
            schema: Schema.oneOf(RollupOptions.Anomalies.self)),
        .init(
            "threshold", .query, "The zscore from which a value is an anomaly, 3 if left out.",
            schema: ["type": "number", "exclusiveMinimum": 0]),
        .init(
            "numbers", .query, "`string` quotes numeric, and int8 beyond ±(2^53−1), in JSON.",
            schema: Schema.oneOf(QueryNumbers.self)),
    ]

    private var dataRoute: Route {
        Route(
            .get, "/v1/rollups/{name}/data", scope: "rollups:read",
            operation: Operation(
                id: "getRollupData", summary: "A rollup's buckets",
                description: """
                    An item a bucket and group, with `time` (when the bucket begins), the dimensions and the measures. \
                    `fill` and what follows it work on the series of each group, over all buckets from `from` to `to`, \
                    for measures that are numbers.
                    """,
                tag: "rollups", parameters: Self.dataParameters,
                answers: [
                    .init(
                        .ok, "The buckets, by time.",
                        [
                            .json(
                                schema: RollupSchemas.data,
                                example: [
                                    "items": [
                                        [
                                            "time": "2026-01-01T00:00:00Z", "path": "/", "bytes": 1024, "hits": 2,
                                            "p99": 12.1,
                                        ]
                                    ], "row_count": 1, "truncated": false,
                                ])
                        ] + EndpointDataRoute.otherContent)
                ],
                problems: [
                    .notFound, .invalidName, .invalidParameter, .invalidExpression, .notAcceptable, .conflict,
                    .queryFailed, .queryTooLarge, .queryTimeout, .rateLimited, .databaseUnavailable,
                ]),
            handler: data)
    }

    private static let liveExample = """
        id: 7.41
        event: reset
        data: {"reason":"started"}

        id: 7.42
        data: {"replaced":[],"items":[{"time":"2026-01-01T00:00:00Z","path":"/","bytes":1024,"hits":2,"p99":12.1}],\
        "row_count":1,"truncated":false}


        """

    private var liveRoute: Route {
        Route(
            .get, "/v1/rollups/{name}/live", scope: "rollups:read",
            operation: Operation(
                id: "getRollupChanges", summary: "A rollup's changes as they come",
                description: """
                    Server-sent events. Each has the rows that have changed, as they are then, in the rollup's own \
                    buckets and groups, to be put in place of those of the same `time` and dimensions; of the times in \
                    `replaced` there are no other rows any more. The number behind the dot of an id is one more than \
                    that of the event before. With `Last-Event-ID`, which a browser sends by itself, the stream goes \
                    on after that event, whichever process answers. `event: reset` says that what one has is not \
                    enough: read the data anew, and go on with what follows. Its `reason`: `started` (there was no \
                    `Last-Event-ID`), `expired` (a thousand events are kept), `unknown` (the id is of another rollup), \
                    `changed` (the rollup was filled anew, or too much has changed). A comment comes every 15 s. Who \
                    reads too slowly is let go and may come back.
                    """,
                tag: "rollups",
                parameters: [
                    Self.name,
                    .init(
                        "numbers", .query, "`string` quotes numeric, and int8 beyond ±(2^53−1).",
                        schema: Schema.oneOf(QueryNumbers.self)),
                    .init(
                        "Last-Event-ID", .header, "The last event that the client has seen.", schema: Schema.string,
                        example: "7.41"),
                ],
                answers: [
                    .init(
                        .ok, "The changes, without an end.",
                        [.init("text/event-stream", schema: Schema.string, example: .string(Self.liveExample))])
                ],
                problems: [
                    .notFound, .invalidName, .invalidParameter, .notAcceptable, .tooManyConnections,
                    .databaseUnavailable,
                ]),
            handler: live)
    }
}
