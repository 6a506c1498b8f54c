import Records

/// A text column that is filled value by value.
struct TextBuilder {
    private(set) var values: ByteColumn
    private(set) var validity: [UInt8] = []

    init(rows: Int) {
        values = ByteColumn(reserving: rows, bytes: rows * 16)
        validity.reserveCapacity(rows)
    }

    mutating func append(_ text: Span<UInt8>) {
        JSONText.append(text, into: &values.data)
        end()
    }

    /// A value that `write` appends.
    mutating func append<Failure: Error>(_ write: (inout [UInt8]) throws(Failure) -> Void) throws(Failure) {
        try write(&values.data)
        end()
    }

    mutating func appendNull() {
        values.endValue()
        validity.append(0)
    }

    private mutating func end() {
        values.endValue()
        validity.append(1)
    }

    /// Takes back what was written for rows from `count` on, and what was begun.
    mutating func truncate(_ count: Int) {
        if validity.count > count {
            validity.removeLast(validity.count - count)
            values.offsets.removeLast(values.offsets.count - count - 1)
        }
        values.data.removeLast(values.data.count - Int(values.offsets[count]))
    }

    func column(_ type: ColumnType = .text) -> Column { Column(type, .bytes(values), validity: validity) }
}

/// A column of int8, timestamptz or date that is filled value by value.
struct IntBuilder {
    private var values: [Int64] = []
    private var validity: [UInt8] = []

    init(rows: Int) {
        values.reserveCapacity(rows)
        validity.reserveCapacity(rows)
    }

    mutating func append(_ value: Int64?) {
        values.append(value ?? 0)
        validity.append(value == nil ? 0 : 1)
    }

    mutating func truncate(_ count: Int) {
        guard values.count > count else { return }
        values.removeLast(values.count - count)
        validity.removeLast(validity.count - count)
    }

    func column(_ type: ColumnType) -> Column { Column(type, .int64(values), validity: validity) }
}
