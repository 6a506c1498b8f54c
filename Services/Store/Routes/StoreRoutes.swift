import Catalog
import HTTP
import HTTPServer
import JSON
import Postgres
import Queue

/// The route table of the store service.
struct StoreRoutes: Sendable {
    let datasets: DatasetRoutes
    let rows: RowRoutes
    let heal: HealRoute
    let export: ExportRoute
    let erase: EraseRoutes
    let keys: KeyRoutes
    let workspaces: WorkspaceRoutes

    init(pool: PostgresPool, wakeup: Wakeup) {
        let catalog = DatasetCatalog(pool: pool)
        datasets = DatasetRoutes(catalog: catalog)
        rows = RowRoutes(catalog: catalog)
        heal = HealRoute(catalog: catalog, wakeup: wakeup)
        export = ExportRoute(catalog: catalog)
        erase = EraseRoutes(catalog: catalog, wakeup: wakeup)
        keys = KeyRoutes(store: KeyStore(pool: pool))
        workspaces = WorkspaceRoutes(store: WorkspaceStore(pool: pool, wakeup: wakeup))
    }

    var routes: [Route] {
        [
            put, get, delete, list, readRows, exportRows, quarantine, quarantineReasons, healRoute, lineage, eraseRoute,
            erasures,
        ] + keys.routes + workspaces.routes
    }

    static let name = Operation.Parameter(
        "name", .path, "The dataset.", schema: ResourceName.schema, example: "web")
    static let page: [Operation.Parameter] = [.limit(), .cursor]
    private static let whole = Operation.Content.json(schema: DatasetSchemas.dataset, example: example)
    private static let links = ["getDataset", "putDataset", "deleteDataset", "listRows", "listQuarantine"].map {
        Operation.Link($0, [("name", "$response.body#/name")])
    }

    static let definition: JSONValue = [
        "columns": [
            ["name": "id", "type": "int8", "nullable": false], ["name": "at", "type": "timestamptz"],
            ["name": "path", "type": "text", "collation": "C"],
        ],
        "primary_key": ["id", "at"], "time_column": "at", "partition": "day", "retention": "90d",
        "on_new_column": "add", "on_type_mismatch": "quarantine",
    ]

    static let example: JSONValue = [
        "name": "web", "version": 1, "declared": true,
        "columns": [
            [
                "name": "id", "type": "int8", "nullable": false, "collation": nil, "declared": true, "state": "applied",
            ]
        ],
        "primary_key": ["id", "at"], "version_column": nil, "time_column": "at", "partition": "day",
        "retention": "90d", "on_new_column": "add",
        "on_type_mismatch": "quarantine", "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
        "last_load_at": "2026-01-02T00:00:00Z", "rows": 12, "rows_exact": true, "bytes": 49_152,
        "time_span": ["from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"],
    ]

    private var put: Route {
        Route(
            .put, "/v1/datasets/{name}", scope: "datasets:write",
            operation: Operation(
                id: "putDataset", summary: "Declare a dataset, or change its declaration",
                description: """
                    An identical declaration makes no new version. Columns that are not declared any more stay, as \
                    inferred ones. What rows that are stored forbid is `incompatible_change`, with the paths; a \
                    dataset without rows takes any change but one after which it has more than 1,590 columns.

                    `on_new_column` says what becomes of a field that is no column: `add` makes it one, of up to 200 \
                    inferred ones; `extra` keeps it in the row's `_extra`; `quarantine` turns the record down. \
                    `on_type_mismatch` says what becomes of a value that is none of its column's type: `variant` keeps \
                    it in a column `{column}__{type}`, `null` makes it NULL, `quarantine` turns the record down. So is \
                    one that would become another value there, also one that a step gave a type: 1.5 or the text \
                    `007` in an int8 column that was inferred, a time of day in a date, a number in a timestamptz. \
                    A declared `float8` takes any number within its range, as the nearest double; an inferred one \
                    only what the double prints again: 9007199254740993 goes to `{column}__numeric`. \
                    Where they are left out it is `add` and `quarantine`; in datasets that nobody declared `add` and \
                    `variant`. What finds no column is kept in `_extra`.

                    `collation` of text is `C`, by bytes, or `und-x-icu`, which orders by language and knows the case \
                    of all letters: in queries, `order` and `where`. Pipelines compute by bytes. An erasure, which \
                    looks at records that are no rows yet, takes no condition that asks for such a column's order or \
                    case (422). What the database's own collation is plays no part.

                    `partition` cuts the table by `time_column`, a day or a month each, in UTC. Then the column must \
                    have a value, and be in the primary key, if there is one. Partitions are made ahead and as rows \
                    need them, from 1970-01-01 to 366 days (by month: ten years) from now, 500 at most: a record \
                    beyond is quarantined with `time_out_of_range` or `too_many_partitions`. `retention` drops \
                    partitions all of whose rows are older than that; older rows that still come count as filtered. \
                    It needs `partition`: nothing is deleted row by row. Changing `partition` of a dataset that has \
                    rows is `incompatible_change`.
                    """,
                tag: "datasets", parameters: [Self.name, .ifMatch],
                requestBody: [.json(schema: DatasetSchemas.definition, example: Self.definition)],
                answers: [
                    .init(.created, "Created.", [Self.whole], headers: [.entityTag], links: Self.links),
                    .init(.ok, "Changed, or unchanged.", [Self.whole], headers: [.entityTag], links: Self.links),
                ],
                problems: [
                    .invalidDataset, .unknownField, .invalidName, .invalidJSON, .emptyBody, .unsupportedMediaType,
                    .payloadTooLarge, .preconditionFailed, .incompatibleChange, .conflict, .databaseUnavailable,
                ]),
            handler: datasets.put)
    }

    private var get: Route {
        Route(
            .get, "/v1/datasets/{name}", scope: "datasets:read",
            operation: Operation(
                id: "getDataset", summary: "A dataset: its columns, and how much it holds",
                description:
                    "`rows` is an estimate, and `time_span` null, where `rows_exact` is false: beyond 8 MiB of rows.",
                tag: "datasets", parameters: [Self.name],
                answers: [.init(.ok, "The dataset.", [Self.whole], headers: [.entityTag])],
                problems: [.notFound, .invalidName, .databaseUnavailable]),
            handler: datasets.get)
    }

    private var delete: Route {
        Route(
            .delete, "/v1/datasets/{name}", scope: "datasets:write",
            operation: Operation(
                id: "deleteDataset", summary: "Delete a dataset with its rows and its quarantine",
                description: "Receipts, batches and their raw bytes stay. Records that still come in make it anew.",
                tag: "datasets",
                parameters: [
                    Self.name, .confirm("dataset", schema: ResourceName.schema, example: "web"), .ifMatch,
                ],
                answers: [.init(.noContent, "Deleted.")],
                problems: [
                    .notFound, .invalidName, .confirmationRequired, .inUse, .preconditionFailed, .invalidParameter,
                    .conflict, .databaseUnavailable,
                ]),
            handler: datasets.delete)
    }

    private var list: Route {
        let item: JSONValue = [
            "name": "web", "version": 1, "declared": true, "created_at": "2026-01-01T00:00:00Z",
            "updated_at": "2026-01-01T00:00:00Z", "last_load_at": nil, "rows": 1_200_000, "rows_exact": false,
            "bytes": 98_304_000,
        ]
        return Route(
            .get, "/v1/datasets", scope: "datasets:read", reach: .handler,
            operation: Operation(
                id: "listDatasets", summary: "The workspace's datasets",
                description: """
                    `rows` is an estimate here. With `quarantined=true` each has as `quarantined` how many records are \
                    in its quarantine, \(CountQuarantined.counted) for that many or more; a \
                    page has at most \(DatasetRoutes.countedLimit) then, whatever the limit.
                    """,
                tag: "datasets",
                parameters: Self.page + [
                    .init("quarantined", .query, "Count the records in quarantine.", schema: Schema.boolean)
                ],
                answers: [
                    .init(
                        .ok, "A page, by name.",
                        [
                            .json(
                                schema: Schema.page(of: DatasetSchemas.item),
                                example: ["items": [item], "next_cursor": nil])
                        ])
                ],
                problems: [.invalidParameter, .invalidCursor, .databaseUnavailable]),
            handler: datasets.list)
    }
}
