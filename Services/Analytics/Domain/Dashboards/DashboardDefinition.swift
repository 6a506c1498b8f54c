import Catalog
import JSON

/// A dashboard as it is put: charts, in the order they are laid out in.
struct DashboardDefinition: Sendable, Equatable {
    static let longestTitle = 200
    static let longestDescription = 2000
    static let chartCount = 0...48
    /// How often a page asks again.
    static let refreshRange = Duration.seconds(5)...Duration.seconds(86_400)

    var title: String?
    var description: String?
    /// How often the charts are drawn anew; nil when somebody asks.
    var refresh: Duration?
    var charts: [DashboardChart]

    /// Reads a PUT's body. Throws every fault with its path.
    init(_ fields: JSONFields) throws(FieldFaults) {
        title = fields.text("title", atMost: Self.longestTitle)
        description = fields.text("description", atMost: Self.longestDescription)
        refresh = fields.optional("refresh", Duration.self)
        if let refresh, !Self.refreshRange.contains(refresh) {
            fields.fault("refresh", "must be 5s to 1d")
        }
        charts = fields.objects("charts").map(DashboardChart.init)
        if !Self.chartCount.contains(charts.count) {
            fields.fault("charts", "must have at most \(Self.chartCount.upperBound)")
        }
        try fields.finish()
    }

    /// Reads what `json` has written.
    init(stored: [UInt8]) throws {
        try self.init(JSONFields(JSONValue.parse(stored)))
    }

    /// With everything that was left out.
    var members: [(String, JSONValue)] {
        [
            ("title", .optional(title)), ("description", .optional(description)),
            ("refresh", refresh.map { .string(DurationText.format($0)) } ?? .null),
            ("charts", .array(charts.map(\.json))),
        ]
    }

    var json: JSONValue { .object(JSONObject(members)) }
}

extension JSONFields {
    /// A text of at most so many bytes, or nil.
    func text(_ name: String, atMost limit: Int) -> String? {
        let text = optional(name, String.self)
        if let text, text.utf8.count > limit { fault(name, "must have at most \(limit) bytes") }
        return text
    }
}
