public import JSON
import Records

extension PipelineDefinition {
    /// Reads the body of a PUT.
    ///
    /// - Throws: everything that is wrong, each with its path, as `steps[2].cast.status`.
    public static func decode(_ value: JSONValue) throws(FieldFaults) -> PipelineDefinition {
        let fields = JSONFields(value)
        let source = decodeSource(fields)
        let items = fields.optionalObjects("steps") ?? []
        if items.count > maximumSteps { fields.fault("steps", "more than \(maximumSteps) steps") }
        let steps = items.compactMap(StepDefinition.decode)
        let decoded = PipelineDefinition(
            source: source, steps: steps, target: Target.decode(fields.object("target")),
            onError: fields.optional("on_error", oneOf: ErrorPolicy.self) ?? .quarantine)
        if decoded.outputs.count > maximumOutputs {
            fields.fault("steps", "route to more than \(maximumOutputs - 1) places")
        }
        try fields.finish()
        return decoded
    }

    private static func decodeSource(_ fields: JSONFields) -> Source {
        let value = fields.required("source", JSONValue.self)
        if let name = value.string { return .source(name) }
        guard value.object != nil else {
            if !value.isNull {
                fields.fault("source", "expected a source's name or {\"dataset\": …}, found \(value.kind)")
            }
            return .source("")
        }
        return .dataset(fields.object("source").required("dataset", String.self))
    }
}

extension PipelineDefinition.Target {
    /// Reads a place that rows go to.
    fileprivate static func decode(_ fields: JSONFields) -> PipelineDefinition.Target {
        let mode = fields.optional("mode", oneOf: PipelineDefinition.Mode.self) ?? .append
        let deleteWhen = fields.optional("delete_when", String.self)
        if deleteWhen != nil, mode != .upsert { fields.fault("delete_when", "goes with mode upsert only") }
        return PipelineDefinition.Target(
            dataset: fields.required("dataset", String.self), mode: mode, deleteWhen: deleteWhen)
    }
}

extension StepDefinition {
    private enum Kind: String, CaseIterable {
        case parse, cast, derive, filter, expect, select, rename, drop, fill, mask, flatten, explode, dedupe, outliers
        case route, lookup
    }

    /// What may stand beside `expect`.
    private static let limitName = "max_failed"

    /// Reads a step: an object with one key, which says what it does; `expect` may have a limit beside it. Nil if it is
    /// wrong, which `fields` then knows.
    static func decode(_ fields: JSONFields) -> StepDefinition? {
        let keys = fields.keys.filter { $0 != limitName || !fields.keys.contains(Kind.expect.rawValue) }
        let known = Kind.allCases.map(\.rawValue).joined(separator: ", ")
        guard keys.count == 1 else {
            fields.fault("", "a step is an object with one of: \(known)")
            for key in fields.keys { _ = fields.optional(key, JSONValue.self) }
            return nil
        }
        guard let kind = Kind(rawValue: keys[0]) else {
            fields.fault(keys[0], "no such step; the steps are \(known)")
            _ = fields.optional(keys[0], JSONValue.self)
            return nil
        }
        return decode(kind, fields)
    }

    private static func decode(_ kind: Kind, _ fields: JSONFields) -> StepDefinition? {
        let name = kind.rawValue
        switch kind {
        case .parse: return parse(fields.object(name))
        case .filter: return .filter(fields.required(name, String.self))
        case .select: return .select(names(fields, name))
        case .drop: return .drop(names(fields, name))
        case .flatten: return .flatten(names(fields, name))
        case .route: return .route(branches(fields))
        case .lookup: return .lookup(lookup(fields.object(name)))
        case .derive: return .derive(texts(fields.object(name)).map { (column: $0, expression: $1) })
        case .expect:
            return .expect(texts(fields.object(name)).map { (name: $0, condition: $1) }, limit: limit(fields))
        case .explode: return .explode(explode(fields))
        case .dedupe:
            let dedupe = fields.object(name)
            return .dedupe(
                by: names(dedupe, "by"), keep: dedupe.optional("keep", oneOf: Keep.self) ?? .first)
        case .outliers: return .outliers(outliers(fields.object(name)))
        case .rename: return .rename(texts(fields.object(name)).map { (from: $0, to: $1) })
        case .cast:
            let map = fields.object(name)
            return .cast(entries(map).map { (column: $0, type: map.required($0, oneOf: ColumnType.self)) })
        case .mask:
            let map = fields.object(name)
            return .mask(entries(map).map { (column: $0, masking: map.required($0, oneOf: Masking.self)) })
        case .fill:
            let map = fields.object(name)
            return .fill(entries(map).map { (column: $0, value: map.required($0, JSONValue.self)) })
        }
    }

    private static func limit(_ fields: JSONFields) -> FailureLimit? {
        guard let value = fields.optional(limitName, JSONValue.self) else { return nil }
        if let rows = value.int, rows >= 0 { return .rows(rows) }
        if let limit = value.string.flatMap(FailureLimit.init(percent:)) { return limit }
        fields.fault(limitName, "expected a number of rows, or a share of them as \"5%\"")
        return nil
    }

    /// A column's name, or an object with more.
    private static func explode(_ fields: JSONFields) -> Explode {
        let name = Kind.explode.rawValue
        let value = fields.required(name, JSONValue.self)
        if let column = value.string { return Explode(column: column, isNameAlone: true) }
        guard value.object != nil else {
            if !value.isNull {
                fields.fault(name, "expected a column's name or {\"column\": …}, found \(value.kind)")
            }
            return Explode(column: "")
        }
        let explode = fields.object(name)
        return Explode(
            column: explode.required("column", String.self), position: explode.optional("position", String.self),
            empty: explode.optional("empty", oneOf: Explode.Empty.self) ?? .null)
    }

    private static func outliers(_ fields: JSONFields) -> Outliers {
        let method = fields.optional("method", oneOf: Outliers.Method.self) ?? .zscore
        let threshold = fields.optional("threshold", Double.self) ?? method.defaultThreshold
        if !(threshold > 0 && threshold.isFinite) { fields.fault("threshold", "expected a number above 0") }
        return Outliers(
            column: fields.required("column", String.self), method: method, threshold: threshold,
            action: fields.optional("action", oneOf: Outliers.Action.self) ?? .quarantine,
            by: fields.has("by") ? names(fields, "by") : [])
    }

    private static func branches(_ fields: JSONFields) -> [Branch] {
        let name = Kind.route.rawValue
        let branches = fields.objects(name)
        if fields.has(name), branches.isEmpty { fields.fault(name, "names no dataset") }
        return branches.map { Branch(condition: $0.required("when", String.self), target: .decode($0)) }
    }

    private static func lookup(_ fields: JSONFields) -> Lookup {
        Lookup(
            dataset: fields.required("dataset", String.self),
            keys: texts(fields.object("on")).map { (column: $0, source: $1) },
            columns: texts(fields.object("columns")).map { (source: $0, column: $1) },
            missing: fields.optional("missing", oneOf: LookupStep.Missing.self) ?? .null)
    }

    private static func names(_ fields: JSONFields, _ name: String) -> [String] {
        let names = fields.required(name, [String].self)
        if fields.has(name), names.isEmpty { fields.fault(name, "names no column") }
        if Set(names).count < names.count { fields.fault(name, "names a column twice") }
        return names
    }

    private static func entries(_ map: JSONFields) -> [String] {
        if map.keys.isEmpty { map.fault("", "is empty") }
        return map.keys
    }

    private static func texts(_ map: JSONFields) -> [(String, String)] {
        entries(map).map { ($0, map.required($0, String.self)) }
    }

    private static func parse(_ fields: JSONFields) -> StepDefinition {
        let parse = Parse(
            format: fields.required("format", oneOf: Parse.Format.self),
            from: fields.optional("from", String.self) ?? "line",
            columns: fields.optional("columns", [String].self) ?? [],
            pattern: fields.optional("pattern", String.self))
        if parse.format == .csv, parse.columns.isEmpty { fields.fault("columns", "csv needs the columns' names") }
        if parse.format != .csv, !parse.columns.isEmpty { fields.fault("columns", "goes with format csv only") }
        if parse.format == .regex, parse.pattern == nil { fields.fault("pattern", "regex needs a pattern") }
        if parse.format != .regex, parse.pattern != nil { fields.fault("pattern", "goes with format regex only") }
        return .parse(parse)
    }
}
