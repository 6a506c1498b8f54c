extension Checker {
    mutating func prefix(
        _ symbol: String, _ operand: SyntaxNode, at position: Int
    ) throws(ExpressionError) -> Plan {
        let plan = try check(operand)
        let candidates = OperatorCatalog.prefix[symbol] ?? []
        switch Resolution.resolve(candidates, [plan.type]) {
        case .found(let signature):
            return folded(signature.kernel, [try coerce(plan, to: signature.arguments[0], operand)], signature.result)
        case .none:
            throw ExpressionError("operator does not exist: \(symbol) \(plan.type.name)", position: position)
        case .ambiguous:
            throw ExpressionError(
                "operator is not unique: \(symbol) \(plan.type.name); cast the value to the type meant",
                position: position)
        }
    }

    mutating func infix(
        _ symbol: String, _ left: SyntaxNode, _ right: SyntaxNode, at position: Int
    ) throws(ExpressionError) -> Plan {
        switch symbol {
        case "||": return try concatenation(left, right, at: position)
        case "~", "~*", "!~", "!~*":
            return try regex(
                left, right, ignoresCase: symbol.hasSuffix("*"), negated: symbol.hasPrefix("!"), at: position)
        case "~~", "~~*", "!~~", "!~~*":
            return try like(left, right, nil, symbol.hasSuffix("*"), symbol.hasPrefix("!"), at: position)
        default:
            let (signature, plans) = try binary(symbol, left, right, at: position)
            return folded(signature.kernel, plans, signature.result)
        }
    }

    /// The operator chosen for two operands, and these brought to its types.
    mutating func binary(
        _ symbol: String, _ left: SyntaxNode, _ right: SyntaxNode, at position: Int
    ) throws(ExpressionError) -> (Signature, [Plan]) {
        let (first, second) = (try check(left), try check(right))
        return try binary(symbol, (first, left), (second, right), at: position)
    }

    mutating func binary(
        _ symbol: String, _ left: (plan: Plan, node: SyntaxNode), _ right: (plan: Plan, node: SyntaxNode),
        at position: Int
    ) throws(ExpressionError) -> (Signature, [Plan]) {
        let candidates = OperatorCatalog.binary[symbol] ?? []
        let types = "\(left.plan.type.name) \(symbol) \(right.plan.type.name)"
        switch Resolution.resolve(candidates, [left.plan.type, right.plan.type]) {
        case .found(let signature):
            let plans = [
                try coerce(left.plan, to: signature.arguments[0], left.node),
                try coerce(right.plan, to: signature.arguments[1], right.node),
            ]
            if signature.arguments == [.text, .text], let comparison = Comparison(rawValue: symbol) {
                if comparison == .equal || comparison == .notEqual {
                    _ = try collation(of: plans, at: position)
                } else {
                    try collate(plans, at: position)
                }
            }
            return (signature, plans)
        case .none: throw ExpressionError("operator does not exist: \(types)", position: position)
        case .ambiguous:
            throw ExpressionError(
                "operator is not unique: \(types); cast the values to the types meant, as in x::numeric",
                position: position)
        }
    }

    private mutating func concatenation(
        _ left: SyntaxNode, _ right: SyntaxNode, at position: Int
    ) throws(ExpressionError) -> Plan {
        let plans = [try check(left), try check(right)]
        let types = plans.map(\.type)
        for (type, kernel) in [(SQLType.jsonb, JSONFunctions.concatenation), (.bytea, Composition.joinBytes)]
        where types.contains(type) && types.allSatisfy({ $0 == type || $0 == .unknown }) {
            return folded(kernel, [try coerce(plans[0], to: type, left), try coerce(plans[1], to: type, right)], type)
        }
        guard types.contains(.text) || types.contains(.unknown), !types.contains(.textArray) else {
            throw ExpressionError(
                "operator does not exist: \(types[0].name) || \(types[1].name)", position: position)
        }
        let texts = [try text(plans[0], left), try text(plans[1], right)]
        return folded(Composition.join, texts, .text)
    }

    /// A value of any type as text.
    func text(_ plan: Plan, _ node: SyntaxNode) throws(ExpressionError) -> Plan {
        try coerce(plan, to: .text, node)
    }

    // MARK: Tests

    mutating func test(
        _ test: SyntaxNode.Test, _ operand: SyntaxNode, negated: Bool
    ) throws(ExpressionError) -> Plan {
        switch test {
        case .null:
            var plan = try check(operand)
            if plan.type == .unknown { plan = try coerce(plan, to: .text, operand) }
            return folded(Composition.isNull(negated: negated), [plan], .bool)
        case .isTrue, .isFalse:
            let name = "IS \(negated ? "NOT " : "")\(test == .isTrue ? "TRUE" : "FALSE")"
            let plan = try condition(operand, of: name)
            return folded(Composition.isBool(test == .isTrue, negated: negated), [plan], .bool)
        case .unknown:
            let plan = try condition(operand, of: "IS \(negated ? "NOT " : "")UNKNOWN")
            return folded(Composition.isNull(negated: negated), [plan], .bool)
        }
    }

    func desugared(
        _ value: SyntaxNode, _ low: SyntaxNode, _ high: SyntaxNode, symmetric: Bool, at position: Int
    ) -> SyntaxNode {
        func range(_ low: SyntaxNode, _ high: SyntaxNode) -> SyntaxNode {
            SyntaxNode(
                .and(
                    SyntaxNode(.infix(">=", value, low), at: position),
                    SyntaxNode(.infix("<=", value, high), at: position)), at: position)
        }
        guard symmetric else { return range(low, high) }
        return SyntaxNode(.or(range(low, high), range(high, low)), at: position)
    }

    mutating func membership(
        _ value: SyntaxNode, _ items: [SyntaxNode], negated: Bool, at position: Int
    ) throws(ExpressionError) -> Plan {
        guard items.count <= 1000 else { throw ExpressionError("IN has more than 1000 items", position: position) }
        let left = try check(value)
        var plans: [Plan] = []
        for item in items { plans.append(try check(item)) }
        // Items without columns are compared in the type that they have in common with the value.
        let fixed = plans.filter(\.isConstant)
        let shared = fixed.count > 1 ? Resolution.commonType([left.type] + fixed.map(\.type)).type : nil
        var tests: [Plan] = []
        for (plan, node) in zip(plans, items) {
            var item = plan
            if let shared, plan.isConstant { item = try coerce(plan, to: shared, node) }
            let (signature, pair) = try binary("=", (left, value), (item, node), at: position)
            tests.append(folded(signature.kernel, pair, .bool))
        }
        // A balanced tree, so that long lists do not nest deep.
        while tests.count > 1 {
            tests = stride(from: 0, to: tests.count, by: 2).map { index in
                index + 1 < tests.count ? .logical(isAnd: false, tests[index], tests[index + 1]) : tests[index]
            }
        }
        let found = tests[0]
        return negated ? folded(Composition.not, [found], .bool) : found
    }

    mutating func like(
        _ text: SyntaxNode, _ pattern: SyntaxNode, _ escape: SyntaxNode?, _ ignoresCase: Bool, _ negated: Bool,
        at position: Int
    ) throws(ExpressionError) -> Plan {
        let symbol = (negated ? "!" : "") + "~~" + (ignoresCase ? "*" : "")
        var plans = try texts(symbol, text, pattern, at: position)
        if ignoresCase { try collate(plans, at: position) }
        if let escape { plans.append(try coerce(try check(escape), to: .text, escape)) }
        return folded(LikePattern.kernel(ignoresCase: ignoresCase, negated: negated), plans, .bool)
    }

    /// Both operands as text, which they must be.
    mutating func texts(
        _ symbol: String, _ left: SyntaxNode, _ right: SyntaxNode, at position: Int
    ) throws(ExpressionError) -> [Plan] {
        let (first, second) = (try check(left), try check(right))
        guard [first, second].allSatisfy({ $0.type == .text || $0.type == .unknown }) else {
            throw ExpressionError(
                "operator does not exist: \(first.type.name) \(symbol) \(second.type.name)", position: position)
        }
        let plans = [try coerce(first, to: .text, left), try coerce(second, to: .text, right)]
        _ = try collation(of: plans, at: position)
        return plans
    }

    // MARK: CASE

    mutating func conditional(
        _ operand: SyntaxNode?, _ branches: [SyntaxNode.Branch], _ otherwise: SyntaxNode?, at position: Int
    ) throws(ExpressionError) -> Plan {
        var conditions: [Plan] = []
        var values: [Plan] = []
        let subject = try operand.map { (node) throws(ExpressionError) in (try check(node), node) }
        for branch in branches {
            if let subject {
                let value = (try check(branch.condition), branch.condition)
                let (signature, plans) = try binary("=", subject, value, at: branch.condition.position)
                conditions.append(folded(signature.kernel, plans, .bool))
            } else {
                conditions.append(try condition(branch.condition, of: "CASE/WHEN"))
            }
            values.append(try check(branch.value))
        }
        let last = otherwise ?? SyntaxNode(.null, at: position)
        // The value of ELSE weighs most in choosing the type, as in PostgreSQL.
        let (plans, type) = try common([try check(last)] + values, [last] + branches.map(\.value), of: "CASE")
        let chosen = zip(conditions, plans.dropFirst()).map { Plan.Branch(condition: $0, value: $1) }
        return .choose(chosen, otherwise: plans[0], type)
    }
}
