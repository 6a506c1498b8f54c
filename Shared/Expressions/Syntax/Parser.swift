/// A Pratt parser with PostgreSQL's precedence (`gram.y`).
struct Parser {
    /// How deep expressions may nest.
    static let maximumDepth = 200

    /// How tightly an operator binds; the names are `gram.y`'s.
    enum Power {
        static let or = 1
        static let and = 2
        static let not = 3
        static let `is` = 4
        static let comparison = 5
        static let like = 6
        static let other = 7
        static let sum = 8
        static let product = 9
        static let exponent = 10
        static let at = 11
        static let collate = 12
        static let sign = 13
        static let subscripting = 14
        static let typecast = 15
    }

    private let tokens: [Token]
    private var index = 0
    private var depth = 0

    /// The whole text as one expression.
    static func parse(_ text: String) throws(ExpressionError) -> SyntaxNode {
        var parser = Parser(tokens: try Lexer.tokens(of: text))
        let node = try parser.expression()
        guard parser.current.kind == .end else { throw parser.unexpected() }
        return node
    }

    private init(tokens: [Token]) {
        self.tokens = tokens
    }

    // MARK: Tokens

    var current: Token { tokens[index] }

    func ahead(_ distance: Int) -> Token { tokens[min(index + distance, tokens.count - 1)] }

    @discardableResult
    mutating func advance() -> Token {
        defer { index = min(index + 1, tokens.count - 1) }
        return tokens[index]
    }

    mutating func take(_ kind: Token.Kind) -> Bool {
        guard current.kind == kind else { return false }
        advance()
        return true
    }

    mutating func takeWord(_ word: String) -> Bool {
        guard current.isWord(word) else { return false }
        advance()
        return true
    }

    mutating func expect(_ kind: Token.Kind) throws(ExpressionError) {
        guard take(kind) else { throw unexpected() }
    }

    mutating func expectWord(_ word: String) throws(ExpressionError) {
        guard takeWord(word) else { throw unexpected() }
    }

    func unexpected() -> ExpressionError {
        if current.kind == .end {
            return ExpressionError("syntax error at end of input", position: current.position)
        }
        return ExpressionError("syntax error at or near \"\(current.text)\"", position: current.position)
    }

    // MARK: Expressions

    mutating func expression() throws(ExpressionError) -> SyntaxNode {
        try expression(above: 0, restricted: false)
    }

    /// An expression of operators that bind at least as tightly as `power`.
    ///
    /// `restricted` is `gram.y`'s `b_expr`, the lower bound of BETWEEN, which has no logical operators.
    mutating func expression(above power: Int, restricted: Bool) throws(ExpressionError) -> SyntaxNode {
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.maximumDepth else { throw tooDeep() }
        var left = try prefix(restricted: restricted)
        var nonAssociative = 0
        while let infix = infixPower(restricted: restricted), infix >= power {
            if infix == nonAssociative { throw unexpected() }
            (left, nonAssociative) = try self.infix(left, power: infix, restricted: restricted)
            guard left.height <= Self.maximumDepth else { throw tooDeep() }
        }
        return left
    }

    private func tooDeep() -> ExpressionError {
        ExpressionError("the expression nests deeper than \(Self.maximumDepth)", position: current.position)
    }

    private mutating func prefix(restricted: Bool) throws(ExpressionError) -> SyntaxNode {
        let token = current
        if token.isWord("not"), !restricted {
            advance()
            return SyntaxNode(.not(try expression(above: Power.not, restricted: false)), at: token.position)
        }
        guard case .op(let symbol) = token.kind else { return try primary() }
        switch symbol {
        case "+", "-":
            advance()
            let operand = try expression(above: Power.sign + 1, restricted: restricted)
            return symbol == "-" ? negated(operand, at: token.position) : prefixed("+", operand, at: token.position)
        case "*", "/", "%", "^", "<", ">", "=", "<=", ">=", "<>": throw unexpected()
        default:
            advance()
            let operand = try expression(above: Power.other + 1, restricted: restricted)
            return prefixed(symbol, operand, at: token.position)
        }
    }

    private func prefixed(_ symbol: String, _ operand: SyntaxNode, at position: Int) -> SyntaxNode {
        SyntaxNode(.prefix(symbol, operand), at: position)
    }

    /// A minus before a literal is part of it, so that the smallest bigint can be written.
    private func negated(_ operand: SyntaxNode, at position: Int) -> SyntaxNode {
        switch operand.kind {
        case .integer(let value) where value != .min: return SyntaxNode(.integer(-value), at: position)
        case .numeric(let digits) where !digits.hasPrefix("-"):
            if let value = Int64("-" + digits) { return SyntaxNode(.integer(value), at: position) }
            return SyntaxNode(.numeric("-" + digits), at: position)
        default: return prefixed("-", operand, at: position)
        }
    }

    /// How tightly the operator at hand binds; nil where the expression ends.
    private func infixPower(restricted: Bool) -> Int? {
        switch current.kind {
        case .op("<"), .op(">"), .op("="), .op("<="), .op(">="), .op("<>"): return Power.comparison
        case .op("+"), .op("-"): return Power.sum
        case .op("*"), .op("/"), .op("%"): return Power.product
        case .op("^"): return Power.exponent
        case .op: return Power.other
        case .typecast: return Power.typecast
        case .leftBracket: return Power.subscripting
        case .name("is"):
            guard restricted else { return Power.is }
            let distance = ahead(1).isWord("not") ? 2 : 1
            return ahead(distance).isWord("distinct") ? Power.is : nil
        case .name(let word) where !restricted: return wordPower(word)
        default: return nil
        }
    }

    private func wordPower(_ word: String) -> Int? {
        switch word {
        case "or": return Power.or
        case "and": return Power.and
        case "isnull", "notnull": return Power.is
        case "between", "in", "like", "ilike", "similar": return Power.like
        case "not":
            let following = ["between", "in", "like", "ilike", "similar"]
            return following.contains { ahead(1).isWord($0) } ? Power.like : nil
        case "at": return Power.at
        case "collate": return Power.collate
        default: return nil
        }
    }

    /// Applies the operator at hand to `left`; also answers the power at which a further operator is a syntax error.
    private mutating func infix(
        _ left: SyntaxNode, power: Int, restricted: Bool
    ) throws(ExpressionError) -> (SyntaxNode, nonAssociative: Int) {
        let token = current
        switch token.kind {
        case .op(let symbol):
            advance()
            let right = try expression(above: power + 1, restricted: restricted)
            let node = SyntaxNode(.infix(symbol, left, right), at: token.position)
            return (node, power == Power.comparison ? power : 0)
        case .typecast:
            advance()
            return (SyntaxNode(.cast(left, try typeName()), at: token.position), 0)
        case .leftBracket: throw ExpressionError("items of arrays are not supported", position: token.position)
        case .name("or"), .name("and"):
            advance()
            let right = try expression(above: power + 1, restricted: false)
            return (SyntaxNode(token.isWord("or") ? .or(left, right) : .and(left, right), at: token.position), 0)
        case .name("isnull"), .name("notnull"):
            advance()
            return (SyntaxNode(.test(.null, left, negated: token.isWord("notnull")), at: token.position), 0)
        case .name("is"): return try isTest(left, restricted: restricted)
        case .name("at"):
            advance()
            try expectWord("time")
            try expectWord("zone")
            let zone = try expression(above: power + 1, restricted: false)
            return (SyntaxNode(.call("timezone", [zone, left]), at: token.position), 0)
        case .name("collate"): throw ExpressionError("COLLATE is not supported", position: token.position)
        default: return try likeOrMembership(left)
        }
    }

    private mutating func isTest(
        _ left: SyntaxNode, restricted: Bool
    ) throws(ExpressionError) -> (SyntaxNode, nonAssociative: Int) {
        let position = advance().position
        let negated = takeWord("not")
        let word = advance()
        switch word.kind {
        case .name("null"): return (SyntaxNode(.test(.null, left, negated: negated), at: position), 0)
        case .name("true"): return (SyntaxNode(.test(.isTrue, left, negated: negated), at: position), 0)
        case .name("false"): return (SyntaxNode(.test(.isFalse, left, negated: negated), at: position), 0)
        case .name("unknown"): return (SyntaxNode(.test(.unknown, left, negated: negated), at: position), 0)
        case .name("distinct"):
            try expectWord("from")
            let right = try expression(above: Power.is + 1, restricted: restricted)
            return (SyntaxNode(.distinct(left, right, negated: negated), at: position), Power.is)
        default:
            index -= word.kind == .end ? 0 : 1
            throw unexpected()
        }
    }

    private mutating func likeOrMembership(
        _ left: SyntaxNode
    ) throws(ExpressionError) -> (SyntaxNode, nonAssociative: Int) {
        let position = current.position
        let negated = takeWord("not")
        let word = advance()
        switch word.kind {
        case .name("in"): return (try membership(left, negated: negated, at: position), 0)
        case .name("between"):
            let symmetric = takeWord("symmetric")
            if !symmetric { _ = takeWord("asymmetric") }
            let low = try expression(above: 0, restricted: true)
            try expectWord("and")
            let high = try expression(above: Power.like + 1, restricted: false)
            let kind = SyntaxNode.Kind.between(left, low, high, symmetric: symmetric, negated: negated)
            return (SyntaxNode(kind, at: position), Power.like)
        case .name("similar"):
            try expectWord("to")
            let pattern = try expression(above: Power.like + 1, restricted: false)
            let escape = takeWord("escape") ? [try expression(above: Power.like + 1, restricted: false)] : []
            let node = SyntaxNode(.call(SpecialCall.similar.rawValue, [left, pattern] + escape), at: position)
            return (negated ? SyntaxNode(.not(node), at: position) : node, Power.like)
        default:
            let pattern = try expression(above: Power.like + 1, restricted: false)
            let escape = takeWord("escape") ? try expression(above: Power.like + 1, restricted: false) : nil
            let insensitive = word.isWord("ilike")
            let kind = SyntaxNode.Kind.like(
                left, pattern, escape: escape, caseInsensitive: insensitive, negated: negated)
            return (SyntaxNode(kind, at: position), Power.like)
        }
    }

    private mutating func membership(
        _ left: SyntaxNode, negated: Bool, at position: Int
    ) throws(ExpressionError) -> SyntaxNode {
        try expect(.leftParen)
        if current.isWord("select") {
            throw ExpressionError("subqueries are not supported", position: current.position)
        }
        let items = try list()
        return SyntaxNode(.inList(left, items, negated: negated), at: position)
    }

    /// Expressions between commas up to the closing parenthesis, which is taken; at least one.
    mutating func list() throws(ExpressionError) -> [SyntaxNode] {
        var items: [SyntaxNode] = []
        repeat { items.append(try expression()) } while take(.comma)
        try expect(.rightParen)
        return items
    }
}
