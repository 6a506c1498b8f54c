import HTTP
import HTTPServer
import JSON

extension StoreRoutes {
    private static let gaps: JSONValue = [
        [
            "kind": "derived_dataset", "name": "visitors",
            "detail": "pipeline daily made its rows from a dataset's rows: erase there, too",
        ]
    ]

    var eraseRoute: Route {
        let dryRun = Operation.Parameter(
            "dry_run", .query, "Only count what would be erased.", schema: Schema.boolean, example: true)
        return Route(
            .post, "/v1/datasets/{name}/erase", scope: "datasets:write", reach: .whole,
            operation: Operation(
                id: "eraseRecords", summary: "Erase what meets a condition, for good",
                description: """
                    Rows, and the raw records that they were made of, in raw bytes and in quarantine, so that no \
                    replay and no heal brings them back; with them the rows that other datasets have of the same \
                    records. A record that has no row, because it was turned down, filtered or overtaken, is erased \
                    where the fields that it came with meet the condition, under the columns' names or those that \
                    they had before a `rename`. So are rows of a table that a run has turned down on their way into \
                    this dataset, and this dataset's own that were turned down on their way into another. What comes \
                    in after the request is not erased.

                    `not_reached` names what may be left: `derived_dataset`, whose rows a pipeline has made of a \
                    dataset's rows, and `source_dataset`, from whose rows this one is made: erase there, too; \
                    `frozen_rollup`, which keeps what it has counted of a time that retention has dropped; \
                    `quarantined_csv`, a source's records whose header row has expired; `quarantined_rows`, rows that \
                    were turned down on their way from a derived dataset into the next; `unfinished_run`, a run \
                    from table to table that is still reading, or has failed and can be redriven; `made_column`, a \
                    column that a step makes, by which records without a row are not told. The work is a run; \
                    `GET /v1/datasets/{name}/erasures` has its counts, and keeps a hash of the condition, never the \
                    condition. The same request while its run goes on answers that run. Needs `raw:read` besides. \
                    Where nothing ever fed the dataset, it is 200 and no run.
                    """,
                tag: "datasets", parameters: [Self.name, dryRun],
                requestBody: [
                    .json(
                        schema: Schema.request([("where", Schema.text)], required: ["where"]),
                        example: ["where": "id = 17"])
                ],
                answers: [
                    .init(
                        .accepted, "The run is made.",
                        [
                            .json(
                                schema: Schema.answer([
                                    ("run", Schema.id), ("not_reached", DatasetSchemas.notReached),
                                ]),
                                example: ["run": "4", "not_reached": Self.gaps])
                        ]),
                    .init(
                        .ok, "There is nothing.",
                        [
                            .json(
                                schema: Schema.answer([
                                    ("run", Schema.nullable(Schema.id)), ("not_reached", DatasetSchemas.notReached),
                                ]), example: ["run": nil, "not_reached": []])
                        ]),
                ],
                problems: [
                    .notFound, .invalidName, .invalidParameter, .invalidRequest, .unknownField, .invalidJSON,
                    .emptyBody, .unsupportedMediaType, .payloadTooLarge, .invalidExpression, .databaseUnavailable,
                ]),
            handler: erase.erase)
    }

    var erasures: Route {
        let item: JSONValue = [
            "run": "4", "state": "succeeded", "where_sha256": "9f86d081884c7d65", "key": "1", "subject": nil,
            "dry_run": false,
            "created_at": "2026-01-01T00:00:00Z", "finished_at": "2026-01-01T00:00:02Z", "records": 3,
            "quarantined": 1, "unreadable": 0, "rows": ["web": 2], "not_reached": Self.gaps,
        ]
        return Route(
            .get, "/v1/datasets/{name}/erasures", scope: "datasets:read",
            operation: Operation(
                id: "listErasures", summary: "What was erased, when, by whom",
                description: """
                    The latest first. `key` asked for it, or `subject` with a token. `records` counts raw records, \
                    `quarantined` those that lay in quarantine, `rows` rows by dataset; of a dry run, what there would \
                    have been. `unreadable` counts raw records that could not be read, so that nobody can say whether \
                    they are meant. `not_reached` is as it was answered.
                    """,
                tag: "datasets", parameters: [Self.name] + Self.page,
                answers: [
                    .init(
                        .ok, "A page.",
                        [
                            .json(
                                schema: Schema.page(of: DatasetSchemas.erasure),
                                example: ["items": [item], "next_cursor": nil])
                        ])
                ],
                problems: [.notFound, .invalidName, .invalidParameter, .invalidCursor, .databaseUnavailable]),
            handler: erase.list)
    }
}
