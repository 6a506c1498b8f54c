import Catalog
import HTTP
import HTTPServer
import JSON

extension EndpointDataRoute {
    static let scope = "endpoints:read"

    static let problems: [ProblemCode] = [
        .notFound, .invalidName, .invalidParameter, .notAcceptable, .invalidQuery, .queryNotAllowed, .queryFailed,
        .queryTooLarge, .queryTimeout, .queryUnavailable, .rateLimited, .overloaded, .databaseUnavailable,
    ]

    /// What there is besides JSON.
    static let otherContent: [Operation.Content] = [
        .init("text/csv", schema: Schema.string), .init("application/x-ndjson", schema: Schema.string),
    ]

    static let headers: [Operation.Header] = [
        .init(
            "ETag", "Of the answer's octets; not of one so long that it is streamed.", required: false,
            example: "\"6c62272e07bb014262b821756295c58d\""),
        .init("Cache-Control", "For how long the answer may be used.", example: "private, max-age=60"),
        .init(
            "Age", "How many seconds old the answer is.", schema: Schema.count, required: false, example: 7),
    ]

    var route: Route {
        Route(
            .get, "/v1/endpoints/{name}/data", scope: Self.scope,
            operation: Operation(
                id: "getEndpointData", summary: "What an endpoint answers",
                description: """
                    The query has the endpoint's parameters: each once, bound as a value, never a part of the \
                    statement. All that is wrong with them is answered at once. Values are written as PostgreSQL reads \
                    them, times without a zone are UTC; a `+` is `%2B` in a query. JSON has at most `limit` rows of \
                    the definition and says `truncated` if there were more; CSV and NDJSON go on to the end. With a \
                    `cache_ttl` an answer of up to 1 MiB is given again for so long to the same question, and calls \
                    that come while its query runs wait for that one; `Age` says how old it is. After a change of the \
                    endpoint nothing old is answered any more; another process may take two seconds to learn of it.
                    """,
                tag: "endpoints",
                parameters: [
                    EndpointRoutes.name,
                    .init(
                        "format", .query, "Goes before `Accept`.", schema: Schema.oneOf(QueryFormat.self)),
                    .init(
                        "numbers", .query, "`string` quotes numeric, and int8 beyond ±(2^53−1), in JSON.",
                        schema: Schema.oneOf(QueryNumbers.self)),
                    .ifNoneMatch,
                ],
                answers: [
                    .init(
                        .ok, "The rows.",
                        [
                            .json(
                                schema: EndpointSchemas.data(of: Schema.map(of: [:])),
                                example: ["items": [["status": 200, "hits": 812]], "row_count": 1, "truncated": false])
                        ] + Self.otherContent, headers: Self.headers),
                    .init(.notModified, "`If-None-Match` names the answer.", headers: Self.headers),
                ],
                problems: Self.problems),
            handler: get)
    }
}
