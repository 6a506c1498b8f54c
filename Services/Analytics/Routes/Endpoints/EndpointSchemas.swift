import Catalog
import HTTPServer
import JSON
import Records

/// What requests and answers about endpoints hold, as JSON Schema.
enum EndpointSchemas {
    /// A PUT's body.
    static let definition = Schema.request(
        [
            ("sql", Schema.text),
            ("description", ["type": "string", "maxLength": .number(EndpointDefinition.maximumDescription)]),
            ("cache_ttl", Schema.duration), ("timeout", Schema.duration),
            ("limit", Schema.integer(1...UserQuery.largestLimit)),
        ], required: ["sql"])

    static let endpoint = Schema.answer([
        ("name", ResourceName.schema), ("version", Schema.count), ("sql", Schema.string),
        ("description", Schema.nullable(Schema.string)), ("cache_ttl", Schema.duration), ("timeout", Schema.duration),
        ("limit", Schema.count),
        (
            "parameters",
            Schema.array(
                of: Schema.answer(
                    [
                        ("name", ResourceName.schema), ("type", Schema.oneOf(ColumnType.self)),
                        ("required", Schema.boolean), ("default", [:]),
                    ], optional: ["default"]))
        ),
        ("columns", Schema.array(of: Schema.answer([("name", Schema.string), ("type", Schema.string)]))),
        ("created_at", Schema.timestamp), ("updated_at", Schema.timestamp),
    ])

    /// An answer in JSON whose items are like `item`.
    static func data(of item: JSONValue) -> JSONValue {
        Schema.answer([
            ("items", Schema.array(of: item)), ("row_count", Schema.count), ("truncated", Schema.boolean),
        ])
    }

    /// A value of a parameter, as a query has it.
    static func parameter(_ type: ColumnType) -> JSONValue {
        switch type {
        case .text: Schema.text
        case .int8: ["type": "integer", "format": "int64"]
        case .float8: ["type": "number", "format": "double"]
        case .numeric: Schema.number
        case .bool: Schema.boolean
        case .timestamptz: Schema.timestamp
        case .date: ["type": "string", "format": "date"]
        case .uuid: ["type": "string", "format": "uuid"]
        case .jsonb: ["type": "string", "contentMediaType": "application/json"]
        }
    }

    /// A value of a result's column, which may always be null.
    static func column(_ type: String) -> JSONValue {
        if type.hasSuffix("[]") {
            // Arrays of more dimensions nest.
            return ["type": ["array", "null"], "items": [:]]
        }
        return switch type {
        case "int2", "int4": ["type": ["integer", "null"], "format": "int32"]
        case "oid", "int8": ["type": ["integer", "null"], "format": "int64"]
        case "float4", "float8", "numeric": ["type": ["number", "string", "null"]]
        case "bool": ["type": ["boolean", "null"]]
        case "timestamptz": ["type": ["string", "null"], "format": "date-time"]
        case "date": ["type": ["string", "null"], "format": "date"]
        case "uuid": ["type": ["string", "null"], "format": "uuid"]
        case "json", "jsonb": [:]
        default: ["type": ["string", "null"]]
        }
    }
}
