import Expressions
import JSON
import Records

extension Compilation {
    mutating func compile(casts: [(column: String, type: ColumnType)]) -> any PipelineStep {
        var checked: [(column: String, type: ColumnType)] = []
        for cast in casts where checkKnown(cast.column, at: cast.column) && checkName(cast.column, at: cast.column) {
            if case .typed(let type)? = schema[cast.column], !Column.canCast(from: type, to: cast.type) {
                fault(cast.column, "cannot cast type \(type.displayName) to \(cast.type.displayName)")
            }
            schema[cast.column] = .typed(cast.type)
            checked.append(cast)
        }
        return CastStep(casts: checked)
    }

    mutating func compile(derivations: [(column: String, expression: String)]) -> any PipelineStep {
        var compiled: [DeriveStep.Derivation] = []
        for (column, text) in derivations where checkName(column, at: column) {
            guard let expression = expression(text, at: column) else {
                // What it would have been is not known; later steps may still name it.
                schema[column] = .untyped
                continue
            }
            schema[column] = expression.resultType
            compiled.append(DeriveStep.Derivation(column: column, expression: expression))
        }
        return DeriveStep(derivations: compiled)
    }

    mutating func compile(
        expectations: [(name: String, condition: String)], _ limit: FailureLimit?
    ) -> any PipelineStep {
        let compiled = expectations.compactMap { name, text in
            condition(text, at: name, purpose: "expect").map { ExpectStep.Expectation(name: name, condition: $0) }
        }
        return ExpectStep(expectations: compiled, limit: limit)
    }

    mutating func compile(select names: [String]) -> any PipelineStep {
        let known = schema
        for (number, name) in names.enumerated() {
            _ = checkName(name, at: "[\(number)]") && checkKnown(name, at: "[\(number)]")
        }
        reset(isOpen: false)
        for name in names { schema[name] = known[name] ?? .untyped }
        return SelectStep(names: names)
    }

    mutating func compile(renames: [(from: String, to: String)]) -> any PipelineStep {
        let sources = Set(renames.map(\.from))
        if Set(renames.map(\.to)).count < renames.count { fault("", "two columns would have one name") }
        let known = schema
        for (from, to) in renames where checkKnown(from, at: from) && checkName(to, at: from) {
            if known[to] != nil, !sources.contains(to) { fault(from, "there is a column \"\(to)\" already") }
        }
        for (from, _) in renames { schema[from] = nil }
        for (from, to) in renames { schema[to] = known[from] ?? .untyped }
        return RenameStep(renames: renames)
    }

    mutating func compile(drop names: [String]) -> any PipelineStep {
        for (number, name) in names.enumerated() {
            _ = checkKnown(name, at: "[\(number)]")
            schema[name] = nil
        }
        return DropStep(names: Set(names))
    }

    mutating func compile(fills: [(column: String, value: JSONValue)]) -> any PipelineStep {
        var compiled: [FillStep.Filling] = []
        for (column, value) in fills where checkKnown(column, at: column) && checkName(column, at: column) {
            guard let literal = FillStep.literal(value) else {
                fault(column, "a value to fill in is a string, a number or a boolean")
                continue
            }
            if case .typed(let type)? = schema[column],
                let wrong = literal.cast(to: type, rows: [0], name: column).faults.first
            {
                fault(column, wrong.message)
                continue
            }
            compiled.append(FillStep.Filling(column: column, literal: literal))
        }
        return FillStep(fillings: compiled)
    }

    mutating func compile(masks: [(column: String, masking: StepDefinition.Masking)]) -> any PipelineStep {
        for (column, _) in masks where checkKnown(column, at: column) && checkName(column, at: column) {
            schema[column] = .typed(.text)
        }
        return MaskStep(masks: masks, digest: KeyedDigest(key: salt))
    }

    mutating func compile(flatten names: [String]) -> any PipelineStep {
        for (number, name) in names.enumerated() {
            guard checkKnown(name, at: "[\(number)]") else { continue }
            if let kind = schema[name], kind != .untyped, kind != .typed(.jsonb), kind != .typed(.text) {
                fault("[\(number)]", "column \"\(name)\" holds no objects")
            }
            schema[name] = nil
        }
        // Which fields the objects have is not known, as with the records themselves.
        schema.isOpen = true
        return FlattenStep(names: names)
    }

    mutating func compile(_ explode: StepDefinition.Explode) -> any PipelineStep {
        let step = ExplodeStep(
            column: explode.column, position: explode.position, skipsEmpty: explode.empty == .filter)
        let place = explode.isNameAlone ? "" : "column"
        if checkKnown(explode.column, at: place), checkName(explode.column, at: place),
            case .typed(let type)? = schema[explode.column], type != .jsonb, type != .text
        {
            fault(place, "column \"\(explode.column)\" holds no arrays")
        }
        schema[explode.column] = .untyped
        if let position = explode.position, checkName(position, at: "position") {
            if position == explode.column { fault("position", "is the array's column") }
            schema[position] = .typed(.int8)
        }
        return step
    }

    mutating func compile(dedupe columns: [String], _ keep: StepDefinition.Keep) -> any PipelineStep {
        _ = checkList(columns, in: "by") { $0.checkKnown($1, at: $2) }
        return DedupeStep(columns: columns, keep: keep)
    }

    mutating func compile(_ outliers: StepDefinition.Outliers) -> any PipelineStep {
        if checkKnown(outliers.column, at: "column") {
            switch schema[outliers.column] {
            case .typed(.int8), .typed(.float8), .typed(.numeric): break
            default:
                fault("column", "column \"\(outliers.column)\" is not known to hold numbers: cast it first")
            }
        }
        _ = checkList(outliers.by, in: "by") { $0.checkKnown($1, at: $2) }
        return OutliersStep(
            column: outliers.column, method: outliers.method, threshold: outliers.threshold,
            action: outliers.action, groupColumns: outliers.by)
    }
}
