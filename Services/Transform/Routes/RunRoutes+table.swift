import Catalog
import HTTP
import HTTPServer
import JSON

extension RunRoutes {
    private static let id = Operation.Parameter("id", .path, "The run.", schema: Schema.id, example: "3")
    private static let links = ["getRun", "cancelRun"]

    private static let summary: [(String, JSONValue)] = [
        ("id", "3"), ("kind", "replay"), ("pipeline", "web"), ("version", 2), ("state", "running"),
        ("request", ["from": "2026-01-01T00:00:00Z", "to": "2026-02-01T00:00:00Z"]), ("schedule", nil),
        ("progress", ["done": 40, "total": 120]),
        ("batches", ["total": 120, "transformed": 64, "done": 40, "failed": 0, "skipped": 0]),
        ("records", ["read": nil, "stored": 39_000, "filtered": 900, "quarantined": 100, "duplicates": 0]),
        ("error", nil),
        ("job", "12"), ("created_at", "2026-02-01T00:00:00Z"), ("started_at", "2026-02-01T00:00:01Z"),
        ("finished_at", nil), ("deadline", nil),
        ("dry_run", false),
    ]
    private static let example = JSONValue.object(JSONObject(summary + [("errors", []), ("changes", nil)]))
    private static let changes: JSONValue = [
        "complete": true, "added": 12, "removed": 0, "changed": 900,
        "datasets": [
            ["dataset": "web", "added": 12, "removed": 0, "changed": 900, "columns": ["kb": 900, "status": 3]]
        ],
    ]
    private static let dryRun = JSONValue.object(
        JSONObject(
            summary.map { name, value in
                switch name {
                case "dry_run": (name, true)
                case "state": (name, "succeeded")
                case "progress": (name, ["done": 120, "total": 120])
                default: (name, value)
                }
            } + [("errors", []), ("changes", changes)]))

    var routes: [Route] { [runRoute, replayRoute, listRoute, getRoute, cancelRoute] }

    private var runRoute: Route {
        Route(
            .post, "/v1/pipelines/{name}/run", scope: "pipelines:write",
            operation: Operation(
                id: "runPipeline", summary: "Run a pipeline over the dataset that it reads",
                description: """
                    The dataset's table is cut into ranges of blocks, which all workers read and transform, every one \
                    from the same snapshot. Rows appear once all of it is read: of modes `append`, `upsert` and \
                    `ignore` batch by batch, each exactly once; of mode `replace` all at once, in the place of what \
                    the target held. Rows whose expressions fail are quarantined with the source's row as JSON. 409 \
                    `conflict` where a run of the pipeline has not ended, where the pipeline reads a source, or does \
                    not fit the dataset any more. With `timeout` (1s to 30d) a run that has not ended by then has \
                    timed out.
                    """,
                tag: "runs",
                parameters: [
                    .init("name", .path, "The pipeline.", schema: ResourceName.schema, example: "daily"),
                    .init("timeout", .query, "How long it may take.", schema: Schema.duration),
                    .idempotencyKey("The same key with the same timeout answers the first run, for 30 days."),
                ],
                answers: [
                    .init(
                        .accepted, "The run is made.", [.json(schema: RunSchemas.started, example: ["run": "3"])],
                        headers: [.idempotentReplayed],
                        links: Self.links.map { .init($0, [("id", "$response.body#/run")]) })
                ],
                problems: [
                    .notFound, .invalidName, .invalidParameter, .invalidHeader, .idempotencyMismatch, .conflict,
                    .databaseUnavailable,
                ]),
            handler: RunRoute(pool: pool, starter: TableRunStarter(), wakeup: wakeup).handle)
    }

    private var replayRoute: Route {
        Route(
            .post, "/v1/pipelines/{name}/replay", scope: "pipelines:write",
            operation: Operation(
                id: "replayPipeline", summary: "Run a pipeline again over batches that it has had, or has missed",
                description: """
                    Over the batches of its source that were received from `from` on and before `to`, or over those \
                    named. What the pipeline made of a batch before (rows, quarantine, counts) is replaced by what its \
                    current version makes of it, all at once, batch by batch. A receipt stays `stored` meanwhile, and \
                    shows the old version and counts until its batch is replaced. 409 `raw_expired` names batches that \
                    cannot be read again; 409 `conflict` a run of the pipeline that is going on over some of them. \
                    Datasets into which the pipeline merges rows, by mode `upsert` or `ignore`, are filled anew as a \
                    whole, from all batches of all pipelines that are in them, beside those that are there, and all \
                    outputs are exchanged at once at the end; 409 `conflict` says what of a dataset would be lost. \
                    With `dry_run=true` the run finds out what it would change, and changes nothing: see `changes` \
                    of the run; rows that would be merged by a key count as `stored` then, whichever stay. At most \
                    `max_parallel` of the run's jobs are under way at a time, behind all that \
                    comes in.
                    """,
                tag: "runs",
                parameters: [
                    .init("name", .path, "The pipeline.", schema: ResourceName.schema, example: "web"),
                    .init("dry_run", .query, "Only say what would change.", schema: Schema.boolean),
                ],
                requestBody: [
                    .json(
                        schema: RunSchemas.replay,
                        example: ["from": "2026-01-01T00:00:00Z", "to": "2026-02-01T00:00:00Z", "max_parallel": 4])
                ],
                answers: [
                    .init(
                        .accepted, "The run is made.", [.json(schema: RunSchemas.started, example: ["run": "3"])],
                        links: Self.links.map { .init($0, [("id", "$response.body#/run")]) })
                ],
                problems: [
                    .notFound, .invalidName, .invalidParameter, .invalidRequest, .unknownField, .invalidJSON,
                    .emptyBody,
                    .unsupportedMediaType, .payloadTooLarge, .rawExpired, .conflict, .databaseUnavailable,
                ]),
            handler: ReplayRoute(pool: pool, starter: starter, wakeup: wakeup).handle)
    }

    private var listRoute: Route {
        Route(
            .get, "/v1/runs", scope: "pipelines:read", reach: .handler,
            operation: Operation(
                id: "listRuns", summary: "The workspace's runs, newest first", tag: "runs",
                parameters: [
                    .init("state", .query, "Only those in this state.", schema: Schema.oneOf(RunState.self)),
                    .init("pipeline", .query, "Only those of this pipeline.", schema: ResourceName.schema),
                    .limit(), .cursor,
                ],
                answers: [
                    .init(
                        .ok, "A page.",
                        [
                            .json(
                                schema: Schema.page(of: RunSchemas.summary),
                                example: ["items": [.object(JSONObject(Self.summary))], "next_cursor": nil])
                        ],
                        links: Self.links.map { .init($0, [("id", "$response.body#/items/0/id")]) })
                ],
                problems: [.invalidParameter, .invalidCursor, .databaseUnavailable]),
            handler: list)
    }

    private var getRoute: Route {
        Route(
            .get, "/v1/runs/{id}", scope: "pipelines:read", reach: .handler,
            operation: Operation(
                id: "getRun", summary: "A run: its progress, counts, and the first batches that failed",
                description: """
                    `changes` is what a dry run would change: rows that would come, go, or have other values (those of \
                    the same record, or with the same primary key), and of the last for each column how many rows have \
                    another value in it. A field that the dataset has no column for yet counts under its name. It is \
                    about all batches once it is `complete`; until then about those that were compared so far.
                    """,
                tag: "runs", parameters: [Self.id],
                answers: [.init(.ok, "The run.", [.json(schema: RunSchemas.run, example: Self.dryRun)])],
                problems: [.notFound, .databaseUnavailable]),
            handler: get)
    }

    private var cancelRoute: Route {
        Route(
            .post, "/v1/runs/{id}/cancel", scope: "pipelines:write",
            operation: Operation(
                id: "cancelRun", summary: "End a run where it is",
                description: "Batches that were replaced stay so, the others as they were. Takes effect at once.",
                tag: "runs", parameters: [Self.id],
                answers: [.init(.ok, "The run.", [.json(schema: RunSchemas.run, example: Self.example)])],
                problems: [.notFound, .conflict, .databaseUnavailable]),
            handler: cancel)
    }
}
