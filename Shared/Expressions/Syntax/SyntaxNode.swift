/// A parsed expression, before names and types are resolved.
struct SyntaxNode: Sendable {
    indirect enum Kind: Sendable {
        case integer(Int64)
        case numeric(String)
        case string(String)
        case boolean(Bool)
        case null
        /// A field; `spelled` is what was written, where folding changed it.
        case column(String, spelled: String?)
        case prefix(String, SyntaxNode)
        case infix(String, SyntaxNode, SyntaxNode)
        case and(SyntaxNode, SyntaxNode)
        case or(SyntaxNode, SyntaxNode)
        case not(SyntaxNode)
        case test(Test, SyntaxNode, negated: Bool)
        case distinct(SyntaxNode, SyntaxNode, negated: Bool)
        case between(SyntaxNode, SyntaxNode, SyntaxNode, symmetric: Bool, negated: Bool)
        case inList(SyntaxNode, [SyntaxNode], negated: Bool)
        case like(SyntaxNode, SyntaxNode, escape: SyntaxNode?, caseInsensitive: Bool, negated: Bool)
        case conditional(operand: SyntaxNode?, branches: [Branch], otherwise: SyntaxNode?)
        case call(String, [SyntaxNode])
        case cast(SyntaxNode, TypeName)
    }

    enum Test: Hashable, Sendable { case null, isTrue, isFalse, unknown }

    struct Branch: Sendable {
        let condition: SyntaxNode
        let value: SyntaxNode
    }

    let kind: Kind
    /// 1-based, in characters; of an operator's node, the operator's own place, as PostgreSQL reports it.
    let position: Int
    /// Where the leftmost of its parts begins.
    let start: Int
    /// How deep the nodes below it nest, itself included.
    let height: Int

    init(_ kind: Kind, at position: Int) {
        self.kind = kind
        self.position = position
        let children = kind.children
        start = children.reduce(position) { min($0, $1.start) }
        height = 1 + (children.map(\.height).max() ?? 0)
    }
}

extension SyntaxNode.Kind {
    fileprivate var children: [SyntaxNode] {
        switch self {
        case .integer, .numeric, .string, .boolean, .null, .column: []
        case .prefix(_, let node), .not(let node), .test(_, let node, _), .cast(let node, _): [node]
        case .infix(_, let left, let right), .and(let left, let right), .or(let left, let right),
            .distinct(let left, let right, _):
            [left, right]
        case .between(let value, let low, let high, _, _): [value, low, high]
        case .inList(let value, let items, _): [value] + items
        case .like(let text, let pattern, let escape, _, _): [text, pattern] + (escape.map { [$0] } ?? [])
        case .conditional(let operand, let branches, let otherwise):
            [operand, otherwise].compactMap { $0 } + branches.flatMap { [$0.condition, $0.value] }
        case .call(_, let arguments): arguments
        }
    }
}
