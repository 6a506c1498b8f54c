public import JSON

/// JSON Schemas (draft 2020-12, as OpenAPI 3.1 has it) of what requests and answers hold.
public enum Schema {
    /// An object that a request sends: nothing but these members. Those that are not required may also be null, which
    /// is the same as leaving them out.
    public static func request(_ members: [(String, JSONValue)], required: [String] = []) -> JSONValue {
        let properties = members.map { ($0.0, required.contains($0.0) ? $0.1 : nullable($0.1)) }
        var schema = JSONObject([("type", "object")])
        if !required.isEmpty { schema["required"] = .array(required.map { .string($0) }) }
        schema["additionalProperties"] = false
        schema["properties"] = .object(JSONObject(properties))
        return .object(schema)
    }

    /// An object in an answer: all these members but for the optional ones. Later versions may add others.
    public static func answer(_ members: [(String, JSONValue)], optional: [String] = []) -> JSONValue {
        let required = members.map(\.0).filter { !optional.contains($0) }
        return [
            "type": "object", "required": .array(required.map { .string($0) }),
            "properties": .object(JSONObject(members)),
        ]
    }

    /// The page of a list.
    public static func page(of item: JSONValue) -> JSONValue {
        answer([("items", array(of: item)), ("next_cursor", nullable(["type": "string"]))])
    }

    /// An object whose members have names of the user's choice.
    public static func map(of value: JSONValue, atLeast minimum: Int = 0) -> JSONValue {
        ["type": "object", "minProperties": .number(minimum), "additionalProperties": value]
    }

    public static func array(of item: JSONValue) -> JSONValue { ["type": "array", "items": item] }

    public static func array(of item: JSONValue, count: ClosedRange<Int>) -> JSONValue {
        [
            "type": "array", "items": item, "minItems": .number(count.lowerBound),
            "maxItems": .number(count.upperBound),
        ]
    }

    public static func integer(_ range: ClosedRange<Int>) -> JSONValue {
        ["type": "integer", "minimum": .number(range.lowerBound), "maximum": .number(range.upperBound)]
    }

    /// A string that is one of an enumeration's raw values.
    public static func oneOf<T: RawRepresentable & CaseIterable>(_ type: T.Type) -> JSONValue
    where T.RawValue == String {
        ["type": "string", "enum": .array(type.allCases.map { .string($0.rawValue) })]
    }

    /// A schema that takes null as well.
    public static func nullable(_ schema: JSONValue) -> JSONValue {
        guard var object = schema.object, let type = object["type"]?.string else {
            return ["anyOf": [schema, ["type": "null"]]]
        }
        object["type"] = [.string(type), "null"]
        if let values = object["enum"]?.array { object["enum"] = .array(values + [.null]) }
        return .object(object)
    }

    /// A string as PostgreSQL can hold it.
    public static let text: JSONValue = ["type": "string", "pattern": #"^[^\u0000]*$"#]
    /// A count, or a number of octets.
    public static let count: JSONValue = ["type": "integer", "minimum": 0]
    public static let boolean: JSONValue = ["type": "boolean"]
    public static let number: JSONValue = ["type": "number"]
    public static let string: JSONValue = ["type": "string"]
    /// An id of 64 bits as text.
    public static let id: JSONValue = ["type": "string", "pattern": "^[1-9][0-9]{0,18}$"]
    public static let timestamp: JSONValue = ["type": "string", "format": "date-time"]
    /// A duration such as `500ms`, `30s`, `5m`, `12h` or `7d`, below thirty years.
    public static let duration: JSONValue = [
        "type": "string", "pattern": "^([0-9]{1,11}ms|[0-9]{1,8}s|[0-9]{1,7}m|[0-9]{1,5}h|[0-9]{1,4}d)$",
    ]
}
