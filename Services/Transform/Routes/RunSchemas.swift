import Catalog
import HTTPServer
import JSON

/// What requests and answers about runs hold, as JSON Schema.
enum RunSchemas {
    /// Of a member that goes with the other form only: `Schema.request` lets it be null.
    private static let nothing: JSONValue = ["const": nil]

    private static let maxParallel: JSONValue = [
        "type": "integer", "minimum": .number(RunStarter.parallels.lowerBound),
        "maximum": .number(RunStarter.parallels.upperBound), "default": .number(RunStarter.defaultParallel),
    ]

    /// A span of time, or batches by their ids; not both.
    static let replay: JSONValue = [
        "oneOf": [
            Schema.request(
                [
                    ("from", Schema.timestamp), ("to", Schema.timestamp), ("batches", nothing),
                    ("timeout", Schema.duration), ("max_parallel", maxParallel),
                ], required: ["from", "to"]),
            Schema.request(
                [
                    ("batches", Schema.array(of: Schema.id, count: 1...ReplayRoute.batchLimit)),
                    ("from", nothing), ("to", nothing), ("timeout", Schema.duration), ("max_parallel", maxParallel),
                ], required: ["batches"]),
        ]
    ]

    static let started = Schema.answer([("run", Schema.id)])

    /// As lists have it.
    static let summary = Schema.answer(members)

    static let run = Schema.answer(
        members + [
            (
                "errors",
                Schema.array(
                    of: Schema.answer([
                        ("batch", Schema.id), ("message", Schema.string), ("job", Schema.nullable(Schema.id)),
                    ]))
            ), ("changes", Schema.nullable(changes)),
        ])

    private static let counts: [(String, JSONValue)] = [
        ("added", Schema.count), ("removed", Schema.count), ("changed", Schema.count),
    ]

    /// Of a dry run.
    private static let changes = Schema.answer(
        [("complete", Schema.boolean)] + counts + [
            (
                "datasets",
                Schema.array(
                    of: Schema.answer(
                        [("dataset", ResourceName.schema)] + counts + [
                            ("columns", ["type": "object", "additionalProperties": Schema.count])
                        ]))
            )
        ])

    private static let members: [(String, JSONValue)] = [
        ("id", Schema.id), ("kind", Schema.string), ("pipeline", ResourceName.schema), ("version", Schema.count),
        ("state", Schema.oneOf(RunState.self)), ("request", ["type": "object"]),
        ("schedule", Schema.nullable(["type": "object"])),
        ("progress", Schema.answer([("done", Schema.count), ("total", Schema.count)])),
        (
            "batches",
            Schema.answer([
                ("total", Schema.count), ("transformed", Schema.count), ("done", Schema.count),
                ("failed", Schema.count), ("skipped", Schema.count),
            ])
        ),
        (
            "records",
            Schema.answer([
                ("read", Schema.nullable(Schema.count)), ("stored", Schema.count), ("filtered", Schema.count),
                ("quarantined", Schema.count),
                ("duplicates", Schema.count),
            ])
        ),
        ("error", Schema.nullable(Schema.string)), ("job", Schema.nullable(Schema.id)),
        ("created_at", Schema.timestamp), ("started_at", Schema.nullable(Schema.timestamp)),
        ("finished_at", Schema.nullable(Schema.timestamp)), ("deadline", Schema.nullable(Schema.timestamp)),
        ("dry_run", Schema.boolean),
    ]
}
