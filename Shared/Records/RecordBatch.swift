/// A column with its name.
public struct NamedColumn: Sendable {
    public var name: String
    public var column: Column

    public init(_ name: String, _ column: Column) {
        self.name = name
        self.column = column
    }
}

/// Rows as columns of equal length, in the order the columns were first seen.
public struct RecordBatch: Sendable {
    /// The ordinal, in its ``BatchFrame``, of the record each row came from. Its count is the row count.
    public var rows: [Int32]
    public var columns: [NamedColumn]
    /// Fields that have no column of their own: per row a JSON object, or NULL. A field comes here when its name is
    /// empty, longer than 63 bytes, begins with `_`, or when the batch has no room for another column. jsonb.
    public var extra: Column?
    /// Names of the fields in `extra`, in the order they were first seen, at most 1,000.
    public var extraNames: [String]

    public init(
        rows: [Int32], columns: [NamedColumn] = [], extra: Column? = nil, extraNames: [String] = []
    ) {
        self.rows = rows
        self.columns = columns
        self.extra = extra
        self.extraNames = extraNames
    }

    public var rowCount: Int { rows.count }

    /// The place of the column with this name, compared by bytes.
    public func index(of name: String) -> Int? { columns.firstIndex { ColumnName.isSame($0.name, name) } }

    public subscript(name: String) -> Column? { index(of: name).map { columns[$0].column } }
}

/// Why one record or row was turned down, or one of its values.
public struct RowFault: Sendable, Equatable {
    /// The record's ordinal in its ``BatchFrame``.
    public var row: Int32
    /// A stable name, as `invalid_json` or `invalid_cast`.
    public var code: String
    /// The pipeline step, as `steps[1].cast`, where one is known.
    public var step: String?
    public var column: String?
    public var message: String

    public init(row: Int32, code: String, step: String? = nil, column: String? = nil, message: String) {
        self.row = row
        self.code = code
        self.step = step
        self.column = column
        self.message = message
    }
}
