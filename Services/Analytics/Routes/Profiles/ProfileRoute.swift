import Access
import Catalog
import HTTP
import HTTPServer
import JSON

/// `GET /v1/profiles/{dataset}`.
struct ProfileRoute: Sendable {
    let engine: ProfileEngine

    func get(_ request: Request) async throws -> Response {
        let principal = try request.principal()
        let name = try ResourceName(checking: request.parameter("dataset"))
        let question = try ProfileQuestion(try request.query())
        let context = request.context
        let deadline = QueryDeadline(instant: .now + question.timeout) { await context.clientGone() }
        let outcome: ProfileEngine.Outcome
        do {
            outcome = try await engine.profile(name, question, for: principal, until: deadline)
        } catch {
            throw QueryFailure.explaining(error)
        }
        let bytes = await withTaskExecutorPreference(globalConcurrentExecutor) {
            ProfileJSON(outcome, of: name, top: question.top, numbers: question.numbers).bytes
        }
        return .bytes(.ok, "application/json", bytes)
    }

    var route: Route {
        Route(
            .get, "/v1/profiles/{dataset}", scope: "datasets:read",
            operation: Operation(
                id: "getProfile", summary: "What a dataset's columns hold", description: Self.description,
                tag: "analytics", parameters: Self.parameters,
                answers: [
                    .init(
                        .ok, "The profile.",
                        [.json(schema: ProfileSchemas.profile, example: ProfileSchemas.example)])
                ],
                problems: [
                    .notFound, .invalidName, .invalidParameter, .invalidQuery, .queryNotAllowed, .queryFailed,
                    .queryTooLarge, .queryTimeout, .queryUnavailable, .rateLimited, .overloaded, .databaseUnavailable,
                ]),
            handler: get)
    }

    private static let description = """
        For each column the nulls, the number of different values, the least and the greatest, mean and standard \
        deviation, quantiles, a histogram and the values that come most often; for the first 16 numeric columns \
        Pearson's correlation of each two, over the rows where both are finite numbers. Datasets of up to \
        1,000,000 rows, by the database's estimate, are read whole, larger ones by a sample of about 100,000 rows \
        unless `sample` says otherwise; `rows_scanned` says how many it were, and all figures are about those. \
        Blocks of the table are drawn, not rows: rows that were stored together come together. Figures of numeric \
        columns but `min`, `max`, `distinct` and `top` are in double precision, and null where a value is beyond \
        it. Nothing is kept: each call reads again.
        """

    private static let parameters: [Operation.Parameter] = [
        .init("dataset", .path, "The dataset.", schema: ResourceName.schema, example: "web"),
        .init("columns", .query, "Only these, by commas.", schema: Schema.text),
        .init(
            "sample", .query, "`all`, or about how many rows to draw: from 1,000 to 10,000,000.",
            schema: ["type": "string", "pattern": "^(all|[1-9][0-9]{3,6}|10000000)$"]),
        .init(
            "top", .query, "The most values of a column that are named.",
            schema: ["type": "integer", "minimum": 0, "maximum": 100, "default": 10]),
        .init("correlations", .query, "`false` leaves them out.", schema: ["type": "boolean", "default": true]),
        .init(
            "numbers", .query, "`string` quotes numeric, and int8 beyond ±(2^53−1).",
            schema: Schema.oneOf(QueryNumbers.self)),
        .init(
            "timeout", .query, "Of the scan: 30s if left out, up to 60s.",
            schema: ["type": "string", "pattern": .string(DurationText.upToAMinute)]),
    ]
}
