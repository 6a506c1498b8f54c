import HTTP
import HTTPServer
import JSON
import Queue

extension JobRoutes {
    private static let id = Operation.Parameter("id", .path, "The job.", schema: Schema.id, example: "12")
    private static let job: JSONValue = [
        "id": "12", "queue": "store", "kind": "load", "state": "dead", "priority": 0, "max_attempts": 20,
        "arguments": ["chunk": 3], "enqueued_at": "2026-01-01T00:00:00Z", "run_at": nil, "trace": nil,
        "limit_key": nil, "unique_key": nil, "waits_for": [], "array": nil, "progress": nil, "result": nil,
        "results": nil,
        "running": [],
        "attempts": [
            [
                "attempt": 1, "state": "failed", "error": "raw_expired", "at": "2026-01-01T00:00:01Z", "items": nil,
            ]
        ],
    ]

    var routes: [Route] {
        [
            Route(
                .get, "/v1/jobs", scope: "pipelines:read",
                operation: Operation(
                    id: "listJobs", summary: "Jobs, newest first",
                    description:
                        "A page looks at 5,000 jobs: with filters it may hold fewer than `limit`, even none, and "
                        + "have a `next_cursor` all the same.",
                    tag: "queues",
                    parameters: [
                        .init("state", .query, "Where they stand.", schema: Schema.oneOf(JobState.self)),
                        .init("kind", .query, "What they do.", example: "load"),
                        .init("queue", .query, "Their queue.", example: "transform"),
                        .limit(), .cursor,
                    ],
                    answers: [
                        .init(
                            .ok, "A page.",
                            [
                                .json(
                                    schema: Schema.page(of: QueueSchemas.jobSummary),
                                    example: ["items": [], "next_cursor": nil])
                            ],
                            links: ["getJob", "retryJob", "cancelJob"].map {
                                .init($0, [("id", "$response.body#/items/0/id")])
                            })
                    ],
                    problems: [.invalidParameter, .invalidCursor, .databaseUnavailable]),
                handler: list),
            Route(
                .get, "/v1/jobs/{id}", scope: "pipelines:read",
                operation: Operation(
                    id: "getJob", summary: "A job and its attempts",
                    description:
                        "`attempts` have ended, `running` are under way: whose worker claimed them, and "
                        + "when. Of an array, `results` are what its slices left behind: the first "
                        + "\(Self.historyLimit), 1 MiB at most, and how many there are, counted up to 10,000.",
                    tag: "queues", parameters: [Self.id],
                    answers: [.init(.ok, "The job.", [.json(schema: QueueSchemas.job, example: Self.job)])],
                    problems: [.notFound, .databaseUnavailable]),
                handler: get),
            Route(
                .post, "/v1/jobs/{id}/retry", scope: "pipelines:write",
                operation: Operation(
                    id: "retryJob", summary: "Try a dead job again", tag: "queues", parameters: [Self.id],
                    answers: [
                        .init(
                            .ok, "It is ready.",
                            [.json(schema: QueueSchemas.result, example: ["id": "12", "result": "ready"])])
                    ],
                    problems: [.notFound, .conflict, .databaseUnavailable]),
                handler: retry),
            Route(
                .post, "/v1/jobs/{id}/cancel", scope: "pipelines:write",
                operation: Operation(
                    id: "cancelJob", summary: "Cancel a job",
                    description: "One that runs cannot commit its work any more, and its worker is told.",
                    tag: "queues", parameters: [Self.id],
                    answers: [
                        .init(
                            .ok, "What became of it.",
                            [.json(schema: QueueSchemas.result, example: ["id": "12", "result": "cancelled"])])
                    ],
                    problems: [.notFound, .databaseUnavailable]),
                handler: cancel),
        ]
    }
}
