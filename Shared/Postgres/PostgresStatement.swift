/// A statement with constant text: prepared once a connection, then only bound and executed.
///
/// `sql` must be the same at every call: the prepared statement is found by the type. Its results come in binary
/// format, so the text names the columns and their types. Parameters are `$1`, `$2`, … in the order of `parameters`.
public protocol PostgresStatement: Sendable {
    /// What one row becomes; left out by statements that return none.
    associatedtype Row: Sendable = PostgresNoRow

    static var sql: String { get }
    var parameters: [PostgresValue] { get }
    /// Makes a value of one row. Errors: `.decode`.
    static func decode(_ row: PostgresRow) throws(PostgresError) -> Row
}

extension PostgresStatement {
    public var parameters: [PostgresValue] { [] }
}

/// The row of a statement that returns none; there is no value of it.
public enum PostgresNoRow: Sendable {}

extension PostgresStatement where Row == PostgresNoRow {
    public static func decode(_ row: PostgresRow) throws(PostgresError) -> PostgresNoRow {
        throw PostgresError(.decode, "the statement returns rows and does not say how to decode them", doing: "decode")
    }
}
