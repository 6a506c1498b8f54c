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

    /// `regexp_replace`, `regexp_like`, `regexp_count`, `regexp_substr` and `substring` with a pattern.
    mutating func regexCall(
        _ name: String, _ arguments: [SyntaxNode], at position: Int
    ) throws(ExpressionError) -> Plan {
        let replaces = name == "regexp_replace"
        let least = replaces ? 3 : 2
        let most = name == "substring" || name == "regexp_substr" || name == "regexp_count" ? 2 : least + 1
        guard (least...most).contains(arguments.count) else {
            throw ExpressionError(
                "\(name) takes \(least == most ? "\(least)" : "\(least) or \(most)") arguments here", position: position
            )
        }
        let subject = try check(arguments[0])
        guard subject.type == .text || subject.type == .unknown else {
            throw ExpressionError(
                "function \(name)(\(subject.type.name), unknown) does not exist", position: position)
        }
        let text = try self.text(subject, arguments[0])
        let flags = arguments.count > least ? try literal(arguments[least], "the flags") : ""
        if let flag = flags.first(where: { !"gics".contains($0) || ($0 == "g" && !replaces) }) {
            throw ExpressionError("invalid regular expression option: \"\(flag)\"", position: arguments[least].position)
        }
        let ignoresCase = flags.last { "ic".contains($0) } == "i"
        let pattern = try self.pattern(arguments[1], ignoresCase: ignoresCase)
        let kernel: Kernel
        switch name {
        case "regexp_like": kernel = RegexFunctions.matches(pattern, negated: false)
        case "regexp_count": kernel = RegexFunctions.count(pattern)
        case "regexp_substr": kernel = RegexFunctions.first(pattern, group: false)
        case "substring":
            try refuseDoubtfulGroups(pattern, at: arguments[1].position)
            kernel = RegexFunctions.first(pattern, group: true)
        default:
            let pieces = RegexFunctions.pieces(try literal(arguments[2], "the replacement"))
            let usesGroups = pieces.contains { if case .group(let number) = $0 { number > 0 } else { false } }
            if usesGroups { try refuseDoubtfulGroups(pattern, at: arguments[1].position) }
            kernel = RegexFunctions.replace(pattern, pieces, global: flags.contains("g"))
        }
        return folded(kernel, [text], name == "regexp_like" ? .bool : name == "regexp_count" ? .int8 : .text)
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
