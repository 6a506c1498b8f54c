import HTTP
import HTTPServer
import JSON

extension QueueRoutes {
    private static let name = Operation.Parameter("name", .path, "The queue.", example: "transform")
    private static let status: JSONValue = [
        "name": "transform", "ready": 0, "oldest_age_seconds": nil, "deferred": 0, "blocked": 0, "waiting": 0,
        "running": 0, "dead": 0, "paused": false, "rates": ["succeeded": 812.5, "failed": 0, "dead": 0],
    ]
    var routes: [Route] {
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
                    description:
                        "At most \(Self.redriveLimit) at a call, the oldest first. Where another job has a dead one's "
                        + "unique key by now, the dead one stays: `key_taken` of them were passed over.",
                    tag: "queues",
                    parameters: [Self.name],
                    answers: [
                        .init(
                            .ok, "How many.",
                            [.json(schema: QueueSchemas.redriven, example: ["redriven": 3, "key_taken": 0])])
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
}
