/// A data set's column types, each the PostgreSQL type of the same name.
public enum ColumnType: String, Sendable, Hashable, CaseIterable {
    case text, int8, float8, numeric, bool, timestamptz, date, uuid, jsonb

    /// The name PostgreSQL's messages and `format_type` use, as in `invalid input syntax for type bigint`.
    public var displayName: String {
        switch self {
        case .text: "text"
        case .int8: "bigint"
        case .float8: "double precision"
        case .numeric: "numeric"
        case .bool: "boolean"
        case .timestamptz: "timestamp with time zone"
        case .date: "date"
        case .uuid: "uuid"
        case .jsonb: "jsonb"
        }
    }
}

/// What is known of a column's type.
///
/// An untyped column behaves in expressions as an untyped literal does in PostgreSQL: it takes the type its context
/// gives it, and is text where nothing does.
public enum ColumnKind: Sendable, Hashable {
    case typed(ColumnType)
    case untyped
}
