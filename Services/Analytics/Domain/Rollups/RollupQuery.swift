import Expressions
import HTTP
import JSON
import Postgres
import Records

/// A question about a rollup's data, checked against its definition.
struct RollupQuery: Sendable {
    struct Order: Sendable {
        var name: String
        var isDescending: Bool
    }

    static let limits = 1...10_000
    static let usualLimit = 1000
    /// The most buckets that gaps are filled in, and the most rows that this makes: buckets times groups.
    static let longestFill = 10_000
    static let largestFill = 1_000_000

    var grain: RollupGrain
    /// In µs since 2000-01-01 UTC.
    var from: Int64?
    var to: Int64?
    /// Places of dimensions.
    var groups: [Int]
    var condition: SQLCondition?
    var order: [Order]
    var limit: Int
    var options: RollupOptions
    /// Only what an event says has changed.
    var event: Int64?

    /// How many buckets a series has at most where gaps are filled; 0 where they are not.
    var filledBuckets: Int {
        guard options.fill != nil, let from, let to, from < to else { return 0 }
        return Int((to - from) / 1_000_000) / grain.seconds + 2 + bucketsBefore
    }

    /// Buckets before `from` that a moving average takes in.
    var bucketsBefore: Int { from == nil ? 0 : (options.movingAverage ?? 1) - 1 }

    /// Everything that an event says has changed, in the rollup's own buckets and groups.
    init(changedBy event: Int64, of plan: RollupPlan) {
        self.event = event
        grain = plan.grain
        groups = Array(plan.dimensions.indices)
        order = []
        limit = RollupEventReader.maximumRows
        options = RollupOptions()
    }

    /// Reads the query of a request. Throws `invalid_parameter` with everything that is wrong, and
    /// `invalid_expression`.
    init(_ query: QueryFields, of plan: RollupPlan, _ definition: RollupDefinition) throws(Problem) {
        grain = query.value("grain", oneOf: RollupGrain.self) ?? plan.grain
        if !grain.merges(plan.grain) {
            query.fault("grain", "buckets of a \(plan.grain.rawValue) do not make up a \(grain.rawValue)")
        }
        from = Self.time("from", query)
        to = Self.time("to", query)
        let names = plan.dimensions.map(\.name)
        groups = Array(names.indices)
        if let asked = query.list("group_by") {
            for name in asked where !names.contains(name) {
                query.fault("group_by", "there is no dimension \"\(name)\"")
            }
            if Set(asked).count < asked.count { query.fault("group_by", "names a dimension twice") }
            groups = names.indices.filter { asked.contains(names[$0]) }
        }
        limit = query.int("limit", in: Self.limits) ?? Self.usualLimit
        options = Self.options(query)
        let text = query.string("where")
        if text?.utf8.contains(0) ?? false { query.fault("where", "must not contain U+0000") }
        let shown = ["time"] + groups.map { names[$0] } + definition.measures.map(\.name)
        order = Self.order(query, shown)
        if options.fill != nil { Self.checkFill(from, to, grain, query) }
        try query.finish()
        if let text { condition = try Self.condition(text, plan.dimensions) }
    }

    private static func time(_ name: String, _ query: QueryFields) -> Int64? {
        guard let text = query.string(name) else { return nil }
        guard let time = TextInput.rfc3339(text.utf8.span) else {
            query.fault(name, "expected a time as 2026-01-01T00:00:00Z")
            return nil
        }
        return time
    }

    private static func options(_ query: QueryFields) -> RollupOptions {
        var options = RollupOptions()
        options.fill = query.value("fill", oneOf: RollupOptions.Fill.self)
        options.movingAverage = query.int("moving_average", in: 2...RollupOptions.longestAverage)
        options.rate = query.bool("rate") ?? false
        options.trend = query.bool("trend") ?? false
        options.anomalies = query.value("anomalies", oneOf: RollupOptions.Anomalies.self)
        if let text = query.string("threshold") {
            if let value = Double(text), value > 0, value.isFinite {
                options.threshold = value
            } else {
                query.fault("threshold", "expected a number above 0")
            }
        }
        return options
    }

    private static func order(_ query: QueryFields, _ shown: [String]) -> [Order] {
        (query.list("order") ?? []).compactMap { item in
            let isDescending = item.hasSuffix(".desc")
            let name = String(isDescending ? item.dropLast(5) : item.hasSuffix(".asc") ? item.dropLast(4) : item[...])
            if shown.contains(name) { return Order(name: name, isDescending: isDescending) }
            query.fault("order", "there is no \"\(name)\" in the answer")
            return nil
        }
    }

    private static func checkFill(_ from: Int64?, _ to: Int64?, _ grain: RollupGrain, _ query: QueryFields) {
        guard let from, let to else {
            return query.fault("fill", "needs from and to, between which gaps are filled")
        }
        let (length, overflows) = to.subtractingReportingOverflow(from)
        if overflows || length / 1_000_000 / Int64(grain.seconds) > longestFill {
            query.fault("fill", "has more than \(longestFill) buckets between from and to")
        }
    }

    private static func condition(_ text: String, _ dimensions: [RollupPlan.Dimension]) throws(Problem) -> SQLCondition
    {
        do {
            let schema = ExpressionSchema(
                dimensions.compactMap { dimension in
                    ColumnType(rawValue: dimension.type).map { (dimension.name, .typed($0)) }
                },
                collations: Dictionary(
                    dimensions.compactMap { dimension in dimension.collation.map { (dimension.name, $0) } }
                ) { $1 })
            return try SQLCondition(text, schema: schema, purpose: "WHERE")
        } catch {
            throw Problem(
                .invalidExpression, "where: \(error.message)", extensions: [("position", .number(error.position))])
        }
    }
}
