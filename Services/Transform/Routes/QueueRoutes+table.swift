import HTTP
import HTTPServer
import JSON

extension QueueRoutes {
    private static let name = Operation.Parameter("name", .path, "The queue.", example: "transform")
    private static let id = Operation.Parameter("id", .path, "The job.", schema: Schema.id, example: "12")
    private static let status: JSONValue = [
        "name": "transform", "ready": 0, "oldest_age_seconds": nil, "deferred": 0, "running": 0, "dead": 0,
        "paused": false,
    ]
    private static let job: JSONValue = [
        "id": "12", "queue": "store", "kind": "load", "state": "dead", "priority": 0, "max_attempts": 20,
        "arguments": ["chunk": 3], "enqueued_at": "2026-01-01T00:00:00Z",
        "attempts": [["attempt": 1, "state": "failed", "error": "raw_expired", "at": "2026-01-01T00:00:01Z"]],
    ]

    var routes: [Route] { queueRoutes + jobRoutes }

    private var queueRoutes: [Route] {
        [
            Route(
                .get, "/v1/queues", scope: "admin",
                operation: Operation(
                    id: "listQueues", summary: "Depth and age of each queue", description: "Depths are estimates.",
                    tag: "queues",
                    answers: [
                        .init(
                            .ok, "The queues.",
                            [
                                .json(
                                    schema: Schema.page(of: QueueSchemas.status),
                                    example: ["items": [Self.status], "next_cursor": nil])
                            ],
                            links: ["getQueue", "pauseQueue", "resumeQueue", "redriveQueue"].map {
                                .init($0, [("name", "$response.body#/items/0/name")])
                            })
                    ],
                    problems: [.invalidParameter, .databaseUnavailable]),
                handler: list),
            Route(
                .get, "/v1/queues/{name}", scope: "admin",
                operation: Operation(
                    id: "getQueue", summary: "Depth and age of a queue", tag: "queues", parameters: [Self.name],
                    answers: [.init(.ok, "The queue.", [.json(schema: QueueSchemas.status, example: Self.status)])],
                    problems: [.notFound, .databaseUnavailable]),
                handler: get),
            action("pause", "No further job of the queue is started", handler: pause),
            action("resume", "The queue's jobs are started again", handler: resume),
            Route(
                .post, "/v1/queues/{name}/redrive", scope: "admin",
                operation: Operation(
                    id: "redriveQueue", summary: "Try the queue's dead letters again",
                    description: "At most \(Self.redriveLimit) at a call, the oldest first.", tag: "queues",
                    parameters: [Self.name],
                    answers: [
                        .init(.ok, "How many.", [.json(schema: QueueSchemas.redriven, example: ["redriven": 3])])
                    ],
                    problems: [.notFound, .databaseUnavailable]),
                handler: redrive),
        ]
    }

    private func action(_ verb: String, _ summary: String, handler: @escaping Route.Handler) -> Route {
        Route(
            .post, "/v1/queues/{name}/\(verb)", scope: "admin",
            operation: Operation(
                id: "\(verb)Queue", summary: summary, tag: "queues", parameters: [Self.name],
                answers: [.init(.ok, "The queue.", [.json(schema: QueueSchemas.status, example: Self.status)])],
                problems: [.notFound, .databaseUnavailable]),
            handler: handler)
    }

    private var jobRoutes: [Route] {
        [
            Route(
                .get, "/v1/jobs", scope: "pipelines:read",
                operation: Operation(
                    id: "listJobs", summary: "A queue's dead letters", tag: "queues",
                    parameters: [
                        .init("queue", .query, "The queue.", required: true, example: "transform"),
                        .init("state", .query, "Only `dead`.", schema: ["type": "string", "enum": ["dead"]]),
                        .limit(), .cursor,
                    ],
                    answers: [
                        .init(
                            .ok, "A page.",
                            [
                                .json(
                                    schema: Schema.page(of: QueueSchemas.deadLetter),
                                    example: ["items": [], "next_cursor": nil])
                            ],
                            links: ["getJob", "retryJob", "cancelJob"].map {
                                .init($0, [("id", "$response.body#/items/0/id")])
                            })
                    ],
                    problems: [.invalidParameter, .invalidCursor, .databaseUnavailable]),
                handler: jobs),
            Route(
                .get, "/v1/jobs/{id}", scope: "pipelines:read",
                operation: Operation(
                    id: "getJob", summary: "A job and its attempts", tag: "queues", parameters: [Self.id],
                    answers: [.init(.ok, "The job.", [.json(schema: QueueSchemas.job, example: Self.job)])],
                    problems: [.notFound, .databaseUnavailable]),
                handler: job),
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
                    id: "cancelJob", summary: "Cancel a job that has not started", tag: "queues", parameters: [Self.id],
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
