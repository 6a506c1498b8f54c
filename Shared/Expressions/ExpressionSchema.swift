public import Records

/// The columns an expression may name.
public struct ExpressionSchema: Sendable {
    /// The columns that are known, with what is known of their types.
    public private(set) var columns: [String: ColumnKind]
    /// Whether any other name is an untyped field, which is NULL where a record lacks it; else it is a mistake.
    public var isOpen: Bool

    /// - Parameter isOpen: for JSON and CSV records, whose fields are not known when an expression is compiled.
    public init(_ columns: [(name: String, kind: ColumnKind)] = [], isOpen: Bool = false) {
        self.columns = Dictionary(columns.map { ($0.name, $0.kind) }) { _, last in last }
        self.isOpen = isOpen
    }

    public subscript(name: String) -> ColumnKind? {
        get { columns[name] }
        set { columns[name] = newValue }
    }
}
