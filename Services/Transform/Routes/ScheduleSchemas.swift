import Catalog
import HTTPServer
import JSON
import Queue

/// What requests and answers about schedules hold, as JSON Schema.
enum ScheduleSchemas {
    private static let cron: JSONValue = [
        "type": "string", "maxLength": .number(CronExpression.maximumLength),
        "pattern": .string(
            #"^[ \t]*(@(hourly|daily|weekly|monthly|yearly)|[-*/,0-9A-Za-z]+([ \t]+[-*/,0-9A-Za-z]+){4})[ \t]*$"#),
    ]

    private static let zone: JSONValue = [
        "type": "string", "maxLength": .number(CronZone.maximumLength), "pattern": .string(CronZone.pattern),
    ]

    /// A PUT's body.
    static let definition = Schema.request(
        [
            ("cron", cron), ("timezone", zone), ("missed", Schema.oneOf(MissedTicks.self)),
            (
                "start",
                [
                    "oneOf": [
                        Schema.request(
                            [
                                ("pipeline", ResourceName.schema), ("action", ["type": "string", "enum": ["replay"]]),
                                ("window", Schema.duration),
                            ], required: ["pipeline", "action", "window"]),
                        Schema.request(
                            [("pipeline", ResourceName.schema), ("action", ["type": "string", "enum": ["run"]])],
                            required: ["pipeline", "action"]),
                    ]
                ]
            ),
            ("paused", Schema.boolean),
        ], required: ["cron", "start"])

    static let schedule = Schema.answer([
        ("name", ResourceName.schema), ("version", Schema.count), ("cron", Schema.string), ("timezone", Schema.string),
        ("missed", Schema.oneOf(MissedTicks.self)),
        (
            "start",
            Schema.answer(
                [
                    ("pipeline", ResourceName.schema), ("action", Schema.oneOf(ScheduleDefinition.Action.self)),
                    ("window", Schema.duration),
                ], optional: ["window"])
        ),
        ("paused", Schema.boolean), ("next_at", Schema.nullable(Schema.timestamp)),
        ("last_at", Schema.nullable(Schema.timestamp)), ("last_job", Schema.nullable(Schema.id)),
        ("next", Schema.array(of: Schema.timestamp, count: 0...ScheduleRoutes.ticksShown)),
        ("created_at", Schema.timestamp), ("updated_at", Schema.timestamp),
    ])

    static let triggered = Schema.answer([("job", Schema.id), ("scheduled_at", Schema.timestamp)])
}
