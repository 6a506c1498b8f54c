import Records

extension Checker {
    /// The text of a literal, which a pattern must be.
    private mutating func literal(_ node: SyntaxNode, _ what: String) throws(ExpressionError) -> String {
        guard case .constant(let vector) = try check(node), vector.type == .text || vector.type == .unknown,
            case .bytes(let bytes) = vector.values, vector.valid[0] != 0
        else { throw ExpressionError("\(what) must be a text literal", position: node.position) }
        return bytes.string(0)
    }

    private mutating func pattern(
        _ node: SyntaxNode, ignoresCase: Bool
    ) throws(ExpressionError) -> RegexFunctions.Pattern {
        let text = try literal(node, "a regular expression")
        do throws(RegexTranslator.Refusal) {
            return try RegexFunctions.compile(text, ignoresCase: ignoresCase)
        } catch {
            throw ExpressionError(error.message, position: node.position)
        }
    }

    mutating func regex(
        _ text: SyntaxNode, _ pattern: SyntaxNode, ignoresCase: Bool, negated: Bool, at position: Int
    ) throws(ExpressionError) -> Plan {
        let symbol = (negated ? "!" : "") + "~" + (ignoresCase ? "*" : "")
        let plans = try texts(symbol, text, pattern, at: position)
        let compiled = try self.pattern(pattern, ignoresCase: ignoresCase)
        return folded(RegexFunctions.matches(compiled, negated: negated), [plans[0]], .bool)
    }

    /// `substring(x from pattern)`: what the first group matched, if there is one.
    mutating func regexSubstring(_ arguments: [SyntaxNode], at position: Int) throws(ExpressionError) -> Plan {
        let text = try subject("substring", arguments, at: position)
        let pattern = try self.pattern(arguments[1], ignoresCase: false)
        try refuseDoubtfulGroups(pattern, at: arguments[1].position)
        return folded(RegexFunctions.firstGroup(pattern).making(.bytes), [text], .text)
    }

    /// `x SIMILAR TO pattern [ESCAPE e]`.
    mutating func similar(_ arguments: [SyntaxNode]) throws(ExpressionError) -> Plan {
        let node = arguments[1]
        let plans = try texts("SIMILAR TO", arguments[0], node, at: node.position)
        let text = try literal(node, "a pattern of SIMILAR TO")
        let escape = arguments.count > 2 ? try literal(arguments[2], "the escape character") : "\\"
        do throws(RegexTranslator.Refusal) {
            let pattern = try SimilarPattern.translate(text, escape: escape)
            let compiled = try RegexFunctions.compile(pattern, ignoresCase: false)
            return folded(RegexFunctions.matches(compiled, negated: false), [plans[0]], .bool)
        } catch {
            throw ExpressionError(error.message, position: node.position)
        }
    }

    private mutating func subject(
        _ name: String, _ arguments: [SyntaxNode], at position: Int
    ) throws(ExpressionError) -> Plan {
        let plan = try check(arguments[0])
        guard plan.type == .text || plan.type == .unknown else {
            throw ExpressionError("function \(name)(\(plan.type.name), unknown) does not exist", position: position)
        }
        let subject = try text(plan, arguments[0])
        _ = try collation(of: [subject], at: position)
        return subject
    }

    /// The functions whose names begin with `regexp_`. Behind text and pattern (and replacement) come numbers and
    /// flags, at places of their own.
    mutating func regexCall(
        _ call: SpecialCall, _ arguments: [SyntaxNode], at position: Int
    ) throws(ExpressionError) -> Plan {
        let replaces = call == .regexpReplace
        let numbers = call.narrow
        let least = replaces ? 3 : 2
        let most: Int
        switch call {
        case .regexpLike: most = 3
        case .regexpCount: most = 4
        case .regexpInstr: most = 7
        default: most = 6
        }
        guard (least...most).contains(arguments.count) else {
            throw ExpressionError("\(call.rawValue) takes \(least) to \(most) arguments", position: position)
        }
        var plans = [try subject(call.rawValue, arguments, at: position)]
        var flags = ""
        for place in least..<max(arguments.count, least) {
            let node = arguments[place]
            let plan = try check(node)
            let isFlags = !numbers.contains(place) || (replaces && place == 3 && arguments.count == 4 && plan.isText)
            if isFlags {
                flags = try literal(node, "the flags")
                try checkFlags(flags, isGlobalAllowed: replaces, at: node.position)
            } else {
                plans.append(try coerce(plan, to: .int8, node))
            }
        }
        let pattern = try self.pattern(arguments[1], ignoresCase: flags.last { "ic".contains($0) } == "i")
        let usesGroup =
            (call == .regexpSubstr && arguments.count == 6) || (call == .regexpInstr && arguments.count == 7)
        if usesGroup { try refuseDoubtfulGroups(pattern, at: arguments[1].position) }
        switch call {
        case .regexpLike: return folded(RegexFunctions.matches(pattern, negated: false), plans, .bool)
        case .regexpCount: return folded(RegexFunctions.count(pattern), plans, .int8)
        case .regexpInstr: return folded(RegexFunctions.place(pattern), plans, .int8)
        case .regexpSubstr: return folded(RegexFunctions.part(pattern).making(.bytes), plans, .text)
        default:
            let pieces = RegexFunctions.pieces(try literal(arguments[2], "the replacement"))
            let usesGroups = pieces.contains { if case .group(let number) = $0 { number > 0 } else { false } }
            if usesGroups { try refuseDoubtfulGroups(pattern, at: arguments[1].position) }
            // A number of matches that is given overrules the flag.
            let kernel = RegexFunctions.replace(pattern, pieces, global: flags.contains("g"))
            return folded(kernel.making(.bytes), plans, .text)
        }
    }

    private func checkFlags(
        _ flags: String, isGlobalAllowed: Bool, at position: Int
    ) throws(ExpressionError) {
        guard let flag = flags.first(where: { !"gics".contains($0) || ($0 == "g" && !isGlobalAllowed) }) else { return }
        throw ExpressionError("invalid regular expression option: \"\(flag)\"", position: position)
    }

    /// What a group captures may differ from PostgreSQL's choice where alternatives or lookaround are in play.
    private func refuseDoubtfulGroups(
        _ pattern: RegexFunctions.Pattern, at position: Int
    ) throws(ExpressionError) {
        guard pattern.groups > 0, pattern.hasAlternatives || pattern.looksAround else { return }
        throw ExpressionError(
            "a regular expression whose groups are captured may hold neither | nor lookaround", position: position)
    }
}

extension Plan {
    fileprivate var isText: Bool { type == .text || type == .unknown }
}
