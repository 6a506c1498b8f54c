import Catalog
import HTTPServer
import JSON

/// What requests and answers about sources hold, as JSON Schema.
enum SourceSchemas {
    /// A PUT's body.
    /// - Parameter bodyLimit: the largest body the service takes at all.
    static func settings(bodyLimit: Int) -> JSONValue {
        Schema.request([
            (
                "limits",
                Schema.request([
                    ("max_lag", duration("1s to 7d")), ("max_body_bytes", Schema.integer(1...bodyLimit)),
                    ("landing_bytes", Schema.integer(SourceSettings.landingRange)),
                    ("records_per_second", Schema.integer(SourceSettings.rateRange)),
                    ("bytes_per_second", Schema.integer(SourceSettings.rateRange)),
                ])
            ),
            ("retention", Schema.request([("raw", duration("1h to 3650d"))])),
            (
                "coalescing",
                Schema.request([
                    ("max_bytes", Schema.integer(SourceSettings.batchRange)), ("linger", duration("0s to 1s")),
                ])
            ),
        ])
    }

    private static func duration(_ range: String) -> JSONValue {
        guard var schema = Schema.duration.object else { return Schema.duration }
        schema["description"] = .string(range)
        return .object(schema)
    }

    private static let head: [(String, JSONValue)] = [
        ("name", ResourceName.schema), ("version", Schema.count), ("declared", Schema.boolean),
        ("created_at", Schema.timestamp), ("updated_at", Schema.timestamp),
    ]

    /// How a source does.
    private static let reading: [(String, JSONValue)] = [
        (
            "rates",
            Schema.answer([
                ("records_per_second", Schema.number), ("bytes_per_second", Schema.number),
                ("stored_per_second", Schema.number),
            ])
        ),
        ("lag_seconds", Schema.number), ("freshness", Schema.nullable(Schema.number)),
    ]

    static let item = Schema.answer(head + reading, optional: reading.map(\.0))

    /// What was declared, and what counts.
    private static let effective: [(String, JSONValue)] = [
        ("definition", ["type": "object"]),
        (
            "limits",
            Schema.answer([
                ("max_lag", Schema.duration), ("max_body_bytes", Schema.count),
                ("landing_bytes", Schema.nullable(Schema.count)),
                ("records_per_second", Schema.nullable(Schema.count)),
                ("bytes_per_second", Schema.nullable(Schema.count)),
            ])
        ),
        ("retention", Schema.answer([("raw", Schema.duration)])),
        ("coalescing", Schema.answer([("max_bytes", Schema.count), ("linger", Schema.duration)])),
    ]

    static let source = Schema.answer(head + effective + reading)
}
