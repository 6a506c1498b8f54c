import JSON
import Postgres
import Records

/// What a rollup keeps: its definition against the columns of its dataset.
struct RollupPlan: Sendable, Equatable {
    struct Dimension: Sendable, Equatable {
        var name: String
        var type: String
        var collation: String?
    }

    /// What is kept of a column's values; any two can be merged.
    struct State: Sendable, Equatable {
        enum Kind: String, Sendable {
            case count, sum, min, max
            /// The sum of squares, of exact types.
            case sumsq
            /// The sum of squared differences from the mean, of float8.
            case m2
            /// A DDSketch.
            case sketch
        }

        var kind: Kind
        var column: String
        var type: String
        var collation: String?
        /// Places of the states, from 1, with which an `m2` is merged.
        var count: Int?
        var sum: Int?
    }

    var datasetID: Int64
    var timeColumn: String
    var timeType: String
    var grain: RollupGrain
    var dimensions: [Dimension]
    var states: [State]

    /// Throws every fault with its path.
    init(_ definition: RollupDefinition, columns: [RollupColumn], datasetID: Int64) throws(FieldFaults) {
        var faults: [FieldFault] = []
        func fault(_ path: String, _ message: String) {
            faults.append(FieldFault(path: path, message: message))
        }
        let known = Dictionary(columns.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        self.datasetID = datasetID
        timeColumn = definition.timeColumn
        grain = definition.grain
        timeType = known[timeColumn]?.type ?? ""
        if known[timeColumn] == nil {
            fault("time.column", Self.missing(timeColumn, definition))
        } else if timeType == "date" {
            if grain.seconds < 86_400 { fault("time.grain", "must be day or longer for a date") }
        } else if timeType != "timestamptz" {
            fault("time.column", "is \(timeType); must be timestamptz or date")
        }
        dimensions = []
        for (place, name) in definition.dimensions.enumerated() {
            guard let column = known[name] else {
                fault("dimensions[\(place)]", Self.missing(name, definition))
                continue
            }
            if column.type == "jsonb" { fault("dimensions[\(place)]", "is jsonb, which has no groups") }
            dimensions.append(Dimension(name: name, type: column.type, collation: Self.collation(column)))
        }
        states = []
        for measure in definition.measures {
            guard let name = measure.measure.column else { continue }
            let path = "measures.\(measure.name)"
            guard let column = known[name] else {
                fault(path, Self.missing(name, definition))
                continue
            }
            if let reason = Self.reason(measure.measure.function, column.type) {
                fault(path, reason)
            } else {
                _ = keep(measure.measure, column)
            }
        }
        if !faults.isEmpty { throw FieldFaults(faults) }
    }

    private static func missing(_ name: String, _ definition: RollupDefinition) -> String {
        "there is no column \"\(name)\" in the dataset \(definition.dataset)"
    }

    private static func collation(_ column: RollupColumn) -> String? {
        column.type == "text" ? column.collation ?? "C" : nil
    }

    private static func reason(_ function: RollupMeasure.Function, _ type: String) -> String? {
        let numbers = ["int8", "float8", "numeric"]
        return switch function {
        case .count: nil
        case .min, .max:
            (numbers + ["text", "timestamptz", "date"]).contains(type) ? nil : "\(type) has no \(function.rawValue)"
        default: numbers.contains(type) ? nil : "is \(function.rawValue) of \(type); must be of a number"
        }
    }

    private mutating func keep(_ measure: RollupMeasure, _ column: RollupColumn) -> Int {
        switch measure.function {
        case .count: return place(.count, column)
        case .sum: return place(.sum, column)
        case .min: return place(.min, column)
        case .max: return place(.max, column)
        case .quantile: return place(.sketch, column)
        case .avg, .stddev:
            let (count, sum) = (place(.count, column), place(.sum, column))
            guard measure.function == .stddev else { return sum }
            let square = place(column.type == "float8" ? .m2 : .sumsq, column)
            states[square - 1].count = count
            states[square - 1].sum = sum
            return square
        }
    }

    private mutating func place(_ kind: State.Kind, _ column: RollupColumn) -> Int {
        if let found = place(kind, of: column.name) { return found }
        states.append(
            State(kind: kind, column: column.name, type: column.type, collation: Self.collation(column)))
        return states.count
    }

    /// Where a state is, from 1.
    func place(_ kind: State.Kind, of column: String) -> Int? {
        states.firstIndex { $0.kind == kind && $0.column == column }.map { $0 + 1 }
    }

    /// Of `StoredRollup.written`.
    var values: [PostgresValue] {
        [
            .int8(datasetID), .text(timeColumn), .text(timeType), .text(grain.rawValue),
            .json(JSONValue.array(dimensions.map(\.json)).serialized()),
            .json(JSONValue.array(states.map(\.json)).serialized()),
        ]
    }

    /// Reads what `values` have written.
    init(_ stored: StoredRollup, _ definition: RollupDefinition) throws {
        datasetID = 0
        timeColumn = definition.timeColumn
        timeType = ""
        grain = definition.grain
        dimensions =
            try JSONValue.parse(stored.dimensions).array?.map { value in
                Dimension(
                    name: value["name"]?.string ?? "", type: value["type"]?.string ?? "",
                    collation: value["collation"]?.string)
            } ?? []
        states =
            try JSONValue.parse(stored.states).array?.map { value in
                State(
                    kind: State.Kind(rawValue: value["kind"]?.string ?? "") ?? .count,
                    column: value["column"]?.string ?? "", type: value["type"]?.string ?? "",
                    collation: value["collation"]?.string, count: value["count"]?.int, sum: value["sum"]?.int)
            } ?? []
    }
}

extension RollupPlan.Dimension {
    fileprivate var json: JSONValue {
        ["name": .string(name), "type": .string(type), "collation": .optional(collation)]
    }
}

extension RollupPlan.State {
    fileprivate var json: JSONValue {
        [
            "kind": .string(kind.rawValue), "column": .string(column), "type": .string(type),
            "collation": .optional(collation), "count": .optional(count), "sum": .optional(sum),
        ]
    }
}
