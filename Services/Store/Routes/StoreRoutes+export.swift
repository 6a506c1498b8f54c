import HTTP
import HTTPServer
import JSON

extension StoreRoutes {
    var exportRows: Route {
        let format = Operation.Parameter(
            "format", .query, "Instead of `Accept`. There is no Parquet.",
            schema: Schema.oneOf(DatasetExport.Format.self), example: "csv")
        return Route(
            .get, "/v1/datasets/{name}/export", scope: "datasets:read",
            operation: Operation(
                id: "exportRows", summary: "All rows of a dataset, as a stream",
                description: """
                    The rows of one moment, in no order, as CSV or NDJSON; values are written as in `rows`. A stream \
                    that fails is left unterminated, and the last line of NDJSON is then `{"error": …}`. Four at a \
                    time, two of one workspace, an hour each at most; a workspace's third is 429 `rate_limited`, a \
                    fifth in all 503 `too_many_connections`, both with `Retry-After`.
                    """,
                tag: "datasets", parameters: [Self.name, format] + Self.exportParameters,
                answers: [
                    .init(
                        .ok, "The rows.",
                        [
                            .init("text/csv", schema: Schema.string),
                            .init("application/x-ndjson", schema: Schema.string),
                        ])
                ],
                problems: [
                    .notFound, .invalidName, .invalidParameter, .invalidExpression, .queryFailed, .notAcceptable,
                    .rateLimited, .tooManyConnections, .timeout, .databaseUnavailable,
                ]),
            handler: export.handle)
    }
}
