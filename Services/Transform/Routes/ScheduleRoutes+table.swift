import Catalog
import HTTP
import HTTPServer
import JSON

extension ScheduleRoutes {
    var routes: [Route] { [putRoute, getRoute, deleteRoute, listRoute] + actions }

    private static let name = Operation.Parameter(
        "name", .path, "The schedule.", schema: ResourceName.schema, example: "nightly")
    private static let whole = Operation.Content.json(schema: ScheduleSchemas.schedule, example: example)
    private static let links = [
        "getSchedule", "putSchedule", "deleteSchedule", "pauseSchedule", "resumeSchedule", "triggerSchedule",
    ].map { Operation.Link($0, [("name", "$response.body#/name")]) }

    private static let definition: JSONValue = [
        "cron": "30 2 * * *", "timezone": "Europe/Berlin", "missed": "once",
        "start": ["pipeline": "web", "action": "replay", "window": "1d"], "paused": false,
    ]

    private static let example: JSONValue = [
        "name": "nightly", "version": 1, "cron": "30 2 * * *", "timezone": "Europe/Berlin", "missed": "once",
        "start": ["pipeline": "web", "action": "replay", "window": "1d"], "paused": false,
        "next_at": "2026-03-29T01:00:00Z", "last_at": "2026-03-28T01:30:00Z", "last_job": "812",
        "next": [
            "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z", "2026-03-31T00:30:00Z", "2026-04-01T00:30:00Z",
            "2026-04-02T00:30:00Z",
        ],
        "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
    ]

    private var putRoute: Route {
        Route(
            .put, "/v1/schedules/{name}", scope: "pipelines:write",
            operation: Operation(
                id: "putSchedule", summary: "Create a schedule, or change it",
                description: """
                    `cron`: minute, hour, day of month, month, day of week; `*`, lists, ranges, steps, JAN-DEC and \
                    SUN-SAT, 7 is Sunday; or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`. Where both day \
                    fields restrict, either is enough. `timezone` is a name of the IANA database, `UTC` if left out. \
                    A time that the clocks skip comes when they have changed, one that they show twice comes the \
                    first time; with an hour that begins with `*`, time runs on by real hours. \
                    `missed` says what becomes of ticks that came while nothing ran: `skip` drops those that are \
                    more than a minute late, `once` (if left out) makes one job for all, `all` a job each, of more \
                    than 1000 the latest. `start`: the pipeline, and `replay` over the batches received in `window` \
                    (1m to 3650d) before the tick, or, of a pipeline that reads a dataset, `run`, which waits while \
                    another run of it goes on. `paused` is left as it is where it is not said. Another `cron` or \
                    `timezone`, and the end of a pause, drop what was missed before. The same again makes no version.
                    """,
                tag: "schedules", parameters: [Self.name, .ifMatch],
                requestBody: [.json(schema: ScheduleSchemas.definition, example: Self.definition)],
                answers: [
                    .init(.created, "Created.", [Self.whole], headers: [.entityTag], links: Self.links),
                    .init(.ok, "Changed, or unchanged.", [Self.whole], headers: [.entityTag], links: Self.links),
                ],
                problems: [
                    .invalidSchedule, .unknownField, .invalidName, .invalidJSON, .emptyBody, .unsupportedMediaType,
                    .payloadTooLarge, .preconditionFailed, .conflict, .databaseUnavailable,
                ]),
            handler: put)
    }

    private var getRoute: Route {
        Route(
            .get, "/v1/schedules/{name}", scope: "pipelines:read",
            operation: Operation(
                id: "getSchedule", summary: "A schedule and its ticks",
                description: """
                    `next_at` is the next tick, null while it is paused; `next` are the ticks to come by its `cron`, \
                    also while it is paused. `last_at` is the tick of the last job, or when it was triggered.
                    """,
                tag: "schedules", parameters: [Self.name],
                answers: [.init(.ok, "The schedule.", [Self.whole], headers: [.entityTag])],
                problems: [.notFound, .invalidName, .databaseUnavailable]),
            handler: get)
    }

    private var deleteRoute: Route {
        Route(
            .delete, "/v1/schedules/{name}", scope: "pipelines:write",
            operation: Operation(
                id: "deleteSchedule", summary: "Delete a schedule", description: "What it has started goes on.",
                tag: "schedules", parameters: [Self.name, .ifMatch], answers: [.init(.noContent, "Deleted.")],
                problems: [.notFound, .invalidName, .preconditionFailed, .conflict, .databaseUnavailable]),
            handler: delete)
    }

    private var listRoute: Route {
        Route(
            .get, "/v1/schedules", scope: "pipelines:read",
            operation: Operation(
                id: "listSchedules", summary: "The workspace's schedules", tag: "schedules",
                parameters: [.limit(), .cursor],
                answers: [
                    .init(
                        .ok, "A page of schedules, by name.",
                        [
                            .json(
                                schema: Schema.page(of: ScheduleSchemas.schedule),
                                example: ["items": [Self.example], "next_cursor": nil])
                        ])
                ],
                problems: [.invalidParameter, .invalidCursor, .databaseUnavailable]),
            handler: list)
    }

    private var actions: [Route] {
        [
            action(
                "pause", "A schedule's ticks pass without effect", .init(.ok, "The schedule.", [Self.whole]),
                handler: pause),
            action(
                "resume", "A schedule fires again, from its next tick on", .init(.ok, "The schedule.", [Self.whole]),
                handler: resume),
            action(
                "trigger", "Start now what a tick starts, once; also while paused",
                .init(
                    .accepted, "The job.",
                    [
                        .json(
                            schema: ScheduleSchemas.triggered,
                            example: ["job": "813", "scheduled_at": "2026-03-28T09:12:44Z"])
                    ]),
                handler: trigger),
        ]
    }

    private func action(
        _ verb: String, _ summary: String, _ answer: Operation.Answer, handler: @escaping Route.Handler
    ) -> Route {
        Route(
            .post, "/v1/schedules/{name}/\(verb)", scope: "pipelines:write",
            operation: Operation(
                id: "\(verb)Schedule", summary: summary, tag: "schedules", parameters: [Self.name], answers: [answer],
                problems: [.notFound, .invalidName, .conflict, .databaseUnavailable]),
            handler: handler)
    }
}
