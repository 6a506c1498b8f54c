import Catalog
import HTTP
import HTTPServer
import JSON

/// The route table of `/v1/pipelines`.
struct PipelineRouteTable: Sendable {
    let pipelines: PipelineRoutes
    let dryRun: DryRunRoute

    private static let name = Operation.Parameter(
        "name", .path, "The pipeline.", schema: ResourceName.schema, example: "web")
    private static let page: [Operation.Parameter] = [.limit(), .cursor]
    private static let whole = Operation.Content.json(schema: PipelineSchemas.pipeline, example: example)
    private static let links = ["getPipeline", "putPipeline", "deletePipeline", "listPipelineVersions"].map {
        Operation.Link($0, [("name", "$response.body#/name")])
    }

    static let definition: JSONValue = [
        "source": "weblogs",
        "steps": [
            ["parse": ["format": "combined", "from": "line"]], ["cast": ["status": "int8"]],
            ["derive": ["is_error": "status >= 500"]], ["filter": "method <> 'OPTIONS'"],
            ["expect": ["status_valid": "status between 100 and 599"]],
            ["route": [["when": "status >= 500", "dataset": "web_errors"]]], ["drop": ["referer"]],
        ],
        "target": ["dataset": "web", "mode": "append"], "on_error": "quarantine",
    ]

    static let example: JSONValue = [
        "name": "web", "version": 1, "implicit": false, "definition": definition, "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z",
    ]

    var routes: [Route] { [put, get, delete, list, versions, dry] }

    private var put: Route {
        Route(
            .put, "/v1/pipelines/{name}", scope: "pipelines:write",
            operation: Operation(
                id: "putPipeline", summary: "Create a pipeline, or give it a new version",
                description: """
                    An identical definition makes no new version. A mistake is answered with its path. `target.mode` \
                    says how rows meet those with their key: `append` adds them, `upsert` keeps the latest by the \
                    dataset's `version_column`, then by batch and record, `ignore` the earliest by batch and record, \
                    whatever the order of loading; both need a dataset with a `primary_key`, and all pipelines that \
                    fill it have one mode. With `upsert` a row for which `delete_when` holds deletes what is older.


                    `route` takes rows out of the pipeline for other datasets: a row goes to the first branch whose \
                    condition is true for it, and later steps are not run for it. Rows that no branch takes, those for \
                    which a condition is NULL too, go on to the next steps and the target. There are no copies: where \
                    records are to go to two places, two pipelines read the source.

                    `lookup` joins columns of another dataset of the workspace by a key, as in `{"lookup": {"dataset": \
                    "countries", "on": {"country": "code"}, "columns": {"name": "country_name"}, "missing": \
                    "quarantine"}}`: rows whose `country` is equal to the `code` of a row of `countries` get its \
                    `name` as `country_name`. Of several rows with one key the one that was stored last counts. Where \
                    there is none, or the key is NULL, the columns are NULL, or with `missing` `quarantine` the record \
                    is turned down. A replay finds what the dataset holds by then. Datasets that a pipeline reads, by \
                    `lookup` or as its source, need `datasets:read` besides.


                    A pipeline may read a dataset instead, as in `{"source": {"dataset": "sales"}, "steps": \
                    [{"filter": "is_refund"}], "target": {"dataset": "refunds", "mode": "replace"}}`. It runs when \
                    `/v1/pipelines/{name}/run` or a schedule says so; its expressions are checked against the \
                    dataset's columns, and it cannot `route`. `replace` is for these: a run's rows take the place of \
                    all that the target holds, and no other pipeline may fill that.
                    """,
                tag: "pipelines", parameters: [Self.name, .ifMatch],
                requestBody: [.json(schema: PipelineSchemas.definition, example: Self.definition)],
                answers: [
                    .init(.created, "Created.", [Self.whole], headers: [.entityTag], links: Self.links),
                    .init(.ok, "Replaced, or unchanged.", [Self.whole], headers: [.entityTag], links: Self.links),
                ],
                problems: [
                    .invalidPipeline, .invalidName, .invalidJSON, .emptyBody, .unsupportedMediaType,
                    .preconditionFailed,
                    .conflict, .databaseUnavailable, .payloadTooLarge,
                ]),
            handler: pipelines.put)
    }

    private var get: Route {
        Route(
            .get, "/v1/pipelines/{name}", scope: "pipelines:read",
            operation: Operation(
                id: "getPipeline", summary: "A pipeline at its current version", tag: "pipelines",
                parameters: [Self.name, .ifNoneMatch],
                answers: [
                    .init(.ok, "The pipeline.", [Self.whole], headers: [.entityTag]),
                    .init(.notModified, "It is the one that is known.", headers: [.entityTag]),
                ],
                problems: [.notFound, .invalidName, .databaseUnavailable]),
            handler: pipelines.get)
    }

    private var delete: Route {
        Route(
            .delete, "/v1/pipelines/{name}", scope: "pipelines:write",
            operation: Operation(
                id: "deletePipeline", summary: "Take a pipeline out of service",
                description: """
                    Its rows and its history stay. When no other pipeline reads the source, the implicit one does. \
                    Refused while schedules start it.
                    """,
                tag: "pipelines", parameters: [Self.name, .ifMatch], answers: [.init(.noContent, "Done.")],
                problems: [.notFound, .invalidName, .inUse, .preconditionFailed, .databaseUnavailable]),
            handler: pipelines.delete)
    }

    private var list: Route {
        Route(
            .get, "/v1/pipelines", scope: "pipelines:read", reach: .handler,
            operation: Operation(
                id: "listPipelines", summary: "The workspace's pipelines", tag: "pipelines", parameters: Self.page,
                answers: [
                    .init(
                        .ok, "A page.",
                        [
                            .json(
                                schema: Schema.page(of: PipelineSchemas.pipeline),
                                example: ["items": [Self.example], "next_cursor": nil])
                        ])
                ],
                problems: [.invalidParameter, .invalidCursor, .databaseUnavailable]),
            handler: pipelines.list)
    }

    private var versions: Route {
        let version: JSONValue = [
            "version": 1, "definition": Self.definition, "created_at": "2026-01-01T00:00:00Z",
        ]
        return Route(
            .get, "/v1/pipelines/{name}/versions", scope: "pipelines:read",
            operation: Operation(
                id: "listPipelineVersions", summary: "A pipeline's versions, newest first", tag: "pipelines",
                parameters: [Self.name] + Self.page,
                answers: [
                    .init(
                        .ok, "A page.",
                        [
                            .json(
                                schema: Schema.page(of: PipelineSchemas.version),
                                example: ["items": [version], "next_cursor": nil])
                        ])
                ],
                problems: [.notFound, .invalidName, .invalidParameter, .invalidCursor, .databaseUnavailable]),
            handler: pipelines.versions)
    }

    private var dry: Route {
        Route(
            .post, "/v1/pipelines/{name}/dry-run", scope: "pipelines:read", bodyLimit: DryRunRoute.bodyLimit,
            operation: Operation(
                id: "dryRunPipeline", summary: "What a pipeline would store of records; nothing is stored",
                description: """
                    The records come as `raw`, a body whose `format` is one of those that `/v1/ingest/{source}` takes, \
                    and is cut as there; or as `records`: JSON records, or strings, which are lines of text. With \
                    `definition` that one is run instead of the stored one, which need not exist then; it needs \
                    `datasets:read` for datasets it reads or fills that `pipelines:read` does not reach. Datasets of \
                    `lookup` steps need `datasets:read` besides. Where the pipeline reads a dataset, the records stand \
                    for its rows, as `rows` gives them: they get its columns and their types, and no others. What \
                    `mask` makes by `sha256` is what is stored only for keys with `pipelines:write`; for others it is \
                    made under another secret each time.

                    `rows` are those that the target's dataset would be given, with its columns and their types; what \
                    finds no column is in `_extra`. `new_columns` would be added to it first. `deletes` are rows for \
                    which `delete_when` holds. How rows meet those with their `primary_key` says `mode`; what is \
                    stored already is not looked at. `routed` says the same of the branches of `route` steps. \
                    `quarantined` are records that are none, that a step turns down, or that a dataset does not take. \
                    `failed` says which step would turn down the whole batch; there are no rows then.
                    """,
                tag: "pipelines",
                parameters: [
                    Self.name,
                    .init(
                        "numbers", .query, "`string` quotes numeric, and int8 beyond 2^53.",
                        schema: Schema.oneOf(DryRunRoute.Numbers.self)),
                ],
                requestBody: [
                    .json(
                        schema: PipelineSchemas.dryRun,
                        example: ["records": ["127.0.0.1 - - [10/Oct/2000:13:55:36 +0000] \"GET / HTTP/1.1\" 200 5"]])
                ],
                answers: [
                    .init(.ok, "The outcome.", [.json(schema: PipelineSchemas.outcome, example: PipelineSchemas.dry)])
                ],
                problems: [
                    .notFound, .invalidName, .invalidPipeline, .invalidRequest, .invalidJSON, .invalidParameter,
                    .emptyBody, .malformedBody, .unsupportedMediaType, .payloadTooLarge, .databaseUnavailable,
                ]),
            handler: dryRun.handle)
    }
}
