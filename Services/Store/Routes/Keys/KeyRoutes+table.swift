import HTTP
import HTTPServer
import JSON

extension KeyRoutes {
    var routes: [Route] { [makeRoute, listRoute, getRoute, rotateRoute, revokeRoute] }

    private static let id = Operation.Parameter("id", .path, "The key.", schema: Schema.id, example: "3")

    private static let example: [(String, JSONValue)] = [
        ("id", "3"), ("name", "till 7"), ("workspace", "default"), ("prefix", "mr_Zk3b9w"),
        ("scopes", ["ingest:write/till_*"]), ("limits", ["requests_per_second": 50]), ("state", "active"),
        ("version", 1), ("replaces", nil), ("made_by", "1"), ("created_at", "2026-01-01T00:00:00Z"),
        ("expires_at", "2026-04-01T00:00:00Z"), ("revoked_at", nil), ("last_used_at", nil),
    ]
    private static let whole = Operation.Content.json(
        schema: KeySchemas.key, example: .object(JSONObject(example)))
    private static let made = Operation.Content.json(
        schema: KeySchemas.made, example: .object(JSONObject(example + [("key", "mr_Zk3b9w…")])))
    private static let links = ["getKey", "rotateKey", "revokeKey"].map {
        Operation.Link($0, [("id", "$response.body#/id")])
    }
    private static let repeated = Operation.Parameter.idempotencyKey(
        "The same request again makes no second key: it answers the first one, with `key` null, which is shown once."
    )

    private var makeRoute: Route {
        Route(
            .post, "/v1/keys", scope: "keys:write",
            operation: Operation(
                id: "makeKey", summary: "Make a key",
                description: """
                    `key` in the answer is the key itself, shown this once: its SHA-256 is kept. `scopes` are those \
                    that operations name by `x-scope`; `datasets:*` stands for all that begin so, `admin` for all. \
                    `ingest:write/web_*` is `ingest:write` for sources whose names match the pattern: such a key \
                    reaches only what the path names, and lists show it no more than that; what is about several \
                    names at once needs the scope for all. `query`, `endpoints:write`, `keys:read`, `keys:write` and \
                    `admin` cannot be narrowed, for SQL reads every dataset.

                    A key makes keys with no more than it has itself: scopes, time (`expires_in` 1m to 3650d; left \
                    out, as long as the maker's own) and workspace; one with limits makes none. `workspace` is for the \
                    platform's administrator. `limits`: requests a second are counted by each process by itself, those \
                    a day and the octets of bodies over all of them. What goes beyond is 429 `rate_limited`.
                    """,
                tag: "keys", parameters: [Self.repeated],
                requestBody: [
                    .json(
                        schema: KeySchemas.request,
                        example: [
                            "name": "till 7", "scopes": ["ingest:write/till_*"], "expires_in": "90d",
                            "limits": ["requests_per_second": 50],
                        ])
                ],
                answers: [
                    .init(
                        .created, "Made.", [Self.made], headers: [.entityTag, .idempotentReplayed], links: Self.links)
                ],
                problems: [
                    .invalidScope, .invalidHeader, .notFound, .idempotencyMismatch, .conflict, .databaseUnavailable,
                ]),
            handler: make)
    }

    private var listRoute: Route {
        Route(
            .get, "/v1/keys", scope: "keys:read",
            operation: Operation(
                id: "listKeys", summary: "A workspace's keys, in the order they were made",
                description:
                    "Never the keys themselves: `prefix` is how they begin. `last_used_at` is right to the hour.",
                tag: "keys",
                parameters: [
                    .init(
                        "workspace", .query, "Another workspace's, for the platform's administrator.",
                        schema: KeySchemas.workspaceName),
                    .init(
                        "state", .query, "Only those in this state.",
                        schema: ["type": "string", "enum": ["active", "expired", "revoked"]]),
                    .limit(), .cursor,
                ],
                answers: [
                    .init(
                        .ok, "A page.",
                        [
                            .json(
                                schema: Schema.page(of: KeySchemas.key),
                                example: ["items": [.object(JSONObject(Self.example))], "next_cursor": nil])
                        ])
                ],
                problems: [.invalidParameter, .invalidCursor, .notFound, .databaseUnavailable]),
            handler: list)
    }

    private var getRoute: Route {
        Route(
            .get, "/v1/keys/{id}", scope: "keys:read",
            operation: Operation(
                id: "getKey", summary: "One key, but not its text", tag: "keys", parameters: [Self.id],
                answers: [.init(.ok, "The key.", [Self.whole], headers: [.entityTag])],
                problems: [.notFound, .databaseUnavailable]),
            handler: get)
    }

    private var rotateRoute: Route {
        Route(
            .post, "/v1/keys/{id}/rotate", scope: "keys:write",
            operation: Operation(
                id: "rotateKey", summary: "Make another key in a key's place",
                description: """
                    The new one has its name, scopes, limits and end; the old one works for `overlap` more (0s to 30d, \
                    24h if it is left out), and at most to its own end. A key that has ended, and the configured one, \
                    cannot be rotated: 409 `conflict`. A key with limits rotates none.
                    """,
                tag: "keys", parameters: [Self.id, .ifMatch, Self.repeated],
                requestBody: [.json(schema: KeySchemas.rotation, example: ["overlap": "24h"])], bodyIsOptional: true,
                answers: [
                    .init(
                        .created, "The new key.", [Self.made], headers: [.entityTag, .idempotentReplayed],
                        links: Self.links)
                ],
                problems: [
                    .notFound, .invalidHeader, .preconditionFailed, .idempotencyMismatch, .conflict,
                    .databaseUnavailable,
                ]),
            handler: rotate)
    }

    private var revokeRoute: Route {
        Route(
            .delete, "/v1/keys/{id}", scope: "keys:write",
            operation: Operation(
                id: "revokeKey", summary: "End a key",
                description: """
                    It stays in the list. Every process takes it for ten seconds more at most, and the sessions made \
                    with it likewise. The last key with the scope `admin` of a workspace is 409 `last_admin_key`, as \
                    is one whose like would all end sooner; the configured one is 409 `conflict`.
                    """,
                tag: "keys", parameters: [Self.id, .ifMatch], answers: [.init(.noContent, "Ended.")],
                problems: [.notFound, .preconditionFailed, .lastAdminKey, .conflict, .databaseUnavailable]),
            handler: revoke)
    }
}
