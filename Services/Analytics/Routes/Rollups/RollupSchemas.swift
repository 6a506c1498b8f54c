import Catalog
import HTTPServer
import JSON

/// What requests and answers about rollups hold, as JSON Schema.
enum RollupSchemas {
    private static let time = Schema.request(
        [("column", Schema.text), ("grain", Schema.oneOf(RollupGrain.self))], required: ["column", "grain"])
    private static let dimensions: JSONValue = [
        "type": "array", "items": Schema.text, "maxItems": .number(RollupDefinition.maximumDimensions),
        "uniqueItems": true,
    ]
    private static let measures: JSONValue = [
        "type": "object", "additionalProperties": Schema.text, "minProperties": 1,
        "maxProperties": .number(RollupDefinition.maximumMeasures), "propertyNames": ResourceName.schema,
    ]

    /// A PUT's body.
    static let definition = Schema.request(
        [("dataset", ResourceName.schema), ("time", time), ("dimensions", dimensions), ("measures", measures)],
        required: ["dataset", "time", "measures"])

    static let rollup = Schema.answer([
        ("name", ResourceName.schema), ("version", Schema.count), ("dataset", ResourceName.schema), ("time", time),
        ("dimensions", dimensions), ("measures", measures),
        ("state", ["type": "string", "enum": ["preparing", "backfilling", "ready", "failed"]]),
        ("reason", Schema.nullable(Schema.string)), ("progress", ["type": "number", "minimum": 0, "maximum": 1]),
        ("waiting_batches", Schema.count), ("applied_at", Schema.nullable(Schema.timestamp)),
        ("created_at", Schema.timestamp), ("updated_at", Schema.timestamp),
    ])

    static let data = Schema.answer([
        ("items", Schema.array(of: Schema.map(of: [:]))), ("row_count", Schema.count), ("truncated", Schema.boolean),
    ])
}
