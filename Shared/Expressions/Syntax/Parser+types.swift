extension TypeName {
    /// Names of one word.
    private static let words: [String: TypeName] = [
        "text": TypeName(type: .text), "varchar": TypeName(type: .text),
        "int8": TypeName(type: .int8), "bigint": TypeName(type: .int8),
        "int4": TypeName(type: .int8, modifier: .range(Int64(Int32.max), "integer")),
        "integer": TypeName(type: .int8, modifier: .range(Int64(Int32.max), "integer")),
        "int": TypeName(type: .int8, modifier: .range(Int64(Int32.max), "integer")),
        "int2": TypeName(type: .int8, modifier: .range(Int64(Int16.max), "smallint")),
        "smallint": TypeName(type: .int8, modifier: .range(Int64(Int16.max), "smallint")),
        "float8": TypeName(type: .float8), "float": TypeName(type: .float8),
        "numeric": TypeName(type: .numeric), "decimal": TypeName(type: .numeric), "dec": TypeName(type: .numeric),
        "bool": TypeName(type: .bool), "boolean": TypeName(type: .bool),
        "timestamptz": TypeName(type: .timestamptz), "date": TypeName(type: .date), "uuid": TypeName(type: .uuid),
        "jsonb": TypeName(type: .jsonb), "interval": TypeName(type: .interval), "bytea": TypeName(type: .bytea),
    ]

    /// Whether a type's name may begin with the word.
    static func begins(with word: String) -> Bool {
        words[word] != nil || ["double", "character", "timestamp", "time"].contains(word)
    }

    /// The type of a one-word name, as in the call-like cast `float8(x)`.
    static func named(_ word: String) -> TypeName? { words[word] }
}

extension Parser {
    /// A type's name in a cast.
    mutating func typeName() throws(ExpressionError) -> TypeName {
        let token = advance()
        guard case .name(let word) = token.kind else {
            if case .quotedName(let word) = token.kind, let type = TypeName.named(word) { return type }
            throw ExpressionError("syntax error at or near \"\(token.text)\"", position: token.position)
        }
        if current.kind == .leftBracket {
            advance()
            guard word == "text", take(.rightBracket), current.kind != .leftBracket else {
                throw ExpressionError("of arrays only text[] is supported", position: token.position)
            }
            return TypeName(type: .textArray)
        }
        switch word {
        case "double":
            try expectWord("precision")
            return TypeName(type: .float8)
        case "character":
            try expectWord("varying")
            try refuseLength("character varying")
            return TypeName(type: .text)
        case "varchar":
            try refuseLength(word)
            return TypeName(type: .text)
        case "timestamp", "timestamptz": return try timestamp(word)
        case "numeric", "decimal", "dec": return try numeric()
        case "time", "timetz", "json", "real", "float4", "char", "bpchar", "name", "inet", "bit":
            throw ExpressionError(
                "type \"\(word)\" is not supported; the types are text, int8, float8, numeric, bool, timestamptz, "
                    + "date, uuid and jsonb", position: token.position)
        default:
            guard let type = TypeName.named(word) else {
                throw ExpressionError("type \"\(word)\" does not exist", position: token.position)
            }
            return type
        }
    }

    private mutating func timestamp(_ word: String) throws(ExpressionError) -> TypeName {
        try refuseLength(word)
        if word == "timestamptz" { return TypeName(type: .timestamptz) }
        guard current.isWord("with") || current.isWord("without") else { return TypeName(type: .timestamp) }
        let isZoned = advance().isWord("with")
        try expectWord("time")
        try expectWord("zone")
        return TypeName(type: isZoned ? .timestamptz : .timestamp)
    }

    private mutating func numeric() throws(ExpressionError) -> TypeName {
        guard current.kind == .leftParen else { return TypeName(type: .numeric) }
        let position = advance().position
        var sizes: [Int] = []
        repeat {
            let sign = current.isOperator("-") ? -1 : 1
            if sign < 0 { advance() }
            guard case .number(let digits) = advance().kind, let size = Int(digits) else {
                throw ExpressionError("invalid type modifier", position: position)
            }
            sizes.append(sign * size)
        } while take(.comma)
        try expect(.rightParen)
        guard sizes.count <= 2 else { throw ExpressionError("invalid NUMERIC type modifier", position: position) }
        guard (1...1000).contains(sizes[0]) else {
            throw ExpressionError("NUMERIC precision \(sizes[0]) must be between 1 and 1000", position: position)
        }
        let scale = sizes.count == 2 ? sizes[1] : 0
        guard (-1000...1000).contains(scale) else {
            throw ExpressionError("NUMERIC scale \(scale) must be between -1000 and 1000", position: position)
        }
        return TypeName(type: .numeric, modifier: .numeric(precision: sizes[0], scale: scale))
    }

    private func refuseLength(_ word: String) throws(ExpressionError) {
        guard current.kind == .leftParen else { return }
        throw ExpressionError("\(word) takes no length here; use left(…) or text", position: current.position)
    }
}
