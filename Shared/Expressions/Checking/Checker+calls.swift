extension Checker {
    /// Functions that exist in PostgreSQL and would make a result depend on when or for whom it is computed.
    private static let volatile: Set<String> = [
        "now", "clock_timestamp", "statement_timestamp", "transaction_timestamp", "timeofday", "random", "setseed",
        "gen_random_uuid", "nextval", "currval", "lastval", "pg_sleep", "current_setting", "version",
    ]

    mutating func call(
        _ name: String, _ arguments: [SyntaxNode], at position: Int
    ) throws(ExpressionError) -> Plan {
        switch name {
        case "coalesce":
            let (plans, type) = try common(try checked(name, arguments, at: position), arguments, of: "COALESCE")
            return .coalesce(plans, type)
        case "greatest", "least": return try extreme(name, arguments, at: position)
        case "nullif": return try nullIf(arguments, at: position)
        case "concat", "concat_ws": return try concat(name, arguments, at: position)
        case "encode": return try encode(arguments, at: position)
        case "regexp_replace", "regexp_like", "regexp_count", "regexp_substr":
            return try regexCall(name, arguments, at: position)
        case "substring" where arguments.count == 2:
            let pattern = try check(arguments[1])
            if pattern.type == .text || pattern.type == .unknown, pattern.isConstant {
                return try regexCall(name, arguments, at: position)
            }
        case _ where Self.volatile.contains(name):
            throw ExpressionError(
                "function \(name) is not supported: what a pipeline makes of a record must not depend on when it runs",
                position: position)
        default: break
        }
        if OperatorCatalog.functions[name] == nil, arguments.count == 1, let type = TypeName.named(name) {
            return try check(SyntaxNode(.cast(arguments[0], type), at: position))
        }
        return try resolved(name, arguments, at: position)
    }

    private mutating func resolved(
        _ name: String, _ arguments: [SyntaxNode], at position: Int
    ) throws(ExpressionError) -> Plan {
        var plans: [Plan] = []
        for argument in arguments { plans.append(try check(argument)) }
        let types = plans.map(\.type.name).joined(separator: ", ")
        switch Resolution.resolve(OperatorCatalog.functions[name] ?? [], plans.map(\.type)) {
        case .found(let signature):
            var coerced: [Plan] = []
            for ((plan, type), node) in zip(zip(plans, signature.arguments), arguments) {
                coerced.append(try coerce(plan, to: type, node))
            }
            return folded(signature.kernel, coerced, signature.result)
        case .none: throw ExpressionError("function \(name)(\(types)) does not exist", position: position)
        case .ambiguous:
            throw ExpressionError(
                "function \(name)(\(types)) is not unique; cast the values to the types meant", position: position)
        }
    }

    /// The arguments of a call that needs at least one.
    private mutating func checked(
        _ name: String, _ arguments: [SyntaxNode], at position: Int
    ) throws(ExpressionError) -> [Plan] {
        guard !arguments.isEmpty else { throw ExpressionError("syntax error at or near \")\"", position: position) }
        var plans: [Plan] = []
        for argument in arguments { plans.append(try check(argument)) }
        return plans
    }

    private mutating func extreme(
        _ name: String, _ arguments: [SyntaxNode], at position: Int
    ) throws(ExpressionError) -> Plan {
        let purpose = name.uppercased()
        let (plans, type) = try common(try checked(name, arguments, at: position), arguments, of: purpose)
        guard let less = OperatorCatalog.lessThan(type) else {
            throw ExpressionError("could not identify a comparison function for type \(type.name)", position: position)
        }
        return folded(Composition.extreme(type, greatest: name == "greatest", less), plans, type)
    }

    private mutating func nullIf(_ arguments: [SyntaxNode], at position: Int) throws(ExpressionError) -> Plan {
        guard arguments.count == 2 else { throw ExpressionError("NULLIF takes two arguments", position: position) }
        let (signature, plans) = try binary("=", arguments[0], arguments[1], at: position)
        return folded(Composition.nullIf(signature.kernel), plans, plans[0].type)
    }

    private mutating func concat(
        _ name: String, _ arguments: [SyntaxNode], at position: Int
    ) throws(ExpressionError) -> Plan {
        guard arguments.count > (name == "concat" ? 0 : 1) else {
            throw ExpressionError("function \(name)() does not exist", position: position)
        }
        var texts: [Plan] = []
        for argument in arguments {
            let plan = try check(argument)
            texts.append(
                plan.type == .bool ? folded(Composition.shortBool, [plan], .text) : try text(plan, argument))
        }
        return folded(Composition.concatenation(separated: name == "concat_ws"), texts, .text)
    }

    /// `encode(sha256(x), 'hex')` and the like: there is no bytea in between.
    private mutating func encode(_ arguments: [SyntaxNode], at position: Int) throws(ExpressionError) -> Plan {
        guard arguments.count == 2, case .call(let inner, let texts) = arguments[0].kind, texts.count == 1,
            let digest = TextFunctions.encodable[inner], case .string(let format) = arguments[1].kind,
            format.lowercased() == "hex"
        else {
            throw ExpressionError(
                "encode is supported as encode(sha256(x), 'hex'), with sha224, sha256, sha384 or sha512",
                position: position)
        }
        let plan = try check(texts[0])
        guard plan.type == .text || plan.type == .unknown else {
            throw ExpressionError("function \(inner)(\(plan.type.name)) does not exist", position: position)
        }
        return folded(TextFunctions.digest(digest), [try text(plan, texts[0])], .text)
    }
}
