import Catalog
import HTTP
import HTTPServer
import JSON

extension EndpointRoutes {
    var routes: [Route] { [putRoute, getRoute, deleteRoute, listRoute, documentRoute] }

    static let name = Operation.Parameter(
        "name", .path, "The endpoint.", schema: ResourceName.schema, example: "hits_by_status")
    private static let whole = Operation.Content.json(schema: EndpointSchemas.endpoint, example: example)
    private static let links = ["getEndpoint", "putEndpoint", "deleteEndpoint", "getEndpointData"].map {
        Operation.Link($0, [("name", "$response.body#/name")])
    }

    private static let sql: JSONValue = """
        select status, count(*) as hits from web where status >= {{least:int8=200}} \
        group by status order by hits desc limit {{n:int8=10}}
        """

    private static let definition: JSONValue = [
        "sql": sql, "description": "Hits by status, most first", "cache_ttl": "1m",
    ]

    private static let example: JSONValue = [
        "name": "hits_by_status", "version": 1, "sql": sql, "description": "Hits by status, most first",
        "cache_ttl": "1m", "timeout": "30s", "limit": 10_000,
        "parameters": [
            ["name": "least", "type": "int8", "required": false, "default": 200],
            ["name": "n", "type": "int8", "required": false, "default": 10],
        ],
        "columns": [["name": "status", "type": "int8"], ["name": "hits", "type": "int8"]],
        "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
    ]

    private var putRoute: Route {
        Route(
            .put, "/v1/endpoints/{name}", scope: "endpoints:write",
            operation: Operation(
                id: "putEndpoint", summary: "Publish a query, or change it",
                description: """
                    `sql` is a statement as `/v1/query` takes it. `{{name:type}}` stands for a parameter that calls \
                    must give, `{{name:type=10}}` for one with a default, which stands in single quotes where it is no \
                    word; `{{name}}` names a parameter again, and `null` is the default NULL. Types: `text`, `int8`, \
                    `float8`, `numeric`, `bool`, `timestamptz`, `date`, `uuid`, `jsonb`. A parameter is a value: it \
                    cannot stand in quotes, nor for a name; in comments it is none. The statement is checked when it \
                    is put, and a mistake is `invalid_endpoint` with its `position`, 1-based in characters of `sql`. \
                    Whoever may call endpoints sees what it selects, whatever else their key may read. `cache_ttl`: \
                    whole seconds up to a day, none if it is left out. `timeout`: up to 60s, 30s if left out. `limit`: \
                    rows of an answer in JSON, 10,000 if left out. The same again makes no new version, unless the \
                    columns of its answers have changed since.
                    """,
                tag: "endpoints", parameters: [Self.name, .ifMatch],
                requestBody: [.json(schema: EndpointSchemas.definition, example: Self.definition)],
                answers: [
                    .init(.created, "Created.", [Self.whole], headers: [.entityTag], links: Self.links),
                    .init(.ok, "Changed, or unchanged.", [Self.whole], headers: [.entityTag], links: Self.links),
                ],
                problems: [
                    .invalidEndpoint, .unknownField, .invalidName, .invalidJSON, .emptyBody, .unsupportedMediaType,
                    .payloadTooLarge, .preconditionFailed, .conflict, .queryTimeout, .queryUnavailable, .rateLimited,
                    .overloaded, .databaseUnavailable,
                ]),
            handler: put)
    }

    private var getRoute: Route {
        Route(
            .get, "/v1/endpoints/{name}", scope: "endpoints:read",
            operation: Operation(
                id: "getEndpoint", summary: "An endpoint's definition",
                description: "`columns` are those of its answers, as they were when it was put.",
                tag: "endpoints", parameters: [Self.name],
                answers: [.init(.ok, "The endpoint.", [Self.whole], headers: [.entityTag])],
                problems: [.notFound, .invalidName, .databaseUnavailable]),
            handler: get)
    }

    private var deleteRoute: Route {
        Route(
            .delete, "/v1/endpoints/{name}", scope: "endpoints:write",
            operation: Operation(
                id: "deleteEndpoint", summary: "Delete an endpoint", tag: "endpoints",
                parameters: [Self.name, .ifMatch], answers: [.init(.noContent, "Deleted.")],
                problems: [.notFound, .invalidName, .preconditionFailed, .conflict, .databaseUnavailable]),
            handler: delete)
    }

    private var listRoute: Route {
        Route(
            .get, "/v1/endpoints", scope: "endpoints:read",
            operation: Operation(
                id: "listEndpoints", summary: "The workspace's endpoints", tag: "endpoints",
                parameters: [.limit(), .cursor],
                answers: [
                    .init(
                        .ok, "A page of endpoints, by name.",
                        [
                            .json(
                                schema: Schema.page(of: EndpointSchemas.endpoint),
                                example: ["items": [Self.example], "next_cursor": nil])
                        ])
                ],
                problems: [.invalidParameter, .invalidCursor, .databaseUnavailable]),
            handler: list)
    }

    private var documentRoute: Route {
        Route(
            .get, "/v1/endpoints/openapi.json", scope: "endpoints:read",
            operation: Operation(
                id: "getEndpointsDocument", summary: "The workspace's endpoints as an OpenAPI document",
                description: "An operation for each endpoint, with its parameters and columns: for client generators.",
                tag: "endpoints", parameters: [.ifNoneMatch],
                answers: [
                    .init(
                        .ok, "An OpenAPI 3.1 document.",
                        [
                            .json(
                                schema: Schema.answer([
                                    ("openapi", Schema.string), ("info", Schema.map(of: Schema.string)),
                                    ("paths", Schema.map(of: Schema.map(of: [:]))),
                                    ("components", Schema.map(of: [:])),
                                ]))
                        ], headers: [.init("ETag", "Of the document.")]),
                    .init(
                        .notModified, "`If-None-Match` names the document.",
                        headers: [.init("ETag", "Of the document.")]),
                ],
                problems: [.invalidParameter, .databaseUnavailable]),
            handler: document)
    }
}
