import Records

/// The types that occur inside expressions: those of columns, and some that only live there.
enum SQLType: Hashable, Sendable, CaseIterable {
    case text, int8, float8, numeric, bool, timestamptz, date, uuid, jsonb
    /// A date and a time of day of no zone, as a clock shows them somewhere. Stored, it is read as UTC.
    case timestamp
    /// Months, days and microseconds, for timestamp arithmetic.
    case interval
    /// Bytes, between the functions that make and take them.
    case bytea
    /// Texts, for the operators that take paths and keys of jsonb (``TextArray``).
    case textArray
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

    /// The column type that stores it; what has none is stored as text.
    var columnType: ColumnType {
        switch self {
        case .text, .unknown, .interval, .bytea, .textArray: .text
        case .int8: .int8
        case .float8: .float8
        case .numeric: .numeric
        case .bool: .bool
        case .timestamptz, .timestamp: .timestamptz
        case .date: .date
        case .uuid: .uuid
        case .jsonb: .jsonb
        }
    }

    /// Whether untyped columns are read as it by way of text, since no column is of it.
    var isInternal: Bool { [.timestamp, .interval, .bytea, .textArray].contains(self) }

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
        case .timestamp: "timestamp without time zone"
        case .interval: "interval"
        case .bytea: "bytea"
        case .textArray: "text[]"
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
