import HTTPServer
import JSON
import Queue

/// What answers about queues and jobs hold, as JSON Schema.
enum QueueSchemas {
    static let status = Schema.answer([
        ("name", Schema.string), ("ready", Schema.count), ("oldest_age_seconds", Schema.nullable(Schema.number)),
        ("deferred", Schema.count), ("blocked", Schema.count), ("waiting", Schema.count), ("running", Schema.count),
        ("dead", Schema.count), ("paused", Schema.boolean),
        (
            "rates",
            Schema.answer([("succeeded", Schema.number), ("failed", Schema.number), ("dead", Schema.number)])
        ),
    ])

    static let redriven = Schema.answer([("redriven", Schema.count), ("key_taken", Schema.count)])

    static let jobSummary = Schema.answer([
        ("id", Schema.id), ("queue", Schema.string), ("kind", Schema.string), ("state", Schema.oneOf(JobState.self)),
        ("priority", ["type": "integer"]), ("enqueued_at", Schema.timestamp), ("error", Schema.nullable(Schema.string)),
    ])

    private static let slice = Schema.nullable(Schema.answer([("first", Schema.count), ("count", Schema.count)]))

    static let job = Schema.answer([
        ("id", Schema.id), ("queue", Schema.string), ("kind", Schema.string), ("state", Schema.oneOf(JobState.self)),
        ("priority", ["type": "integer"]), ("max_attempts", Schema.count), ("arguments", [:]),
        ("enqueued_at", Schema.timestamp), ("run_at", Schema.nullable(Schema.timestamp)),
        ("trace", Schema.nullable(Schema.string)), ("limit_key", Schema.nullable(Schema.string)),
        ("unique_key", Schema.nullable(Schema.string)), ("waits_for", Schema.array(of: Schema.id)),
        (
            "array",
            Schema.nullable(
                Schema.answer([("items", Schema.count), ("remaining", Schema.count), ("failed", Schema.count)]))
        ),
        (
            "progress",
            Schema.nullable(
                Schema.answer([
                    ("fraction", Schema.number), ("note", Schema.nullable(Schema.string)), ("at", Schema.timestamp),
                ]))
        ),
        ("result", [:]),
        (
            "results",
            Schema.nullable(
                Schema.answer([
                    ("count", Schema.count),
                    ("items", Schema.array(of: Schema.answer([("items", slice), ("result", [:])]))),
                ]))
        ),
        (
            "running",
            Schema.array(
                of: Schema.answer([
                    ("attempt", Schema.count), ("worker", Schema.string), ("claimed_at", Schema.timestamp),
                    ("items", slice),
                ]))
        ),
        (
            "attempts",
            Schema.array(
                of: Schema.answer([
                    ("attempt", Schema.count), ("state", Schema.string), ("error", Schema.nullable(Schema.string)),
                    ("at", Schema.timestamp), ("items", slice),
                ]))
        ),
    ])

    static let result = Schema.answer([("id", Schema.id), ("result", Schema.string)])
}
