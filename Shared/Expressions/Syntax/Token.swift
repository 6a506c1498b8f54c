/// One lexical element of an expression.
struct Token: Hashable, Sendable {
    enum Kind: Hashable, Sendable {
        /// An unquoted name, folded to lower case; keywords arrive as names too.
        case name(String)
        /// A name in double quotes, exactly as written.
        case quotedName(String)
        case number(String)
        case string(String)
        case op(String)
        case leftParen, rightParen, leftBracket, rightBracket, comma, dot, typecast
        case end
    }

    let kind: Kind
    /// 1-based, in characters.
    let position: Int
    /// The text as written, for messages.
    let text: String

    /// Whether this is the unquoted word, given in lower case.
    func isWord(_ word: String) -> Bool {
        if case .name(let name) = kind { return name == word }
        return false
    }

    func isOperator(_ symbol: String) -> Bool {
        if case .op(let name) = kind { return name == symbol }
        return false
    }
}
