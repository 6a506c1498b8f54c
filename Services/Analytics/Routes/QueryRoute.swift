import Access
import HTTP
import HTTPServer
import JSON
import Postgres

/// `POST /v1/query`.
struct QueryRoute: Sendable {
    let engine: QueryEngine

    func post(_ request: Request) async throws -> Response {
        let principal = try request.principal()
        let query = try await UserQuery(request)
        let context = request.context
        let deadline = QueryDeadline(instant: .now + query.timeout) { await context.clientGone() }
        let answer: QueryEngine.Answer
        do {
            answer = try await engine.run(query, for: principal, until: deadline)
        } catch {
            throw QueryFailure.explaining(error)
        }
        switch answer {
        case .whole(let bytes): return .bytes(.ok, query.layout.mediaType, bytes)
        case .stream(let first, let running):
            let stream = AnswerStream(engine: engine, layout: query.layout, deadline: deadline)
            return stream.response(first, running)
        }
    }
}

extension QueryRoute {
    var route: Route {
        Route(
            .post, "/v1/query", scope: "query",
            operation: Operation(
                id: "postQuery", summary: "One SELECT over the workspace's datasets",
                description: Self.description,
                tag: "analytics",
                parameters: [
                    .init(
                        "numbers", .query, "`string` quotes numeric, and int8 beyond ±(2^53−1), in JSON.",
                        schema: Schema.oneOf(QueryNumbers.self))
                ],
                requestBody: [.json(schema: Self.requestSchema, example: Self.requestExample)],
                answers: [
                    .init(
                        .ok, "The rows.",
                        [
                            .json(schema: Self.answerSchema, example: Self.answerExample),
                            .init("text/csv", schema: ["type": "string"]),
                            .init("application/x-ndjson", schema: ["type": "string"]),
                        ])
                ],
                problems: [
                    .invalidParameter, .invalidRequest, .unknownField, .invalidQuery, .queryNotAllowed, .queryFailed,
                    .queryTooLarge, .queryTimeout, .queryUnavailable, .rateLimited, .overloaded, .databaseUnavailable,
                ]),
            handler: post)
    }

    private static let description = """
        `sql` is one SELECT, VALUES or WITH of SELECTs; datasets are named without a schema. `params` are bound to \
        `$1`, `$2`, … and take the types the statement gives them. A JSON answer has at most `limit` rows (10,000 \
        unless said, at most 10,000,000) and says `truncated` if there were more; CSV and NDJSON are streamed to the \
        end. `timeout` covers the taking of the answer. Errors in the statement carry `sqlstate` and `position`, \
        1-based in characters of `sql`.
        """

    private static let requestSchema: JSONValue = [
        "type": "object", "required": ["sql"], "additionalProperties": false,
        "properties": [
            "sql": Schema.text,
            "params": [
                "type": ["array", "null"], "maxItems": 1000,
                "items": ["type": ["string", "number", "boolean", "object", "array", "null"]],
            ],
            "format": Schema.nullable(Schema.oneOf(QueryFormat.self)),
            "timeout": [
                "description": "A duration up to 60s, or seconds.",
                "anyOf": [
                    ["type": "string", "pattern": .string(DurationText.upToAMinute)],
                    ["type": "number", "exclusiveMinimum": 0, "maximum": 60], ["type": "null"],
                ],
            ],
            "limit": [
                "description": "Rows of an answer in JSON: at most 10,000,000.", "type": ["integer", "null"],
                "minimum": 0, "maximum": 9_007_199_254_740_991,
            ],
        ],
    ]

    private static let requestExample: JSONValue = [
        "sql": "select status, count(*) as hits from weblogs where ts >= $1 group by status order by status",
        "params": ["2026-01-01T00:00:00Z"], "timeout": "10s", "limit": 100,
    ]

    private static let answerSchema: JSONValue = [
        "type": "object", "required": ["columns", "rows", "row_count", "truncated", "elapsed_ms"],
        "properties": [
            "columns": [
                "type": "array",
                "items": [
                    "type": "object",
                    "properties": ["name": ["type": "string"], "type": ["type": "string"]],
                ],
            ],
            "rows": ["type": "array", "items": ["type": "array"]],
            "row_count": ["type": "integer"], "truncated": ["type": "boolean"], "elapsed_ms": ["type": "number"],
        ],
    ]

    private static let answerExample: JSONValue = [
        "columns": [["name": "status", "type": "int8"], ["name": "hits", "type": "int8"]],
        "rows": [[200, 812], [404, 13]], "row_count": 2, "truncated": false, "elapsed_ms": 3.2,
    ]
}
