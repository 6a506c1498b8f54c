public import Records

/// The columns an expression may name.
public struct ExpressionSchema: Sendable {
    /// The columns that are known, with what is known of their types.
    public private(set) var columns: [String: ColumnKind]
    /// The text columns whose collation is ICU's root, `und-x-icu`; that of all others is "C".
    let unicode: Set<String>
    /// Whether any other name is an untyped field, which is NULL where a record lacks it; else it is a mistake.
    public var isOpen: Bool

    /// - Parameters:
    ///   - isOpen: for JSON and CSV records, whose fields are not known when an expression is compiled.
    ///   - collations: those that columns were declared with, by name, for conditions that PostgreSQL computes.
    public init(
        _ columns: [(name: String, kind: ColumnKind)] = [], collations: [String: String] = [:], isOpen: Bool = false
    ) {
        self.columns = Dictionary(columns.map { ($0.name, $0.kind) }) { _, last in last }
        unicode = Set(collations.filter { $0.value == "und-x-icu" }.keys)
        self.isOpen = isOpen
    }

    public subscript(name: String) -> ColumnKind? {
        get { columns[name] }
        set { columns[name] = newValue }
    }
}
