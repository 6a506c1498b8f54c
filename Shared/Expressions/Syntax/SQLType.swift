import Records

/// The types that occur inside expressions: those of columns, and two that only live there.
enum SQLType: Hashable, Sendable {
    case text, int8, float8, numeric, bool, timestamptz, date, uuid, jsonb
    /// Months, days and microseconds, for timestamp arithmetic.
    case interval
    /// Text, whose type is taken from its context: quoted literals, NULL, and untyped columns.
    case unknown

    init(_ type: ColumnType) {
        self =
            switch type {
            case .text: .text
            case .int8: .int8
            case .float8: .float8
            case .numeric: .numeric
            case .bool: .bool
            case .timestamptz: .timestamptz
            case .date: .date
            case .uuid: .uuid
            case .jsonb: .jsonb
            }
    }

    /// The column type that stores it; intervals and unknowns are stored as text.
    var columnType: ColumnType {
        switch self {
        case .text, .unknown, .interval: .text
        case .int8: .int8
        case .float8: .float8
        case .numeric: .numeric
        case .bool: .bool
        case .timestamptz: .timestamptz
        case .date: .date
        case .uuid: .uuid
        case .jsonb: .jsonb
        }
    }

    /// PostgreSQL's name for it in messages.
    var name: String {
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
        case .interval: "interval"
        case .unknown: "unknown"
        }
    }
}

/// A type as it is written in a cast, with what narrows it.
struct TypeName: Hashable, Sendable {
    enum Modifier: Hashable, Sendable {
        case none
        /// `int4` and `int2`: kept as int8, checked against the narrower range.
        case range(Int64, String)
        /// `numeric(precision, scale)`.
        case numeric(precision: Int, scale: Int)
    }

    let type: SQLType
    var modifier = Modifier.none
}
