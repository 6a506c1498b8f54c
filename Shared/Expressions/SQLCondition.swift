import Records

/// A condition in this language as a condition of a PostgreSQL statement: for rows that lie in a table.
///
/// Nothing of the user's text becomes SQL: what was parsed and checked is written anew, names quoted, functions and
/// operators from the language's own list, and quoted literals left out as parameters without a type, which take theirs
/// from the context as the literals do. Where the collation counts and no column has said it, "C" is written down: what
/// the database's own is makes no difference. In a session whose time zone is UTC it means what ``CompiledExpression``
/// computes.
public struct SQLCondition: Sendable {
    /// What stands for the parameters, in order.
    public let literals: [String]
    private let pieces: [String]

    /// - Parameters:
    ///   - schema: the table's columns.
    ///   - purpose: what it is for, in capitals, as `WHERE`.
    /// - Throws: the first mistake, with its column in the text.
    public init(_ text: String, schema: ExpressionSchema, purpose: String) throws(ExpressionError) {
        let node = try Parser.parse(text)
        var checker = Checker(schema: schema)
        _ = try checker.condition(node, of: purpose)
        var writer = SQLWriter(schema: schema)
        try writer.write(node)
        pieces = writer.pieces
        literals = writer.literals
    }

    /// The text, whose parameters are `$first`, `$first + 1`, …
    public func text(firstParameter first: Int) -> String {
        var text = pieces.first ?? ""
        for (place, piece) in pieces.dropFirst().enumerated() { text += "$\(first + place)" + piece }
        return text
    }

    /// The text with its literals in their places, for statements that take no parameters; `quote` makes a literal
    /// without a type.
    public func text(quotedBy quote: (String) -> String) -> String {
        var text = pieces.first ?? ""
        for (literal, piece) in zip(literals, pieces.dropFirst()) { text += quote(literal) + piece }
        return text
    }
}

extension SQLWriter {
    /// What is written behind the first of two operands, whose order, case or pattern is asked for.
    fileprivate func collation(forced symbol: String, _ left: SyntaxNode, _ right: SyntaxNode) -> String? {
        switch symbol {
        case "<", "<=", ">", ">=", "~~*", "!~~*": collation(of: [left, right], isBytes: false)
        case "~", "~*", "!~", "!~*": collation(of: [left], isBytes: true)
        default: nil
        }
    }

    /// What is written behind the first of these, so that PostgreSQL goes by the collation that an operation over them
    /// has here; nil where it does so anyway, or they are no text.
    /// - Parameter isBytes: the operation goes by "C" whatever its operands have.
    fileprivate func collation(of operands: ArraySlice<SyntaxNode>, isBytes: Bool) -> String? {
        var checker = Checker(schema: schema)
        guard let first = operands.first, let plans = try? operands.map({ try checker.check($0) }),
            plans.allSatisfy({ $0.type == .text || $0.type == .unknown })
        else { return nil }
        let collation = try? checker.collation(of: plans, at: first.position)
        guard collation == nil || isBytes && collation == .unicode else { return nil }
        return (first.isString ? "::text" : "") + " collate \"C\""
    }
}

/// Writes a checked expression as SQL. Every operation is in parentheses, so that precedence plays no part.
private struct SQLWriter {
    let schema: ExpressionSchema
    /// The text between the parameters.
    var pieces = [""]
    var literals: [String] = []

    mutating func write(_ node: SyntaxNode) throws(ExpressionError) {
        switch node.kind {
        // Plain where it fits into int4, which PostgreSQL's functions, jsonb's and date's operators want.
        case .integer(let value): put(Int32(exactly: value) == nil ? "('\(value)'::int8)" : "(\(value))")
        case .numeric(let digits): put("('\(digits)'::numeric)")
        case .string(let text): bind(text)
        case .boolean(let value): put(value ? "true" : "false")
        case .null: put("null")
        case .column(let name, _): put(Self.quoted(name))
        case .cast(let operand, let type):
            try enclose { (writer) throws(ExpressionError) in
                try writer.write(operand)
                writer.put(writer.cast(operand, to: type))
            }
        case .call(let name, let arguments):
            if !bind(constant: node) { try call(name, arguments, at: node.position) }
        case .conditional(let operand, let branches, let otherwise):
            try conditional(operand, branches, otherwise)
        default: try enclose { (writer) throws(ExpressionError) in try writer.operation(node) }
        }
    }

    private mutating func operation(_ node: SyntaxNode) throws(ExpressionError) {
        switch node.kind {
        case .prefix(let symbol, let operand):
            try put(operator: symbol, at: node.position)
            try write(operand)
        case .infix(let symbol, let left, let right):
            let narrow = narrow(symbol, left, right)
            try write(left)
            if let collation = collation(forced: symbol, left, right) {
                put(collation)
            } else if narrow.contains(0) {
                put("::int4")
            } else if left.isIntegerConstant, right.isIntegerConstant {
                // All integers are int8 here: 86400 * 365 * 1000 must not overflow.
                put("::int8")
            }
            try put(operator: symbol, at: node.position)
            try write(right)
            if narrow.contains(1) { put("::int4") }
        case .and(let left, let right): try join(left, " and ", right)
        case .or(let left, let right): try join(left, " or ", right)
        case .not(let operand):
            put("not ")
            try write(operand)
        case .test(let test, let operand, let negated):
            try write(operand)
            put(negated ? " is not " : " is ")
            put(test.sqlName)
        case .distinct(let left, let right, let negated):
            try join(left, negated ? " is not distinct from " : " is distinct from ", right)
        case .between(let value, let low, let high, let symmetric, let negated):
            try write(value)
            put((negated ? " not between " : " between ") + (symmetric ? "symmetric (" : "("))
            try write(low)
            put((collation(forced: "<", low, value) ?? "") + ") and (")
            try write(high)
            put((collation(forced: "<", high, value) ?? "") + ")")
        case .inList(let value, let items, let negated):
            try write(value)
            put(negated ? " not in (" : " in (")
            try list(items)
            put(")")
        case .like(let text, let pattern, let escape, let insensitive, let negated):
            try write(text)
            put(insensitive ? collation(forced: "~~*", text, pattern) ?? "" : "")
            try join((negated ? " not" : "") + (insensitive ? " ilike " : " like "), pattern)
            if let escape {
                put(" escape ")
                try write(escape)
            }
        default: throw ExpressionError("this cannot be used here", position: node.position)
        }
    }

    /// What follows the operand of a cast. PostgreSQL converts booleans from and to int4 alone.
    private func cast(_ operand: SyntaxNode, to type: TypeName) -> String {
        var checker = Checker(schema: schema)
        switch (try? checker.check(operand).type, type.type) {
        case (.int8, .bool): return " <> 0"
        case (.bool, .int8): return "::int4::\(type.sqlName)"
        default: return "::\(type.sqlName)"
        }
    }

    /// The operands that PostgreSQL takes as int4.
    private func narrow(_ symbol: String, _ left: SyntaxNode, _ right: SyntaxNode) -> Set<Int> {
        guard let candidates = OperatorCatalog.binary[symbol], candidates.contains(where: { !$0.narrow.isEmpty }) else {
            return []
        }
        var checker = Checker(schema: schema)
        guard let first = try? checker.check(left).type, let second = try? checker.check(right).type,
            case .found(let signature) = Resolution.resolve(candidates, [first, second])
        else { return [] }
        return signature.narrow
    }

    private mutating func conditional(
        _ operand: SyntaxNode?, _ branches: [SyntaxNode.Branch], _ otherwise: SyntaxNode?
    ) throws(ExpressionError) {
        put("(case ")
        if let operand { try write(operand) }
        for branch in branches {
            put(" when ")
            try write(branch.condition)
            put(" then ")
            try write(branch.value)
        }
        if let otherwise {
            put(" else ")
            try write(otherwise)
        }
        put(" end)")
    }

    /// Functions are those the checker knows; the parser has brought the keyword forms to plain calls.
    private mutating func call(_ name: String, _ arguments: [SyntaxNode], at position: Int) throws(ExpressionError) {
        if let special = SpecialCall(rawValue: name) { return try self.special(special, arguments) }
        switch name {
        case "extract":
            guard let field = arguments.first, case .string(let text) = field.kind, arguments.count == 2,
                text.utf8.allSatisfy({ $0 | 0x20 &- 0x61 < 26 || $0 == 0x5F })
            else { throw ExpressionError("a field that extract does not know", position: position) }
            put("extract(\(text.lowercased()) from ")
            try write(arguments[1])
            return put(")")
        case "sha224", "sha256", "sha384", "sha512":
            guard arguments.count == 1, !arguments[0].isBytea else { break }
            put("pg_catalog.\(name)(pg_catalog.convert_to(")
            try list(arguments, casts: ["text"])
            return put(", 'UTF8'))")
        default:
            if OperatorCatalog.functions[name] == nil, arguments.count == 1, let type = TypeName.named(name) {
                return try write(SyntaxNode(.cast(arguments[0], type), at: position))
            }
        }
        put("pg_catalog.\(Self.quoted(name))(")
        // PostgreSQL's functions take int4 where this language has int8 only.
        let known = (OperatorCatalog.functions[name] ?? []).filter { $0.arguments.count == arguments.count }
        let narrow = known.first { !$0.narrow.isEmpty }?.narrow ?? []
        let isNarrow = { place in narrow.contains(place) && !arguments[place].isString }
        var collated: String?
        switch name {
        case "lower", "upper", "initcap": collated = collation(of: arguments[...], isBytes: false)
        // By a pattern; numbers are no text.
        case "substring" where arguments.count == 2: collated = collation(of: arguments.prefix(1), isBytes: true)
        default: break
        }
        try list(arguments, casts: arguments.indices.map { isNarrow($0) ? "int4" : nil }, collated: collated)
        put(")")
    }

    private mutating func special(_ call: SpecialCall, _ arguments: [SyntaxNode]) throws(ExpressionError) {
        let name = call.rawValue
        let texts = arguments.map { $0.isString ? "text" : nil }
        switch call {
        case .coalesce, .nullif:
            put("\(name)(")
            try list(arguments)
            put(")")
        case .greatest, .least:
            put("\(name)(")
            try list(arguments, collated: collation(of: arguments[...], isBytes: false))
            put(")")
        case .array:
            put("(array[")
            try list(arguments, casts: texts)
            put("]::text[])")
        case .similar:
            put("(")
            try write(arguments[0])
            put(collation(of: arguments.prefix(1), isBytes: true) ?? "")
            try join(" similar to ", arguments[1])
            if arguments.count > 2 {
                put(" escape ")
                try write(arguments[2])
            }
            put(")")
        case .regexpReplace, .regexpLike, .regexpCount, .regexpInstr, .regexpSubstr:
            put("pg_catalog.\(name)(")
            let isNarrow = { place in call.narrow.contains(place) && !arguments[place].isString }
            try list(
                arguments, casts: arguments.indices.map { isNarrow($0) ? "int4" : nil },
                collated: collation(of: arguments.prefix(1), isBytes: true))
            put(")")
        case .concat, .concatWithSeparator, .countNulls, .countNonNulls, .jsonbExtractPath, .jsonbExtractPathText,
            .jsonbBuildArray, .jsonbBuildObject, .toJSONB:
            put("pg_catalog.\(name)(")
            // Parameters for arguments of any type have none that PostgreSQL could tell.
            let isPath = call == .jsonbExtractPath || call == .jsonbExtractPathText
            try list(arguments, casts: isPath ? [] : texts)
            put(")")
        }
    }

    /// - Parameter collated: what is written behind the first.
    private mutating func list(
        _ items: [SyntaxNode], casts: [String?] = [], collated: String? = nil
    ) throws(ExpressionError) {
        for (place, item) in items.enumerated() {
            if place > 0 { put(", ") }
            try write(item)
            if let cast = place < casts.count ? casts[place] : nil { put("::\(cast)") }
            if place == 0, let collated { put(collated) }
        }
    }

    private mutating func join(_ left: SyntaxNode, _ word: String, _ right: SyntaxNode) throws(ExpressionError) {
        try write(left)
        try join(word, right)
    }

    private mutating func join(_ word: String, _ right: SyntaxNode) throws(ExpressionError) {
        put(word)
        try write(right)
    }

    private mutating func enclose(
        _ body: (inout SQLWriter) throws(ExpressionError) -> Void
    ) throws(ExpressionError) {
        put("(")
        try body(&self)
        put(")")
    }

    private mutating func put(_ text: String) {
        pieces[pieces.count - 1] += text
    }

    /// Binds a call that gives the same text for all rows, which would bring a collation of its own where a literal has
    /// none.
    private mutating func bind(constant node: SyntaxNode) -> Bool {
        var checker = Checker(schema: schema)
        guard case .constant(let vector)? = try? checker.check(node), vector.type == .text,
            case .bytes(let value) = vector.values
        else { return false }
        if vector.valid[0] == 0 { put("null") } else { bind(value.string(0)) }
        put("::text")
        return true
    }

    private mutating func bind(_ literal: String) {
        literals.append(literal)
        pieces.append("")
    }

    /// An operator of the language; no comment can begin in it.
    private mutating func put(operator symbol: String, at position: Int) throws(ExpressionError) {
        let isPlain = symbol.utf8.allSatisfy { "+-*/%^<>=~!@#&|?".utf8.contains($0) }
        guard isPlain, !symbol.contains("--"), !symbol.contains("/*") else {
            throw ExpressionError("operator \(symbol) cannot be used here", position: position)
        }
        put(" \(symbol) ")
    }

    private static func quoted(_ name: String) -> String {
        "\"" + name.replacing("\"", with: "\"\"") + "\""
    }
}

extension SyntaxNode {
    fileprivate var isString: Bool { if case .string = kind { true } else { false } }

    /// Whether it gives bytes, and not text.
    fileprivate var isBytea: Bool {
        switch kind {
        case .cast(_, let type): type.type == .bytea
        case .call(let name, let arguments):
            switch name {
            case "decode", "convert_to", "sha224", "sha256", "sha384", "sha512": true
            case "coalesce", "nullif", "greatest", "least": arguments.contains(where: \.isBytea)
            default: false
            }
        case .conditional(_, let branches, let otherwise):
            otherwise?.isBytea == true || branches.contains { $0.value.isBytea }
        case .infix("||", let left, let right): left.isBytea || right.isBytea
        default: false
        }
    }

    /// Made of integer literals alone.
    fileprivate var isIntegerConstant: Bool {
        switch kind {
        case .integer: true
        case .prefix(_, let operand): operand.isIntegerConstant
        case .infix(_, let left, let right): left.isIntegerConstant && right.isIntegerConstant
        default: false
        }
    }
}

extension SyntaxNode.Test {
    fileprivate var sqlName: String {
        switch self {
        case .null: "null"
        case .isTrue: "true"
        case .isFalse: "false"
        case .unknown: "unknown"
        }
    }
}

extension TypeName {
    /// As PostgreSQL casts to it.
    fileprivate var sqlName: String {
        switch modifier {
        case .range(_, let name): "\(name)::int8"
        case .numeric(let precision, let scale): "numeric(\(precision),\(scale))"
        case .none: type.name
        }
    }
}
