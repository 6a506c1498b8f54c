import Expressions
import Postgres

/// A question about a rollup as one statement, whose columns are text: `time`, the dimensions, the measures, and what
/// options add to them. All names are quoted or the platform's own, all values bound.
struct RollupStatement {
    private let rollup: StoredRollup
    private let plan: RollupPlan
    private let definition: RollupDefinition
    let query: RollupQuery
    private var parameters: [PostgresValue] = []

    init(_ rollup: StoredRollup, _ plan: RollupPlan, _ definition: RollupDefinition, _ query: RollupQuery) {
        self.rollup = rollup
        self.plan = plan
        self.definition = definition
        self.query = query
    }

    /// One column of an answer.
    private struct Shown {
        var name: String
        var sql: String
        var shape: ValueShape
        var isMeasure = false
        /// A number, so that options apply.
        var isNumber = false
        var type: String
    }

    /// The statement, which gives one row more than the limit where there are more; and the answer's columns.
    mutating func build(generation: Int32) -> (PostgresQuery, [ResultColumn]) {
        let isMerged = query.grain != plan.grain || query.groups.count < plan.dimensions.count
        let measures = definition.measures.map { shown($0) }
        let dimensions = query.groups.map { place in
            let dimension = plan.dimensions[place]
            return Shown(
                name: dimension.name, sql: "d\(place + 1)", shape: Self.shape(dimension.type), type: dimension.type)
        }
        let time = Shown(name: "time", sql: "bucket", shape: .timestamptz, type: "timestamptz")
        let base = source(generation, isMerged: isMerged)
        let all = [time] + dimensions + measures
        var sql = "select " + all.map { "\($0.sql) as \(Self.quoted($0.name))" }.joined(separator: ", ")
        sql += " from (\(base)) f"
        let columns: [Shown]
        (sql, columns) = query.options.isPlain ? (sql, all) : series(sql, dimensions, measures)
        let limited =
            "select \(columns.map { Self.quoted($0.name) }.joined(separator: ", ")) from (\(sql)) a order by "
            + ordering(dimensions) + " limit \(query.limit + 1)"
        let texts = columns.map { "\(Self.quoted($0.name))::text" }.joined(separator: ", ")
        return (
            PostgresQuery(unsafeText: "select \(texts) from (\(limited)) t", parameters),
            columns.map { ResultColumn(name: $0.name, type: $0.type, shape: $0.shape) }
        )
    }

    private func ordering(_ dimensions: [Shown]) -> String {
        let asked = query.order.map { Self.quoted($0.name) + ($0.isDescending ? " desc nulls last" : "") }
        let rest = (["time"] + dimensions.map(\.name)).filter { name in !query.order.contains { $0.name == name } }
        return (asked + rest.map(Self.quoted)).joined(separator: ", ")
    }

    // MARK: The facts

    private var groupTable: String { "rollups.groups_\(rollup.id)_\(rollup.version)" }

    /// The condition on facts `f`; with the buckets before `from`, or without them.
    private mutating func filter(withBefore: Bool) -> String {
        var conditions: [String] = []
        if let from = query.from {
            conditions.append("f.bucket >= \(bucket(from))\(withBefore ? before : "")")
        }
        if let to = query.to {
            conditions.append("f.bucket < \(bucket(to - 1)) + '\(query.grain.interval)'::interval")
        }
        if let condition = query.condition {
            let text = condition.text(firstParameter: parameters.count + 1)
            parameters += condition.literals.map { .inferred($0) }
            let names = plan.dimensions.enumerated().map { ", d\($0 + 1) as \(Self.quoted($1.name))" }.joined()
            // No column's name begins with "_".
            let known = "select id as _id\(names) from \(groupTable)"
            conditions.append("f.grp in (select _id from (\(known)) g where \(text))")
        }
        return conditions.isEmpty ? "" : " where " + conditions.joined(separator: " and ")
    }

    /// The bucket that a time, in µs since 2000-01-01 UTC, lies in.
    private mutating func bucket(_ time: Int64) -> String {
        parameters.append(.timestamp(microsSince2000: time))
        return "millrace.bucket('\(query.grain.rawValue)', $\(parameters.count))"
    }

    /// From `from` to the first bucket that a moving average takes in.
    private var before: String {
        let count = query.bucketsBefore
        return count == 0 ? "" : " - '\(query.grain.interval)'::interval * \(count)"
    }

    /// Facts `f`, with the dimensions that are asked for.
    private mutating func relation(_ generation: Int32) -> String {
        let facts = facts(generation)
        return query.groups.isEmpty ? "\(facts) f" : "\(facts) f join \(groupTable) g on g.id = f.grp"
    }

    /// Rows `bucket, d1, …, n, s1, …`, merged to what is asked for.
    private mutating func source(_ generation: Int32, isMerged: Bool) -> String {
        let filter = filter(withBefore: true)
        let from = relation(generation)
        let dimensions = query.groups.map { ", d\($0 + 1)" }.joined()
        guard isMerged else {
            let states = plan.states.indices.map { ", s\($0 + 1)" }.joined()
            return "select f.bucket\(dimensions), n\(states) from \(from)\(filter)"
        }
        let at = "millrace.bucket('\(query.grain.rawValue)', f.bucket)"
        let inner = "select f.*, \(at) as at\(dimensions)\(means(at, dimensions)) from \(from)\(filter)"
        return "select at as bucket\(dimensions), sum(n)::int8 as n\(merged) from (\(inner)) x group by at\(dimensions)"
    }

    /// Two statements that count groups: all that there have ever been, up to one more than `most`, which costs little;
    /// and those that rows are asked for of.
    func groupCounts(generation: Int32, most: Int) -> (bound: PostgresQuery, exact: PostgresQuery) {
        var counting = self
        counting.parameters = []
        let filter = counting.filter(withBefore: false)
        let relation = counting.relation(generation)
        let names = query.groups.map { "d\($0 + 1)" }.joined(separator: ", ")
        let key = query.groups.count == plan.dimensions.count ? "f.grp" : names
        return (
            PostgresQuery(
                unsafeText: "select count(*) from (select from \(groupTable) limit $1) x", [.int8(Int64(most) + 1)]),
            PostgresQuery(
                unsafeText: "select count(*) from (select distinct \(key) from \(relation)\(filter)) x",
                counting.parameters)
        )
    }

    /// The table of the facts, or those of it that an event says have changed.
    private mutating func facts(_ generation: Int32) -> String {
        let table = "rollups.facts_\(rollup.id)_\(generation)"
        guard let event = query.event else { return table }
        parameters += [.int8(rollup.id), .int8(event)]
        return """
            (with e as materialized (select e.* from millrace.rollup_event e where e.rollup_id = $1 and e.id = $2)
            select f.* from e, unnest(e.buckets, e.groups) c (bucket, grp) join \(table) f using (bucket, grp)
            where bucket <> all(coalesce(e.replaced, '{}'))
            union all select f.* from e, unnest(e.replaced) c (bucket) join \(table) f using (bucket))
            """
    }

    /// The buckets of which an event says that there are no other rows than those it gives.
    var replaced: PostgresQuery {
        PostgresQuery(
            unsafeText: """
                select b::text from millrace.rollup_event e, unnest(e.replaced) b
                where e.rollup_id = $1 and e.id = $2 order by b
                """, [.int8(rollup.id), .int8(query.event ?? 0)])
    }

    /// The mean of all that is merged, beside each row, for sums of squared differences.
    private func means(_ at: String, _ dimensions: String) -> String {
        plan.states.enumerated().map { place, state in
            guard state.kind == .m2, let count = state.count, let sum = state.sum else { return "" }
            let window = "over (partition by \(at)\(dimensions))"
            return ", sum(s\(sum)) \(window) / nullif(sum(s\(count)) \(window), 0)::float8 as a\(place + 1)"
        }.joined()
    }

    private var merged: String {
        plan.states.enumerated().map { place, state in
            let name = "s\(place + 1)"
            let sql =
                switch state.kind {
                case .count: "sum(\(name))::int8"
                case .sum, .sumsq: "sum(\(name))"
                case .min: "min(\(name))"
                case .max: "max(\(name))"
                case .sketch: "millrace.sketch_sum(\(name))"
                case .m2: mergedSquares(state, place + 1)
                }
            return ", \(sql) as \(name)"
        }.joined()
    }

    private func mergedSquares(_ state: RollupPlan.State, _ place: Int) -> String {
        let (count, sum) = ("s\(state.count ?? 0)", "s\(state.sum ?? 0)")
        let distance = "(\(sum) / nullif(\(count), 0) - a\(place))"
        return "sum(s\(place)) + coalesce(sum(\(count) * \(distance) * \(distance)), 0)"
    }

    // MARK: Measures

    private func shown(_ named: RollupDefinition.NamedMeasure) -> Shown {
        let measure = named.measure
        func state(_ kind: RollupPlan.State.Kind) -> String {
            "s\(measure.column.flatMap { plan.place(kind, of: $0) } ?? 0)"
        }
        let type = plan.states.first { $0.column == measure.column }?.type ?? "int8"
        let number = type == "float8" ? "float8" : "numeric"
        let (count, sum) = (state(.count), state(.sum))
        let (sql, shape): (String, String) =
            switch measure.function {
            case .count: (measure.column == nil ? "n" : count, "int8")
            case .sum: (sum, number)
            case .min: (state(.min), type)
            case .max: (state(.max), type)
            case .avg: ("\(sum) / nullif(\(count), 0)", number)
            case .stddev where type == "float8":
                ("case when \(count) > 1 then sqrt(\(state(.m2)) / (\(count) - 1)) end", number)
            case .stddev:
                (
                    "case when \(count) > 1 then sqrt(greatest((\(state(.sumsq)) - \(sum) * \(sum) / \(count)) "
                        + "/ (\(count) - 1), 0)) end", number
                )
            case .quantile: ("millrace.sketch_quantile(\(state(.sketch)), \(measure.fraction ?? 0))", "float8")
            }
        return Shown(
            name: named.name, sql: sql, shape: Self.shape(shape), isMeasure: true,
            isNumber: ["int8", "numeric", "float8"].contains(shape), type: shape)
    }

    private static func shape(_ type: String) -> ValueShape {
        switch type {
        case "int8": .wideInteger
        case "numeric": .numeric
        case "float8": .float
        case "bool": .bool
        case "timestamptz": .timestamptz
        default: .text
        }
    }

    private static func quoted(_ name: String) -> String { PostgresQuery.quoted(identifier: name) }
}

// MARK: - Series

extension RollupStatement {
    /// Adds what the options ask for to rows; `time` and the dimensions tell them apart.
    private mutating func series(
        _ rows: String, _ dimensions: [Shown], _ measures: [Shown]
    ) -> (String, [Shown]) {
        let groups = dimensions.map { Self.quoted($0.name) }
        let partition = groups.isEmpty ? "" : "partition by \(groups.joined(separator: ", ")) "
        // What comes before is for moving averages alone: all else is about the buckets that are asked for.
        var first: String?
        if let from = query.from, query.bucketsBefore > 0 { first = bucket(from) }
        var rows = rows
        if let fill = query.options.fill { rows = filled(rows, fill, groups, first, measures) }
        if let count = query.options.movingAverage {
            rows = averaged(rows, over: count, partition, measures.filter(\.isNumber))
            if let first { rows = "select * from (\(rows)) v where time >= \(first)" }
        }
        var columns = [Shown(name: "time", sql: "", shape: .timestamptz, type: "timestamptz")] + dimensions
        var added: [String] = []
        for measure in measures {
            columns.append(measure)
            guard measure.isNumber else { continue }
            if query.options.movingAverage != nil {
                columns.append(
                    Shown(name: "\(measure.name).moving_average", sql: "", shape: .float, type: "float8"))
            }
            for (name, sql, type) in derived(Self.quoted(measure.name), partition) {
                columns.append(
                    Shown(name: "\(measure.name).\(name)", sql: "", shape: Self.shape(type), type: type))
                added.append(", \(sql) as \(Self.quoted("\(measure.name).\(name)"))")
            }
        }
        return ("select r.*\(added.joined()) from (\(rows)) r", columns)
    }

    /// Adds to each row the means over so many buckets of time up to its own, of those that have a value.
    private func averaged(_ rows: String, over count: Int, _ partition: String, _ measures: [Shown]) -> String {
        let span = "'\(query.grain.interval)'::interval * \(count - 1)"
        let window = "over (\(partition)order by time range between \(span) preceding and current row)"
        let means = measures.map {
            ", avg(\(Self.quoted($0.name))::float8) \(window) as \(Self.quoted("\($0.name).moving_average"))"
        }
        return "select e.*\(means.joined()) from (\(rows)) e"
    }

    /// What else the options make of a measure: name, expression, type.
    private func derived(_ measure: String, _ partition: String) -> [(String, String, String)] {
        let options = query.options
        let value = "\(measure)::float8"
        let seconds = "extract(epoch from time)::float8"
        let (all, running) = ("over (\(partition))", "over (\(partition)order by time")
        var derived: [(String, String, String)] = []
        if options.rate {
            let before = "lag(\(value)) \(running))"
            let rate = "(\(value) - \(before)) / (\(seconds) - lag(\(seconds)) \(running)))"
            derived.append(("rate", rate, "float8"))
        }
        if options.trend {
            // Of seconds since 1970 the squares would lose digits: these are whole and count from near the buckets.
            let origin = (query.from ?? query.to).map { $0 / 1_000_000 } ?? 20 * 365 * 86400
            let x = "(extract(epoch from time - timestamptz '2000-01-01 00:00:00+00')::float8 - \(origin))"
            derived.append(("slope", "regr_slope(\(value), \(x)) \(all)", "float8"))
            derived.append(
                (
                    "trend",
                    "avg(\(value)) \(all) + regr_slope(\(value), \(x)) \(all) "
                        + "* (\(x) - regr_avgx(\(value), \(x)) \(all))", "float8"
                ))
        }
        if options.anomalies != nil {
            // Of equal values the deviation is what their rounding makes it.
            let score =
                "case when min(\(value)) \(all) < max(\(value)) \(all) "
                + "then (\(value) - avg(\(value)) \(all)) / nullif(stddev_pop(\(value)) \(all), 0) end"
            derived.append(("zscore", score, "float8"))
            derived.append(("anomaly", "coalesce(abs(\(score)) >= \(options.threshold), false)", "bool"))
        }
        return derived
    }

    /// A row for every bucket from `from` up to `to`, of each group that has any there; and for those before, where
    /// there are, which are filled by themselves: what a bucket has does not depend on the other options.
    private mutating func filled(
        _ rows: String, _ fill: RollupOptions.Fill, _ groups: [String], _ first: String?, _ measures: [Shown]
    ) -> String {
        let (begin, last) = (bucket(query.from ?? 0), bucket((query.to ?? 0) - 1))
        let times = """
            select generate_series(\(begin)\(before), \(last), '\(query.grain.interval)'::interval) as time
            """
        let keys = groups + (first.map { ["(time >= \($0))"] } ?? [])
        let partition = keys.isEmpty ? "" : "partition by \(keys.joined(separator: ", ")) "
        let within = first.map { " where time >= \($0)" } ?? ""
        let series = groups.isEmpty ? "select time" : "select distinct time, \(groups.joined(separator: ", "))"
        let others = groups.isEmpty ? "" : ", (select distinct \(groups.joined(separator: ", ")) from b\(within)) g"
        let same = (["time"] + groups).map { "s.\($0) is not distinct from b.\($0)" }.joined(separator: " and ")
        let names = measures.map { Self.quoted($0.name) }
        let joined = """
            with b as materialized (\(rows)), s as (\(series) from (\(times)) t\(others))
            select \((["time"] + groups).map { "s.\($0)" }.joined(separator: ", ")),
                \(names.map { "b.\($0)" }.joined(separator: ", ")) from s left join b on s.time = b.time and \(same)
            """
        guard fill != .null else { return joined }
        let values = measures.map { measure -> String in
            let name = Self.quoted(measure.name)
            guard measure.isNumber else { return name }
            return "\(value(of: name, fill, partition)) as \(name)"
        }
        let counts = names.enumerated().map { place, name in
            """
            , count(\(name)) over (\(partition)order by time) as _k\(place),
            count(\(name)) over (\(partition)order by time desc) as _r\(place)
            """
        }.joined()
        let inner = "select *\(counts) from (\(joined)) j"
        let numbered = Dictionary(names.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
        let all = zip(names, values).map { name, sql in
            sql.replacing("$k$", with: "_k\(numbered[name] ?? 0)").replacing("$r$", with: "_r\(numbered[name] ?? 0)")
        }
        return "select \((["time"] + groups + all).joined(separator: ", ")) from (\(inner)) i"
    }

    /// `$k$` and `$r$` stand for the numbers of values up to a row, and from it on.
    private func value(of name: String, _ fill: RollupOptions.Fill, _ partition: String) -> String {
        let before =
            partition.isEmpty
            ? "over (partition by $k$ order by time)"
            : "over (\(partition.dropLast()), $k$ order by time)"
        let after =
            partition.isEmpty
            ? "over (partition by $r$ order by time desc)"
            : "over (\(partition.dropLast()), $r$ order by time desc)"
        let previous = "first_value(\(name)) \(before)"
        switch fill {
        case .null: return name
        case .zero: return "coalesce(\(name), 0)"
        case .previous: return "coalesce(\(name), \(previous))"
        case .linear:
            let next = "first_value(\(name)) \(after)"
            let passed = "extract(epoch from time - first_value(time) \(before))::float8"
            let whole = "extract(epoch from first_value(time) \(after) - first_value(time) \(before))::float8"
            return """
                coalesce(\(name)::float8, case when $k$ > 0 and $r$ > 0 then \(previous)::float8
                    + (\(next)::float8 - \(previous)::float8) * \(passed) / nullif(\(whole), 0) end)
                """
        }
    }
}
