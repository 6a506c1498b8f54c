import HTTP
import HTTPServer
import JSON

extension WorkspaceRoutes {
    var routes: [Route] { [putRoute, getRoute, deleteRoute, listRoute] }

    private static let name = Operation.Parameter(
        "name", .path, "The workspace.", schema: KeySchemas.workspaceName, example: "sales")
    private static let schema = Schema.answer([
        ("name", KeySchemas.workspaceName), ("version", Schema.count), ("description", Schema.nullable(Schema.string)),
        ("state", ["type": "string", "enum": ["active", "deleting"]]), ("schema", Schema.string),
        ("role", Schema.string), ("created_at", Schema.timestamp), ("updated_at", Schema.timestamp),
    ])
    private static let example: JSONValue = [
        "name": "sales", "version": 2, "description": "Everything about orders", "state": "active",
        "schema": "ws_sales", "role": "millrace_ws_sales", "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z",
    ]
    private static let whole = Operation.Content.json(schema: schema, example: example)
    private static let links = ["getWorkspace", "putWorkspace", "deleteWorkspace"].map {
        Operation.Link($0, [("name", "$response.body#/name")])
    }

    private var putRoute: Route {
        Route(
            .put, "/v1/workspaces/{name}", scope: "admin",
            operation: Operation(
                id: "putWorkspace", summary: "Make a workspace, or describe it",
                description: """
                    For administrators of the first workspace. It comes with a schema for its datasets and a login \
                    role that its queries run as; its first key is made by `POST /v1/keys` with `workspace`. \
                    Where no superuser has prepared the database, as on managed servers, a second one is refused with \
                    503 `query_unavailable`: its queries could not be kept apart.
                    """,
                tag: "workspaces", parameters: [Self.name, .ifMatch],
                requestBody: [
                    .json(
                        schema: Schema.request([
                            (
                                "description",
                                [
                                    "type": "string", "pattern": #"^[^\u0000]*$"#,
                                    "maxLength": .number(Self.longestDescription),
                                ]
                            )
                        ]), example: ["description": "Everything about orders"])
                ],
                answers: [
                    .init(.created, "Made.", [Self.whole], headers: [.entityTag], links: Self.links),
                    .init(.ok, "Described, or unchanged.", [Self.whole], headers: [.entityTag], links: Self.links),
                ],
                problems: [
                    .invalidName, .preconditionFailed, .conflict, .queryUnavailable, .databaseUnavailable,
                ]),
            handler: put)
    }

    private var getRoute: Route {
        Route(
            .get, "/v1/workspaces/{name}", scope: "admin",
            operation: Operation(
                id: "getWorkspace", summary: "A workspace", tag: "workspaces", parameters: [Self.name],
                answers: [.init(.ok, "The workspace.", [Self.whole], headers: [.entityTag])],
                problems: [.notFound, .databaseUnavailable]),
            handler: get)
    }

    private var deleteRoute: Route {
        Route(
            .delete, "/v1/workspaces/{name}", scope: "admin",
            operation: Operation(
                id: "deleteWorkspace", summary: "Delete a workspace with all that it has",
                description: """
                    For administrators of the first workspace. Its keys end at once (processes that remember one take \
                    it for ten seconds more at most), its jobs are cancelled, and fifteen seconds later its sources, \
                    raw records, pipelines, datasets, ledger, schema and role begin to go. It is `deleting` until it \
                    is 404, and its name is free. The same again does no harm. The first workspace cannot be deleted.
                    """,
                tag: "workspaces",
                parameters: [
                    Self.name, .confirm("workspace", schema: KeySchemas.workspaceName, example: "sales"), .ifMatch,
                ],
                answers: [.init(.accepted, "It is being deleted.", [Self.whole], headers: [.entityTag])],
                problems: [
                    .notFound, .confirmationRequired, .invalidParameter, .preconditionFailed, .conflict,
                    .databaseUnavailable,
                ]),
            handler: delete)
    }

    private var listRoute: Route {
        Route(
            .get, "/v1/workspaces", scope: "admin",
            operation: Operation(
                id: "listWorkspaces", summary: "The workspaces, in the order they were made",
                description: "All for administrators of the first workspace, for others their own.",
                tag: "workspaces", parameters: [.limit(), .cursor],
                answers: [
                    .init(
                        .ok, "A page.",
                        [
                            .json(
                                schema: Schema.page(of: Self.schema),
                                example: ["items": [Self.example], "next_cursor": nil])
                        ])
                ],
                problems: [.invalidParameter, .invalidCursor, .databaseUnavailable]),
            handler: list)
    }
}
