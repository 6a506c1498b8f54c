/// One column of a batch: `count` values, of which those with `validity[i] == 1` are present.
///
/// The storage's case follows from the type (see ``ColumnStorage``); absent values have a slot there too, whose
/// content means nothing. Copies share their buffers until one is changed.
public struct Column: Sendable {
    public var type: ColumnKind
    public var count: Int
    /// 1 where a value is present, 0 where it is NULL; `count` entries.
    public var validity: [UInt8]
    public var storage: ColumnStorage

    /// A column of the given parts. `validity.count` and the storage's count are the column's count.
    public init(type: ColumnKind, validity: [UInt8], storage: ColumnStorage) {
        assert(storage.count == validity.count)
        self.type = type
        self.count = validity.count
        self.validity = validity
        self.storage = storage
    }

    /// A typed column; all values are present unless `validity` says otherwise.
    public init(_ type: ColumnType, _ storage: ColumnStorage, validity: [UInt8]? = nil) {
        self.init(
            type: .typed(type), validity: validity ?? [UInt8](repeating: 1, count: storage.count), storage: storage)
    }

    /// A typed column of `count` NULLs.
    public static func nulls(_ type: ColumnType, count: Int) -> Column {
        Column(type, ColumnStorage.zeros(for: type, count: count), validity: [UInt8](repeating: 0, count: count))
    }

    /// An untyped column. A missing field and a JSON null are both NULL.
    public init(untyped values: VariantColumn) {
        let validity = values.kinds.map { $0 >= VariantKind.firstPresent ? UInt8(1) : 0 }
        self.init(type: .untyped, validity: validity, storage: .variant(values))
    }

    /// Whether the value at `row` is present.
    public func isPresent(_ row: Int) -> Bool { validity[row] != 0 }

    /// The number of NULLs.
    public var nullCount: Int { validity.reduce(into: 0) { $0 += 1 - Int($1) } }
}

/// The values of a column, one slot a row.
public enum ColumnStorage: Sendable {
    /// int8; timestamptz in µs since 2000-01-01 00:00 UTC and date in days since 2000-01-01, with
    /// `Int64.max`/`Int64.min` for infinity/-infinity.
    case int64([Int64])
    /// float8.
    case float64([Double])
    /// bool: 0 or 1.
    case bool([UInt8])
    /// text (UTF-8), numeric (canonical decimal text as PostgreSQL prints it; `NaN`, `Infinity`, `-Infinity`),
    /// jsonb (valid JSON text), uuid (16 raw bytes each).
    case bytes(ByteColumn)
    /// Untyped values as they came.
    case variant(VariantColumn)

    public var count: Int {
        switch self {
        case .int64(let values): values.count
        case .float64(let values): values.count
        case .bool(let values): values.count
        case .bytes(let values): values.count
        case .variant(let values): values.count
        }
    }

    /// The storage a typed column has, with `count` zero values (empty byte strings).
    public static func zeros(for type: ColumnType, count: Int) -> ColumnStorage {
        switch type {
        case .int8, .timestamptz, .date: .int64([Int64](repeating: 0, count: count))
        case .float8: .float64([Double](repeating: 0, count: count))
        case .bool: .bool([UInt8](repeating: 0, count: count))
        case .text, .numeric, .jsonb, .uuid:
            .bytes(ByteColumn(offsets: [UInt32](repeating: 0, count: count + 1), data: []))
        }
    }
}
