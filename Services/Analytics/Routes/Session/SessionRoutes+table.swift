import Access
import HTTP
import HTTPServer
import JSON

extension SessionRoutes {
    var routes: [Route] { [beginRoute, getRoute, endRoute] }

    private static let schema = Schema.answer([
        ("workspace", Schema.string), ("scopes", Schema.array(of: Schema.string)),
        ("expires_at", Schema.nullable(Schema.timestamp)),
    ])
    private static let whole = Operation.Content.json(
        schema: schema,
        example: ["workspace": "default", "scopes": ["admin"], "expires_at": "2026-01-01T12:00:00Z"])
    private static let cookie = Operation.Header(
        "Set-Cookie", "The session's cookie, which no script can read.",
        example: "millrace_session=ms_…; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict")

    private var beginRoute: Route {
        Route(
            .post, "/v1/session", scope: nil,
            operation: Operation(
                id: "beginSession", summary: "Sign a browser in with a key",
                description: """
                    The key comes in the body, or without a body as `Authorization: Bearer`. The answer sets a cookie \
                    that all services take in the place of the key, with the same scopes, until `expires_at` or until \
                    the key is revoked. It counts for pages of the same origin only: a request that changes something \
                    must say by `Origin` or `Sec-Fetch-Site` that it comes from one, else it is `cross_site_request`. \
                    Where a request has an `Authorization` field, that alone counts. A key has at most 100 sessions at \
                    a time; a further one ends the oldest.
                    """,
                tag: "session",
                requestBody: [
                    .json(
                        schema: Schema.request([("key", Schema.string)], required: ["key"]),
                        example: ["key": "mr_…"])
                ],
                bodyIsOptional: true,
                answers: [.init(.created, "Signed in.", [Self.whole], headers: [Self.cookie])],
                problems: [.unauthorized, .crossSiteRequest, .databaseUnavailable]),
            handler: begin)
    }

    private var getRoute: Route {
        Route(
            .get, "/v1/session", scope: nil,
            operation: Operation(
                id: "getSession", summary: "Who one is",
                description: """
                    By the session's cookie or by a key of any scope. `expires_at` is null for a key that does not \
                    expire.
                    """,
                tag: "session", answers: [.init(.ok, "The session.", [Self.whole])],
                problems: [.unauthorized, .crossSiteRequest, .databaseUnavailable]),
            handler: get)
    }

    private var endRoute: Route {
        Route(
            .delete, "/v1/session", scope: nil,
            operation: Operation(
                id: "endSession", summary: "Sign out",
                description: """
                    Ends the session of the cookie, if there is one; other processes take it for up to ten seconds \
                    more, as a revoked key.
                    """,
                tag: "session", answers: [.init(.noContent, "Signed out.", headers: [Self.cookie])],
                problems: [.crossSiteRequest, .databaseUnavailable]),
            handler: end)
    }
}
