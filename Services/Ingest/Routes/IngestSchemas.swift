import Catalog
import HTTPServer
import JSON

/// What ingest's requests and answers hold, as JSON Schema.
enum IngestSchemas {
    static let receiptID: JSONValue = ["type": "string", "pattern": "^[ru][0-9a-hjkmnp-tv-z]{13}$"]

    private static let counts: [(String, JSONValue)] = [
        ("stored", Schema.count), ("filtered", Schema.count), ("quarantined", Schema.count),
        ("duplicates", Schema.count),
    ]

    static let acknowledgement = Schema.answer([
        ("receipt", receiptID), ("state", Schema.oneOf(Receipt.State.self)),
    ])

    static let summary = Schema.answer(
        [("receipt", receiptID), ("state", ["type": "string", "const": "stored"]), ("received", Schema.count)] + counts)

    private static let output = Schema.answer(
        [
            ("pipeline", Schema.string), ("version", Schema.nullable(Schema.count)),
            ("dataset", Schema.nullable(Schema.string)), ("state", Schema.string),
            ("error", Schema.nullable(Schema.string)),
        ] + counts)

    static let receipt = Schema.answer(
        [
            ("id", receiptID), ("source", ResourceName.schema), ("state", Schema.oneOf(Receipt.State.self)),
            ("received", Schema.count),
        ] + counts + [
            ("outputs", Schema.array(of: output)), ("received_at", Schema.timestamp),
            ("stored_at", Schema.nullable(Schema.timestamp)),
        ])

    static let batch = Schema.answer([
        ("id", Schema.id), ("source", ResourceName.schema),
        ("format", ["type": "string", "enum": ["ndjson", "json", "csv", "text", "table"]]),
        ("state", Schema.oneOf(Receipt.State.self)), ("records", Schema.count), ("raw_bytes", Schema.count),
        ("stored_bytes", Schema.count), ("requests", Schema.count), ("received_at", Schema.timestamp),
        ("raw_available", Schema.boolean),
    ])
}
