extension Parser {
    /// A literal, a name, a call, CASE, CAST or a parenthesised expression.
    mutating func primary() throws(ExpressionError) -> SyntaxNode {
        let token = current
        switch token.kind {
        case .number(let digits):
            advance()
            if let value = Int64(digits) { return SyntaxNode(.integer(value), at: token.position) }
            return SyntaxNode(.numeric(digits), at: token.position)
        case .string(let text):
            advance()
            return SyntaxNode(.string(text), at: token.position)
        case .leftParen:
            advance()
            if current.isWord("select") {
                throw ExpressionError("subqueries are not supported", position: current.position)
            }
            let node = try expression()
            try expect(.rightParen)
            return node
        case .quotedName(let name):
            advance()
            if current.kind == .leftParen { return try call(name, at: token.position) }
            return try column(name, spelled: nil, at: token.position)
        case .name(let word): return try named(word)
        default: throw unexpected()
        }
    }

    private mutating func named(_ word: String) throws(ExpressionError) -> SyntaxNode {
        let token = current
        switch word {
        case "null":
            advance()
            return SyntaxNode(.null, at: token.position)
        case "true", "false":
            advance()
            return SyntaxNode(.boolean(word == "true"), at: token.position)
        case "case": return try conditional()
        case "cast" where ahead(1).kind == .leftParen: return try cast()
        case "array" where ahead(1).kind == .leftBracket: return try array()
        case "array", "row":
            if ahead(1).kind == .leftParen {
                throw ExpressionError("\(word) constructors are not supported", position: token.position)
            }
        default: break
        }
        if let literal = try typedLiteral() { return literal }
        if ahead(1).kind == .leftParen, !Keywords.reserved.contains(word) {
            advance()
            return try call(word, at: token.position)
        }
        guard !Keywords.reserved.contains(word), !Keywords.functionOrType.contains(word) else {
            throw reservedWord(token, word)
        }
        advance()
        return try column(word, spelled: token.text == word ? nil : token.text, at: token.position)
    }

    private func reservedWord(_ token: Token, _ word: String) -> ExpressionError {
        let plain = unexpected()
        guard
            [
                "user", "order", "group", "end", "to", "from", "desc", "offset", "limit", "table", "left", "right",
                "default", "column", "references", "primary", "check", "only", "select",
            ].contains(word)
        else { return plain }
        return ExpressionError(
            "\(plain.message); write \"\(word)\" in double quotes if it is a field", position: plain.position)
    }

    private mutating func column(
        _ name: String, spelled: String?, at position: Int
    ) throws(ExpressionError) -> SyntaxNode {
        if current.kind == .dot {
            throw ExpressionError(
                "qualified names are not supported; use -> or ->> to look inside jsonb", position: current.position)
        }
        return SyntaxNode(.column(name, spelled: spelled), at: position)
    }

    private mutating func conditional() throws(ExpressionError) -> SyntaxNode {
        let position = advance().position
        let operand = current.isWord("when") ? nil : try expression()
        var branches: [SyntaxNode.Branch] = []
        while takeWord("when") {
            let condition = try expression()
            try expectWord("then")
            branches.append(.init(condition: condition, value: try expression()))
        }
        guard !branches.isEmpty else { throw unexpected() }
        let otherwise = takeWord("else") ? try expression() : nil
        try expectWord("end")
        return SyntaxNode(.conditional(operand: operand, branches: branches, otherwise: otherwise), at: position)
    }

    private mutating func cast() throws(ExpressionError) -> SyntaxNode {
        let position = advance().position
        try expect(.leftParen)
        let operand = try expression()
        try expectWord("as")
        let type = try typeName()
        try expect(.rightParen)
        return SyntaxNode(.cast(operand, type), at: position)
    }

    /// `date '2020-01-01'`, `interval '1 day'` and the like; nil if the word at hand begins none.
    private mutating func typedLiteral() throws(ExpressionError) -> SyntaxNode? {
        let start = current
        guard case .name(let word) = start.kind, TypeName.begins(with: word) else { return nil }
        var parser = self
        guard let type = try? parser.typeName(), case .string(let text) = parser.current.kind else { return nil }
        let literal = SyntaxNode(.string(text), at: parser.advance().position)
        self = parser
        return SyntaxNode(.cast(literal, type), at: start.position)
    }

    /// `ARRAY[…]`.
    private mutating func array() throws(ExpressionError) -> SyntaxNode {
        let position = advance().position
        advance()
        var items: [SyntaxNode] = []
        if current.kind != .rightBracket {
            repeat { items.append(try expression()) } while take(.comma)
        }
        try expect(.rightBracket)
        return SyntaxNode(.call(SpecialCall.array.rawValue, items), at: position)
    }

    // MARK: Calls

    private mutating func call(_ name: String, at position: Int) throws(ExpressionError) -> SyntaxNode {
        try expect(.leftParen)
        switch name {
        case "extract": return try extract(at: position)
        case "position": return try positionCall(at: position)
        case "substring": return try substring(at: position)
        case "trim": return try trim(at: position)
        case "overlay": return try overlay(at: position)
        default: break
        }
        if take(.rightParen) { return SyntaxNode(.call(name, []), at: position) }
        if current.isOperator("*") || current.isWord("distinct") || current.isWord("all") {
            throw ExpressionError("aggregate functions are not allowed here", position: position)
        }
        let arguments = try list()
        if current.isWord("over") || current.isWord("filter") {
            throw ExpressionError("window and aggregate functions are not allowed here", position: position)
        }
        return SyntaxNode(.call(name, arguments), at: position)
    }

    private mutating func extract(at position: Int) throws(ExpressionError) -> SyntaxNode {
        let field = advance()
        let name: String
        switch field.kind {
        case .name(let word), .quotedName(let word), .string(let word): name = word
        default: throw ExpressionError("syntax error at or near \"\(field.text)\"", position: field.position)
        }
        try expectWord("from")
        let source = try expression()
        try expect(.rightParen)
        return SyntaxNode(.call("extract", [SyntaxNode(.string(name), at: field.position), source]), at: position)
    }

    private mutating func positionCall(at position: Int) throws(ExpressionError) -> SyntaxNode {
        let needle = try expression(above: 0, restricted: true)
        try expectWord("in")
        let text = try expression(above: 0, restricted: true)
        try expect(.rightParen)
        return SyntaxNode(.call("position", [text, needle]), at: position)
    }

    /// `overlay(x placing y from n [for m])`, or the same between commas.
    private mutating func overlay(at position: Int) throws(ExpressionError) -> SyntaxNode {
        var arguments = [try expression()]
        if take(.comma) {
            arguments += try list()
        } else {
            try expectWord("placing")
            arguments.append(try expression())
            try expectWord("from")
            arguments.append(try expression())
            if takeWord("for") { arguments.append(try expression()) }
            try expect(.rightParen)
        }
        return SyntaxNode(.call("overlay", arguments), at: position)
    }

    private mutating func substring(at position: Int) throws(ExpressionError) -> SyntaxNode {
        let text = try expression()
        if take(.comma) {
            return SyntaxNode(.call("substring", [text] + (try list())), at: position)
        }
        if current.isWord("similar") {
            throw ExpressionError("substring with SIMILAR is not supported", position: current.position)
        }
        var start: SyntaxNode?
        var length: SyntaxNode?
        for _ in 0..<2 {
            if start == nil, takeWord("from") {
                start = try expression()
            } else if length == nil, takeWord("for") {
                length = try expression()
            }
        }
        try expect(.rightParen)
        guard let length else {
            return SyntaxNode(.call("substring", [text] + (start.map { [$0] } ?? [])), at: position)
        }
        let from = start ?? SyntaxNode(.integer(1), at: position)
        return SyntaxNode(.call("substring", [text, from, length]), at: position)
    }

    private mutating func trim(at position: Int) throws(ExpressionError) -> SyntaxNode {
        var name = "btrim"
        if takeWord("leading") {
            name = "ltrim"
        } else if takeWord("trailing") {
            name = "rtrim"
        } else {
            _ = takeWord("both")
        }
        if takeWord("from") { return SyntaxNode(.call(name, try list()), at: position) }
        let first = try expression()
        if takeWord("from") {
            return SyntaxNode(.call(name, try list() + [first]), at: position)
        }
        let rest = take(.comma) ? try list() : []
        if rest.isEmpty { try expect(.rightParen) }
        return SyntaxNode(.call(name, [first] + rest), at: position)
    }
}
