import Expressions
import Records

extension Compilation {
    mutating func deletion(_ target: PipelineDefinition.Target, at place: String) -> CompiledExpression? {
        target.deleteWhen.flatMap { condition($0, at: place, purpose: "DELETE WHEN") }
    }

    mutating func compile(route branches: [StepDefinition.Branch]) -> any PipelineStep {
        var conditions: [CompiledExpression] = []
        for (number, branch) in branches.enumerated() {
            if let condition = condition(branch.condition, at: "[\(number)].when", purpose: "ROUTE") {
                conditions.append(condition)
            }
            routedDeletions.append(deletion(branch.target, at: "[\(number)].delete_when"))
        }
        return RouteStep(conditions: conditions)
    }

    /// Checks the dataset's columns; what is joined has their types.
    mutating func compile(_ lookup: StepDefinition.Lookup) -> (any PipelineStep)? {
        let place = path
        defer { path = place }
        guard let known = lookups.datasets[lookup.dataset] else {
            fault("dataset", "dataset \"\(lookup.dataset)\" does not exist")
            // Later steps may still name what it would have joined.
            for (_, column) in lookup.columns { schema[column] = .untyped }
            return nil
        }
        path = "\(place).on"
        var keys: [LookupStep.Key] = []
        for (column, source) in lookup.keys where checkKnown(column, at: column) {
            guard let type = check(source, in: lookup.dataset, known, at: column) else { continue }
            if case .typed(let own)? = schema[column], !Self.canCompare(own, with: type) {
                fault(
                    column,
                    "type \(own.displayName) is not compared with \(type.displayName): cast \"\(column)\" before")
            }
            keys.append(LookupStep.Key(column: column, source: source, type: type))
        }
        path = "\(place).columns"
        var columns: [LookupStep.Joined] = []
        for (source, column) in lookup.columns where checkName(column, at: source) {
            let type = check(source, in: lookup.dataset, known, at: source)
            schema[column] = type.map { .typed($0) } ?? .untyped
            if let type { columns.append(LookupStep.Joined(source: source, column: column, type: type)) }
        }
        if Set(lookup.columns.map(\.column)).count < lookup.columns.count { fault("", "names a column twice") }
        guard !keys.isEmpty else { return nil }
        return LookupStep(dataset: lookup.dataset, keys: keys, columns: columns, missing: lookup.missing)
    }

    private mutating func check(
        _ column: String, in dataset: String, _ known: [String: ColumnType], at place: String
    ) -> ColumnType? {
        if let type = known[column] { return type }
        fault(place, "dataset \"\(dataset)\" has no column \"\(column)\"")
        return nil
    }

    /// Whether each value of a type is one of the other, so that no two become equal that are not. Text is read.
    private static func canCompare(_ own: ColumnType, with type: ColumnType) -> Bool {
        own == type || own == .text || own == .int8 && type == .numeric
    }
}
