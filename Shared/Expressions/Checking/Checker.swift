import Records

/// Resolves names and types of a parsed expression, as PostgreSQL's parse analysis does.
struct Checker {
    let schema: ExpressionSchema
    /// The columns named so far, each once.
    private(set) var fields: [String] = []
    /// Where first the order or the case of text of collation `und-x-icu` is asked for.
    private var unicode: Int?

    init(schema: ExpressionSchema) {
        self.schema = schema
    }

    mutating func note(unicode position: Int) {
        unicode = min(unicode ?? position, position)
    }

    /// Throws where the expression cannot be computed here.
    func refuseUnicode() throws(ExpressionError) {
        guard let unicode else { return }
        throw ExpressionError(
            "order and case of text of collation \"und-x-icu\" are known to PostgreSQL only, and this is computed "
                + "elsewhere, too: use =, <>, in or like",
            position: unicode)
    }

    mutating func check(_ node: SyntaxNode) throws(ExpressionError) -> Plan {
        switch node.kind {
        case .integer(let value): return .constant(.constant(.int8, value))
        case .numeric(let digits):
            guard let value = Decimal(Bytes(digits.utf8)) else {
                throw ExpressionError("value overflows numeric format", position: node.position)
            }
            return .constant(.constant(.numeric, value))
        case .string(let text): return .constant(.constant(.unknown, Bytes(text.utf8)))
        case .boolean(let value): return .constant(.constant(.bool, value))
        case .null: return .constant(.null(.unknown))
        case .column(let name, let spelled): return try field(name, spelled: spelled, at: node.position)
        case .cast(let operand, let type): return try cast(operand, type, at: node.position)
        case .prefix(let symbol, let operand): return try prefix(symbol, operand, at: node.position)
        case .infix(let symbol, let left, let right):
            return try infix(symbol, left, right, at: node.position)
        case .call(let name, let arguments): return try call(name, arguments, at: node.position)
        default: return try logic(node)
        }
    }

    private mutating func logic(_ node: SyntaxNode) throws(ExpressionError) -> Plan {
        switch node.kind {
        case .and(let left, let right):
            return .logical(isAnd: true, try condition(left, of: "AND"), try condition(right, of: "AND"))
        case .or(let left, let right):
            return .logical(isAnd: false, try condition(left, of: "OR"), try condition(right, of: "OR"))
        case .not(let operand): return folded(Composition.not, [try condition(operand, of: "NOT")], .bool)
        case .test(let test, let operand, let negated): return try self.test(test, operand, negated: negated)
        case .distinct(let left, let right, let negated):
            let (signature, plans) = try binary("=", left, right, at: node.position)
            return folded(Composition.distinct(signature.kernel, negated: negated), plans, .bool)
        case .between(let value, let low, let high, let symmetric, let negated):
            let between = desugared(value, low, high, symmetric: symmetric, at: node.position)
            return try check(negated ? SyntaxNode(.not(between), at: node.position) : between)
        case .inList(let value, let items, let negated):
            return try membership(value, items, negated: negated, at: node.position)
        case .like(let text, let pattern, let escape, let caseInsensitive, let negated):
            return try like(text, pattern, escape, caseInsensitive, negated, at: node.position)
        case .conditional(let operand, let branches, let otherwise):
            return try conditional(operand, branches, otherwise, at: node.position)
        default: preconditionFailure("a kind of node that is checked elsewhere")
        }
    }

    // MARK: Names

    private mutating func field(
        _ name: String, spelled: String?, at position: Int
    ) throws(ExpressionError) -> Plan {
        guard let kind = schema[name] else {
            if let spelled, schema.isOpen || schema[spelled] != nil {
                throw ExpressionError(
                    "\(spelled) without quotes means \"\(name)\"; write \"\(spelled)\" in double quotes for the field "
                        + "of that name", position: position)
            }
            guard schema.isOpen else {
                throw ExpressionError("column \"\(name)\" does not exist", position: position)
            }
            note(name)
            return .field(name, .unknown)
        }
        note(name)
        switch kind {
        case .untyped: return .field(name, .unknown)
        case .typed(let type): return .field(name, SQLType(type))
        }
    }

    private mutating func note(_ name: String) {
        if !fields.contains(name) { fields.append(name) }
    }

    // MARK: Types

    /// A boolean operand; `purpose` is what the message calls its place.
    mutating func condition(_ node: SyntaxNode, of purpose: String) throws(ExpressionError) -> Plan {
        let plan = try check(node)
        guard plan.type == .bool || plan.type == .unknown else {
            throw ExpressionError(
                "argument of \(purpose) must be type boolean, not type \(plan.type.name)", position: node.start)
        }
        return try coerce(plan, to: .bool, node)
    }

    /// Brings a value to a type that it converts to implicitly. A literal is read now, and a bad one refused.
    func coerce(_ plan: Plan, to type: SQLType, _ node: SyntaxNode) throws(ExpressionError) -> Plan {
        if plan.type == type { return plan }
        guard plan.type == .unknown else {
            guard let kernel = Conversion.cast(plan.type, type) else {
                throw ExpressionError(
                    "cannot cast type \(plan.type.name) to \(type.name)", position: node.start)
            }
            return folded(kernel, [plan], type)
        }
        switch plan {
        case .constant(let literal):
            if literal.valid[0] == 0 { return .constant(.null(type)) }
            var evaluation = Evaluation(RecordBatch(rows: [0]))
            let value = Conversion.fromText(type).body([literal], Frame(all: 1), &evaluation)
            if let fault = evaluation.faults.first {
                throw ExpressionError(fault.message, position: node.start)
            }
            return .constant(value)
        case .field(let name, _) where type.isInternal:
            return .call(Conversion.fromText(type), [.field(name, .text)], type)
        case .field(let name, _): return .field(name, type)
        default: return .call(Conversion.fromText(type), [plan], type)
        }
    }

    /// A call, computed now if all its arguments are constants and it does not fail.
    func folded(_ kernel: Kernel, _ arguments: [Plan], _ type: SQLType) -> Plan {
        let constants = arguments.compactMap { if case .constant(let vector) = $0 { vector } else { nil } }
        guard constants.count == arguments.count else { return .call(kernel, arguments, type) }
        var evaluation = Evaluation(RecordBatch(rows: [0]))
        let value = kernel.body(constants, Frame(all: 1), &evaluation)
        guard evaluation.faults.isEmpty, value.isConstant || value.count == 1 else {
            return .call(kernel, arguments, type)
        }
        var constant = value
        constant.isConstant = true
        return .constant(constant)
    }

    private mutating func cast(
        _ operand: SyntaxNode, _ target: TypeName, at position: Int
    ) throws(ExpressionError) -> Plan {
        let plan = try check(operand)
        var result: Plan
        if plan.type == .unknown || plan.type == target.type {
            result = try coerce(plan, to: target.type, operand)
        } else {
            guard let kernel = Conversion.cast(plan.type, target.type) else {
                throw ExpressionError(
                    "cannot cast type \(plan.type.name) to \(target.type.name)", position: position)
            }
            result = folded(kernel, [plan], target.type)
        }
        if let kernel = Conversion.modifier(target.modifier) { result = folded(kernel, [result], target.type) }
        return result
    }

    /// Brings several values to the type that they have in common.
    func common(
        _ plans: [Plan], _ nodes: [SyntaxNode], of purpose: String
    ) throws(ExpressionError) -> (plans: [Plan], type: SQLType) {
        let (type, conflict) = Resolution.commonType(plans.map(\.type))
        guard let type else {
            let first = plans.first { $0.type != .unknown && $0.type != conflict }?.type ?? .text
            let place = zip(plans, nodes).first { $0.0.type == conflict }?.1 ?? nodes[0]
            throw ExpressionError(
                "\(purpose) types \(first.name) and \((conflict ?? .text).name) cannot be matched",
                position: place.start)
        }
        var coerced: [Plan] = []
        for (plan, node) in zip(plans, nodes) { coerced.append(try coerce(plan, to: type, node)) }
        return (coerced, type)
    }
}
