extension Checker {
    /// Functions that exist in PostgreSQL and would make a result depend on when or for whom it is computed.
    private static let volatile: Set<String> = [
        "now", "clock_timestamp", "statement_timestamp", "transaction_timestamp", "timeofday", "random", "setseed",
        "gen_random_uuid", "nextval", "currval", "lastval", "pg_sleep", "current_setting", "version",
    ]

    mutating func call(
        _ name: String, _ arguments: [SyntaxNode], at position: Int
    ) throws(ExpressionError) -> Plan {
        if let special = SpecialCall(rawValue: name) { return try self.special(special, arguments, at: position) }
        if name == "substring", arguments.count == 2 {
            let pattern = try check(arguments[1])
            if pattern.type == .text || pattern.type == .unknown, pattern.isConstant {
                return try regexSubstring(arguments, at: position)
            }
        }
        guard !Self.volatile.contains(name) else {
            throw ExpressionError(
                "function \(name) is not supported: what a pipeline makes of a record must not depend on when it runs",
                position: position)
        }
        if OperatorCatalog.functions[name] == nil, arguments.count == 1, let type = TypeName.named(name) {
            return try check(SyntaxNode(.cast(arguments[0], type), at: position))
        }
        return try resolved(name, arguments, at: position)
    }

    private mutating func special(
        _ call: SpecialCall, _ arguments: [SyntaxNode], at position: Int
    ) throws(ExpressionError) -> Plan {
        let name = call.rawValue
        switch call {
        case .coalesce:
            let (plans, type) = try common(try checked(name, arguments, at: position), arguments, of: "COALESCE")
            return .coalesce(plans, type)
        case .greatest, .least: return try extreme(name, arguments, at: position)
        case .nullif: return try nullIf(arguments, at: position)
        case .concat, .concatWithSeparator: return try concat(name, arguments, at: position)
        case .countNulls, .countNonNulls:
            guard !arguments.isEmpty else {
                throw ExpressionError("function \(name)() does not exist", position: position)
            }
            let kernel = Composition.count(nulls: call == .countNulls)
            return folded(kernel, try values(arguments), .int8)
        case .regexpLike, .regexpCount, .regexpInstr, .regexpSubstr, .regexpReplace:
            return try regexCall(call, arguments, at: position)
        case .similar: return try similar(arguments)
        case .array: return try textArray(arguments[...])
        case .jsonbExtractPath, .jsonbExtractPathText:
            guard let first = arguments.first else {
                throw ExpressionError("function \(name)() does not exist", position: position)
            }
            let plans = [try coerce(try check(first), to: .jsonb, first), try textArray(arguments.dropFirst())]
            return call == .jsonbExtractPath
                ? folded(JSONFunctions.atPath, plans, .jsonb) : folded(JSONFunctions.textAtPath, plans, .text)
        case .jsonbBuildArray, .jsonbBuildObject, .toJSONB: return try buildJSON(call, arguments, at: position)
        }
    }

    /// The arguments, each of whatever type it has; of those without one the text.
    private mutating func values(_ arguments: [SyntaxNode]) throws(ExpressionError) -> [Plan] {
        var plans: [Plan] = []
        for argument in arguments {
            let plan = try check(argument)
            plans.append(plan.type == .unknown ? try text(plan, argument) : plan)
        }
        return plans
    }

    private mutating func textArray(_ items: ArraySlice<SyntaxNode>) throws(ExpressionError) -> Plan {
        var texts: [Plan] = []
        for item in items {
            let plan = try check(item)
            guard plan.type == .text || plan.type == .unknown else {
                throw ExpressionError(
                    "of arrays only text[] is supported, not \(plan.type.name)[]", position: item.start)
            }
            texts.append(try text(plan, item))
        }
        return folded(Composition.textArray, texts, .textArray)
    }

    private mutating func buildJSON(
        _ call: SpecialCall, _ arguments: [SyntaxNode], at position: Int
    ) throws(ExpressionError) -> Plan {
        if call == .toJSONB {
            guard arguments.count == 1 else {
                throw ExpressionError("function to_jsonb takes one argument", position: position)
            }
            if try check(arguments[0]).type == .unknown {
                throw ExpressionError("could not determine the type of to_jsonb's argument", position: position)
            }
        }
        let plans = try values(arguments)
        if call == .jsonbBuildObject {
            guard plans.count % 2 == 0 else {
                throw ExpressionError("argument list must have even number of elements", position: position)
            }
            for (place, plan) in plans.enumerated() where place % 2 == 0 && [.jsonb, .textArray].contains(plan.type) {
                throw ExpressionError(
                    "key value must be scalar, not array, composite, or json", position: arguments[place].start)
            }
        }
        return folded(JSONBuilding.kernel(call, plans.map(\.type)), plans, .jsonb)
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
            try checkLiterals(signature, coerced, arguments)
            try collate(name, coerced, at: position)
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
        if type == .text { try collate(plans, at: position) }
        let kernel = Composition.extreme(type, greatest: name == "greatest", less)
        return folded(type == .text ? kernel.making(.ofOperandsOrBytes) : kernel, plans, type)
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

    /// Refuses literals that the function could not do anything with.
    private func checkLiterals(
        _ signature: Signature, _ plans: [Plan], _ nodes: [SyntaxNode]
    ) throws(ExpressionError) {
        for (place, check) in signature.checks {
            guard case .constant(let vector) = plans[place], vector.valid[0] != 0 else { continue }
            do throws(Fault) {
                try check(BytesBuffer(vector.values)[0])
            } catch {
                throw ExpressionError(error.message, position: nodes[place].start)
            }
        }
    }
}
