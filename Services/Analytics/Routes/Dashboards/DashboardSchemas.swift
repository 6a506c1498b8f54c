import Catalog
import HTTPServer
import JSON

/// What requests and answers about dashboards hold, as JSON Schema.
enum DashboardSchemas {
    private static func text(_ limit: Int) -> JSONValue {
        ["type": "string", "pattern": #"^[^\u0000]*$"#, "maxLength": .number(limit)]
    }

    private static let column: JSONValue = [
        "type": "string", "pattern": #"^[^\u0000]+$"#, "maxLength": .number(DashboardChart.longestColumn),
    ]

    private static let parameters: JSONValue = [
        "type": "object", "maxProperties": .number(DashboardContent.parameterCount),
        "additionalProperties": Schema.nullable(text(DashboardContent.longestParameter)),
    ]

    private static let rollup: [(String, JSONValue)] =
        [("name", ResourceName.schema), ("range", Schema.duration)]
        + DashboardContent.rollupOptions.map { ($0, text(DashboardContent.longestParameter)) }

    private static let contents: [(String, JSONValue)] = [
        ("query", text(QueryGuard.maximumLength)),
        ("endpoint", Schema.request([("name", ResourceName.schema), ("parameters", parameters)], required: ["name"])),
        ("rollup", Schema.request(rollup, required: ["name"])),
    ]

    private static let drawing: [(String, JSONValue)] = [
        ("title", text(DashboardDefinition.longestTitle)), ("type", Schema.oneOf(DashboardChart.Kind.self)),
        ("x", text(DashboardChart.longestColumn)),
        ("y", Schema.array(of: column, count: DashboardChart.seriesCount)),
        ("width", Schema.integer(DashboardChart.widths)), ("height", Schema.integer(DashboardChart.heights)),
    ]

    /// One that a request sends: by a query, an endpoint or a rollup.
    private static let chart: JSONValue = [
        "oneOf": .array(contents.map { Schema.request(drawing + [$0], required: ["type", $0.0]) })
    ]

    /// A PUT's body.
    static let definition = Schema.request(
        [
            ("title", text(DashboardDefinition.longestTitle)),
            ("description", text(DashboardDefinition.longestDescription)), ("refresh", Schema.duration),
            ("charts", Schema.array(of: chart, count: DashboardDefinition.chartCount)),
        ], required: ["charts"])

    private static let head: [(String, JSONValue)] = [
        ("name", ResourceName.schema), ("version", Schema.count), ("title", Schema.nullable(Schema.string)),
        ("description", Schema.nullable(Schema.string)),
    ]
    private static let times: [(String, JSONValue)] = [
        ("created_at", Schema.timestamp), ("updated_at", Schema.timestamp),
    ]

    static let summary = Schema.answer(head + [("charts", Schema.count)] + times)

    static let dashboard = Schema.answer(
        head + [("refresh", Schema.nullable(Schema.duration)), ("charts", Schema.array(of: storedChart))] + times)

    private static let storedChart = Schema.answer(
        [
            ("title", Schema.nullable(Schema.string)), ("type", Schema.oneOf(DashboardChart.Kind.self)),
            ("x", Schema.nullable(Schema.string)), ("y", Schema.nullable(Schema.array(of: Schema.string))),
            ("width", Schema.count), ("height", Schema.count),
            ("query", Schema.string), ("endpoint", ["type": "object", "required": ["name", "parameters"]]),
            ("rollup", ["type": "object", "required": ["name", "range"]]),
        ], optional: ["query", "endpoint", "rollup"])
}
