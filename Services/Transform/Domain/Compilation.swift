import Expressions
import JSON
import Records

/// A compilation in progress: the columns known so far, and what has been found wrong.
struct Compilation {
    var schema: ExpressionSchema
    let salt: [UInt8]
    let lookups: LookupSchema
    /// The path of the step at hand.
    var path = ""
    private(set) var faults: [FieldFault] = []
    /// Of each branch of the `route` steps so far, the condition under which its row deletes.
    var routedDeletions: [CompiledExpression?] = []

    init(schema: ExpressionSchema, salt: [UInt8], lookups: LookupSchema) {
        self.schema = schema
        self.salt = salt
        self.lookups = lookups
    }

    // MARK: Faults

    mutating func fault(_ name: String, _ message: String) {
        faults.append(FieldFault(path: path(to: name), message: message))
    }

    private func path(to name: String) -> String {
        if name.isEmpty || name.hasPrefix("[") { return path + name }
        let isPlain = name.utf8.allSatisfy { $0 == 0x5F || $0 &- 0x30 < 10 || ($0 | 0x20) &- 0x61 < 26 }
        return isPlain ? "\(path).\(name)" : "\(path)[\"\(name)\"]"
    }

    /// Checks the items of a list that a field of the step holds: faults name both.
    mutating func checkList<Item>(_ items: [Item], in field: String, _ check: (inout Compilation, Item, String) -> Bool)
        -> Bool
    {
        let step = path
        path += ".\(field)"
        defer { path = step }
        return items.enumerated().map { check(&self, $1, "[\($0)]") }.allSatisfy { $0 }
    }

    /// Whether a column may have this name; if not, that is a fault.
    mutating func checkName(_ name: String, at place: String) -> Bool {
        let wrong: String? =
            name.isEmpty
            ? "a column's name is not empty"
            : name.utf8.count > 63
                ? "a column's name has at most 63 bytes"
                : name.hasPrefix("_") ? "names that begin with _ are the platform's own" : nil
        if let wrong { fault(place, wrong) }
        return wrong == nil
    }

    /// Whether a column may be named here; if not, that is a fault.
    mutating func checkKnown(_ name: String, at place: String) -> Bool {
        if schema.isOpen || schema[name] != nil { return true }
        fault(place, "column \"\(name)\" does not exist")
        return false
    }

    // MARK: Expressions

    mutating func expression(_ text: String, at place: String) -> CompiledExpression? {
        do throws(ExpressionError) {
            return try Expression.compile(text, schema: schema)
        } catch {
            fault(place, error.description)
            return nil
        }
    }

    mutating func condition(_ text: String, at place: String, purpose: String) -> CompiledExpression? {
        do throws(ExpressionError) {
            return try Expression.compileCondition(text, schema: schema, purpose: purpose)
        } catch {
            fault(place, error.description)
            return nil
        }
    }

    // MARK: Columns

    /// Forgets all columns: only those set afterwards exist, or any name if the set stays open.
    mutating func reset(isOpen: Bool) { schema = ExpressionSchema(isOpen: isOpen) }

    // MARK: Steps

    mutating func compile(_ step: StepDefinition) -> (any PipelineStep)? {
        switch step {
        case .parse(let parse): return compile(parse)
        case .cast(let casts): return compile(casts: casts)
        case .derive(let columns): return compile(derivations: columns)
        case .filter(let text):
            return condition(text, at: "", purpose: "filter").map { FilterStep(condition: $0) }
        case .expect(let expectations, let limit): return compile(expectations: expectations, limit)
        case .select(let names): return compile(select: names)
        case .rename(let renames): return compile(renames: renames)
        case .drop(let names): return compile(drop: names)
        case .fill(let fills): return compile(fills: fills)
        case .mask(let masks): return compile(masks: masks)
        case .flatten(let names): return compile(flatten: names)
        case .explode(let explode): return compile(explode)
        case .dedupe(let columns, let keep): return compile(dedupe: columns, keep)
        case .outliers(let outliers): return compile(outliers)
        case .route(let branches): return compile(route: branches)
        case .lookup(let lookup): return compile(lookup)
        }
    }
}
