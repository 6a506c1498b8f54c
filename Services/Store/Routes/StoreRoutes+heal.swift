import HTTP
import HTTPServer
import JSON

extension StoreRoutes {
    var healRoute: Route {
        let wait = Operation.Parameter(
            "wait", .query, "How long to wait for the outcome, at most 60 s.", schema: Schema.duration)
        let dryRun = Operation.Parameter(
            "dry_run", .query, "Only say what would change.", schema: Schema.boolean)
        return Route(
            .post, "/v1/datasets/{name}/quarantine/replay", scope: "pipelines:write", reach: .whole,
            operation: Operation(
                id: "healDataset", summary: "Run quarantined records again through the pipelines as they are now",
                description: """
                    Of all batches and pipelines, or those named; with `codes` only records that have an error with \
                    one of these; with `reason` only those with just this error, as \
                    `/v1/datasets/{name}/quarantine/reasons` counts them: its code, its step and column, which are \
                    null where it has none, and its stage. Records that pass leave the quarantine, and their rows are \
                    stored; the others stay with their new errors; counts and receipts follow, all at once for each \
                    batch. There is a run for \
                    each pipeline, `run` is the first. What a run from table to table has quarantined is healed into \
                    the dataset that it filled, where the rows join those of that run; of mode `replace` only the run \
                    that is there now has any. Left alone are records whose bytes were cut (replay their \
                    batch), those of batches that are not stored yet, and those of pipelines that are not in service \
                    any more. Nothing to do, or with `wait` the runs' end in time, is 200: `healed` and `failing` \
                    count records, `failed_batches` those whose records could not be tried. 409 `conflict` names a run \
                    that is going on over some of the batches. With `dry_run=true` the runs find out what they would \
                    change, and change nothing: `healed` and `failing` say what would become of the records, \
                    `changes` of each run (`GET /v1/runs/{id}`) what would become of the rows. At most `max_parallel` \
                    of a run's jobs are under way at a time, behind all that comes in.
                    """,
                tag: "runs", parameters: [Self.name, wait, dryRun],
                requestBody: [.json(schema: DatasetSchemas.heal, example: ["codes": ["invalid_cast"]])],
                bodyIsOptional: true,
                answers: [
                    .init(
                        .ok, "The outcome.",
                        [
                            .json(
                                schema: DatasetSchemas.healed,
                                example: ["healed": 40, "failing": 2, "failed_batches": 0, "runs": ["3"]])
                        ]),
                    .init(
                        .accepted, "The runs are made.",
                        [.json(schema: DatasetSchemas.healing, example: ["run": "3", "runs": ["3"]])]),
                ],
                problems: [
                    .notFound, .invalidName, .invalidParameter, .invalidRequest, .unknownField, .invalidJSON,
                    .emptyBody, .unsupportedMediaType, .payloadTooLarge, .conflict, .databaseUnavailable,
                ]),
            handler: heal.handle)
    }
}
