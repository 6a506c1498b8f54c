import HTTPServer
import JSON

/// What answers about queues and jobs hold, as JSON Schema.
enum QueueSchemas {
    static let status = Schema.answer([
        ("name", Schema.string), ("ready", Schema.count), ("oldest_age_seconds", Schema.nullable(Schema.number)),
        ("deferred", Schema.count), ("running", Schema.count), ("dead", Schema.count), ("paused", Schema.boolean),
    ])

    static let redriven = Schema.answer([("redriven", Schema.count)])

    static let deadLetter = Schema.answer([
        ("id", Schema.id), ("kind", Schema.string), ("state", ["type": "string", "const": "dead"]),
        ("attempt", Schema.count), ("error", Schema.nullable(Schema.string)), ("at", Schema.timestamp),
    ])

    static let job = Schema.answer([
        ("id", Schema.id), ("queue", Schema.string), ("kind", Schema.string), ("state", Schema.string),
        ("priority", ["type": "integer"]), ("max_attempts", Schema.count), ("arguments", [:]),
        ("enqueued_at", Schema.timestamp),
        (
            "attempts",
            Schema.array(
                of: Schema.answer([
                    ("attempt", Schema.count), ("state", Schema.string), ("error", Schema.nullable(Schema.string)),
                    ("at", Schema.timestamp),
                ]))
        ),
    ])

    static let result = Schema.answer([("id", Schema.id), ("result", Schema.string)])
}
