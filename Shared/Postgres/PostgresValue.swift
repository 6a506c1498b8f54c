/// A value bound to a statement's parameter, sent in PostgreSQL's binary format with its type.
///
/// The type is part of the statement: `$1` given an `int8` is an int8 parameter, as if written `$1::int8`. NULL takes
/// whatever type the statement gives it.
public enum PostgresValue: Sendable, Equatable {
    case null
    case bool(Bool)
    case int2(Int16)
    case int4(Int32)
    case int8(Int64)
    case float8(Double)
    case text(String)
    /// bytea. A large array is handed to libpq without being copied first.
    case bytes([UInt8])
    /// jsonb, as JSON text in UTF-8.
    case json([UInt8])
    /// timestamptz, microseconds since 2000-01-01 UTC; `Int64.max` and `.min` are the infinities.
    case timestamp(microsSince2000: Int64)
    /// Days since 2000-01-01.
    case date(daysSince2000: Int32)
    /// interval, microseconds only.
    case interval(microseconds: Int64)
    /// 16 bytes.
    case uuid([UInt8])
    /// Text without NUL whose type the statement decides, as with a literal: for enums and other types without a case
    /// here, and for values whose type nobody has said.
    case inferred(String)
    case boolArray([Bool])
    case int2Array([Int16])
    case int4Array([Int32])
    case int8Array([Int64])
    case optionalInt8Array([Int64?])
    case float8Array([Double])
    case textArray([String?])
    case byteaArray([[UInt8]])
    /// jsonb[], each JSON text in UTF-8.
    case jsonArray([[UInt8]])
    /// timestamptz[], as `timestamp`.
    case timestampArray(microsSince2000: [Int64])
}

extension PostgresValue {
    /// The value made by `make`, or NULL.
    public static func optional<T>(_ value: T?, _ make: (T) -> PostgresValue) -> PostgresValue {
        if let value { make(value) } else { .null }
    }

    /// An `Int` as int8.
    public static func int(_ value: Int) -> PostgresValue { .int8(Int64(value)) }

    /// A length of time as an interval, to the microsecond; what does not fit is cut to what does.
    public static func interval(_ duration: Duration) -> PostgresValue {
        let (seconds, attoseconds) = duration.components
        let limit = Int64.max / 2_000_000
        let whole = min(max(seconds, -limit), limit) * 1_000_000
        return .interval(microseconds: whole + attoseconds / 1_000_000_000_000)
    }

    /// The parameter's type; 0 leaves it to the server.
    var typeOID: UInt32 {
        switch self {
        case .null, .inferred: TypeOID.unspecified
        case .bool: TypeOID.bool
        case .int2: TypeOID.int2
        case .int4: TypeOID.int4
        case .int8: TypeOID.int8
        case .float8: TypeOID.float8
        case .text: TypeOID.text
        case .bytes: TypeOID.bytea
        case .json: TypeOID.jsonb
        case .timestamp: TypeOID.timestamptz
        case .date: TypeOID.date
        case .interval: TypeOID.interval
        case .uuid: TypeOID.uuid
        case .boolArray: TypeOID.boolArray
        case .int2Array: TypeOID.int2Array
        case .int4Array: TypeOID.int4Array
        case .int8Array, .optionalInt8Array: TypeOID.int8Array
        case .float8Array: TypeOID.float8Array
        case .textArray: TypeOID.textArray
        case .byteaArray: TypeOID.byteaArray
        case .jsonArray: TypeOID.jsonbArray
        case .timestampArray: TypeOID.timestamptzArray
        }
    }
}
