import Catalog
import HTTP
import HTTPServer
import JSON

extension DashboardRoutes {
    var routes: [Route] { [putRoute, getRoute, deleteRoute, listRoute] }

    private static let name = Operation.Parameter(
        "name", .path, "The dashboard.", schema: ResourceName.schema, example: "web")
    private static let whole = Operation.Content.json(schema: DashboardSchemas.dashboard, example: example)
    private static let links = ["getDashboard", "putDashboard", "deleteDashboard"].map {
        Operation.Link($0, [("name", "$response.body#/name")])
    }

    private static let sql: JSONValue = "select status, count(*) as hits from web group by status order by status"

    private static let definition: JSONValue = [
        "title": "Web traffic", "refresh": "30s",
        "charts": [
            ["title": "Hits by status", "type": "bar", "query": sql, "x": "status", "y": ["hits"], "width": 8],
            ["title": "Busiest", "type": "table", "endpoint": ["name": "hits_by_status", "parameters": ["n": "5"]]],
            [
                "title": "Hits an hour", "type": "line",
                "rollup": ["name": "web_hits", "range": "1d", "grain": "hour", "group_by": "status"],
            ],
        ],
    ]

    private static let example: JSONValue = [
        "name": "web", "version": 1, "title": "Web traffic", "description": nil, "refresh": "30s",
        "charts": [
            [
                "title": "Hits by status", "type": "bar", "query": sql, "x": "status", "y": ["hits"], "width": 8,
                "height": 2,
            ]
        ], "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
    ]

    private static let item: JSONValue = [
        "name": "web", "version": 1, "title": "Web traffic", "description": nil, "charts": 3,
        "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
    ]

    private var putRoute: Route {
        Route(
            .put, "/v1/dashboards/{name}", scope: "dashboards:write",
            operation: Operation(
                id: "putDashboard", summary: "Save a dashboard, or change it",
                description: """
                    Up to 48 `charts`, laid out in their order on a grid of twelve columns: `width` 1 to 12 (6 if it \
                    is left out) and `height` 1 to 6 rows (2). `type`: `line`, `bar`, `area`, `pie`, `number`, \
                    `table`. Each has one of `query`, a statement as `/v1/query` takes it; `endpoint`, with its \
                    `parameters` as text; and `rollup`, whose data of the last `range` (1d if it is left out) is drawn \
                    with `grain`, `group_by`, `where`, `order`, `limit`, `fill`, `moving_average`, `rate`, `trend`, \
                    `anomalies` and `threshold` as `/v1/rollups/{name}/data` takes them, each as text. \
                    `x` is the column of the labels or times, the first if it is left out; `y` those of the values, \
                    all numbers if they are left out. `refresh` (5s to 1d): how often the charts are drawn anew. A \
                    chart is drawn with what its reader may read. The same again makes no new version.
                    """,
                tag: "dashboards", parameters: [Self.name, .ifMatch],
                requestBody: [.json(schema: DashboardSchemas.definition, example: Self.definition)],
                answers: [
                    .init(.created, "Created.", [Self.whole], headers: [.entityTag], links: Self.links),
                    .init(.ok, "Changed, or unchanged.", [Self.whole], headers: [.entityTag], links: Self.links),
                ],
                problems: [
                    .invalidDashboard, .unknownField, .invalidName, .invalidJSON, .emptyBody, .unsupportedMediaType,
                    .payloadTooLarge, .preconditionFailed, .conflict, .databaseUnavailable,
                ]),
            handler: put)
    }

    private var getRoute: Route {
        Route(
            .get, "/v1/dashboards/{name}", scope: "dashboards:read",
            operation: Operation(
                id: "getDashboard", summary: "A dashboard's definition", tag: "dashboards", parameters: [Self.name],
                answers: [.init(.ok, "The dashboard.", [Self.whole], headers: [.entityTag])],
                problems: [.notFound, .invalidName, .databaseUnavailable]),
            handler: get)
    }

    private var deleteRoute: Route {
        Route(
            .delete, "/v1/dashboards/{name}", scope: "dashboards:write",
            operation: Operation(
                id: "deleteDashboard", summary: "Delete a dashboard", tag: "dashboards",
                parameters: [Self.name, .ifMatch], answers: [.init(.noContent, "Deleted.")],
                problems: [.notFound, .invalidName, .preconditionFailed, .conflict, .databaseUnavailable]),
            handler: delete)
    }

    private var listRoute: Route {
        Route(
            .get, "/v1/dashboards", scope: "dashboards:read",
            operation: Operation(
                id: "listDashboards", summary: "The workspace's dashboards", tag: "dashboards",
                parameters: [.limit(), .cursor],
                answers: [
                    .init(
                        .ok, "A page of dashboards, by name.",
                        [
                            .json(
                                schema: Schema.page(of: DashboardSchemas.summary),
                                example: ["items": [Self.item], "next_cursor": nil])
                        ])
                ],
                problems: [.invalidParameter, .invalidCursor, .databaseUnavailable]),
            handler: list)
    }
}
