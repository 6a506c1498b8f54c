import Catalog
import JSON

/// One chart: where its rows come from, how they are drawn, and how much room it has.
struct DashboardChart: Sendable, Equatable {
    enum Kind: String, CaseIterable { case line, bar, area, pie, number, table }

    /// Columns and rows of the page's grid.
    static let widths = 1...12
    static let heights = 1...6
    static let usualSize = (width: 6, height: 2)
    /// Columns that are drawn as values.
    static let seriesCount = 1...16
    /// Bytes of a column's name, as PostgreSQL has them.
    static let longestColumn = 63

    var title: String?
    var kind: Kind
    var content: DashboardContent
    /// The column of the labels, or of the times; nil takes the first.
    var x: String?
    /// The columns of the values; nil takes all numbers.
    var y: [String]?
    var width: Int
    var height: Int

    /// Reports what is wrong to the reader.
    init(_ fields: JSONFields) {
        title = fields.text("title", atMost: DashboardDefinition.longestTitle)
        kind = fields.required("type", oneOf: Kind.self)
        content = DashboardContent(fields)
        x = fields.text("x", atMost: Self.longestColumn)
        y = fields.optional("y", [String].self)
        if let y, !Self.seriesCount.contains(y.count) || y.contains(where: { !Self.isColumn($0) }) {
            fields.fault("y", "must have 1 to \(Self.seriesCount.upperBound) names of columns")
        }
        width = fields.optional("width", Int.self) ?? Self.usualSize.width
        if !Self.widths.contains(width) { fields.fault("width", "must be 1 to \(Self.widths.upperBound)") }
        height = fields.optional("height", Int.self) ?? Self.usualSize.height
        if !Self.heights.contains(height) { fields.fault("height", "must be 1 to \(Self.heights.upperBound)") }
    }

    var json: JSONValue {
        .object(
            JSONObject(
                [("title", .optional(title)), ("type", .string(kind.rawValue))] + content.members + [
                    ("x", .optional(x)), ("y", y.map { .array($0.map { .string($0) }) } ?? .null),
                    ("width", .number(width)), ("height", .number(height)),
                ]))
    }

    private static func isColumn(_ name: String) -> Bool {
        (1...longestColumn).contains(name.utf8.count)
    }
}

/// Where a chart's rows come from.
enum DashboardContent: Sendable, Equatable {
    /// A statement as `/v1/query` takes it.
    case query(String)
    /// What an endpoint answers to these parameters.
    case endpoint(name: String, parameters: [String: String])
    /// A rollup's data over the time that leads up to now; the rest is as `/v1/rollups/{name}/data` takes it.
    case rollup(name: String, range: Duration, options: [String: String])

    static let parameterCount = 64
    static let longestParameter = 4096
    static let rangeLimit = Duration.seconds(10 * 366 * 86_400)
    static let usualRange = Duration.seconds(86_400)
    static let rollupOptions = [
        "grain", "group_by", "where", "order", "limit", "fill", "moving_average", "rate", "trend", "anomalies",
        "threshold",
    ]

    /// Reports to the reader unless there is exactly one, and it is well-formed.
    init(_ fields: JSONFields) {
        let query = fields.optional("query", String.self)
        let endpoint = fields.optionalObject("endpoint").map(Self.endpoint)
        let rollup = fields.optionalObject("rollup").map(Self.rollup)
        if let query, query.isEmpty || query.utf8.count > QueryGuard.maximumLength {
            fields.fault("query", "must have 1 to \(QueryGuard.maximumLength) bytes")
        }
        let all = [query.map { .query($0) }, endpoint, rollup].compactMap { $0 }
        if all.count != 1 { fields.fault("", "needs exactly one of query, endpoint and rollup") }
        self = all.first ?? .query("")
    }

    private static func endpoint(_ fields: JSONFields) -> DashboardContent {
        let values = fields.optionalObject("parameters")
        let names = values?.keys ?? []
        if names.count > parameterCount { fields.fault("parameters", "must have at most \(parameterCount)") }
        let pairs = names.prefix(parameterCount).map { ($0, values?.text($0, atMost: longestParameter) ?? "") }
        return .endpoint(name: name(fields), parameters: Dictionary(pairs) { $1 })
    }

    private static func rollup(_ fields: JSONFields) -> DashboardContent {
        let range = fields.optional("range", Duration.self) ?? usualRange
        if range <= .zero || range > rangeLimit { fields.fault("range", "must be 1ms to 3660d") }
        let options = rollupOptions.map { ($0, fields.text($0, atMost: longestParameter)) }
        return .rollup(
            name: name(fields), range: range,
            options: Dictionary(options.compactMap { name, text in text.map { (name, $0) } }) { $1 })
    }

    private static func name(_ fields: JSONFields) -> String {
        let name = fields.required("name", String.self)
        if fields.has("name"), ResourceName(name) == nil { fields.fault("name", "is no name") }
        return name
    }

    var members: [(String, JSONValue)] {
        switch self {
        case .query(let sql): return [("query", .string(sql))]
        case .endpoint(let name, let parameters):
            return [("endpoint", ["name": .string(name), "parameters": Self.object(parameters)])]
        case .rollup(let name, let range, let options):
            var object = JSONObject([
                ("name", .string(name)), ("range", .string(DurationText.format(range))),
            ])
            for option in Self.rollupOptions { object[option] = options[option].map { .string($0) } }
            return [("rollup", .object(object))]
        }
    }

    private static func object(_ values: [String: String]) -> JSONValue {
        .object(JSONObject(values.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) }))
    }
}
