import Records

/// The values of one node for all rows of a frame, or one value that stands for all of them.
struct Vector: Sendable {
    var type: SQLType
    /// Whether `valid` and `values` hold a single entry, for every row.
    var isConstant: Bool
    /// 1 where a value is present.
    var valid: [UInt8]
    var values: Values

    init(_ type: SQLType, _ values: Values, valid: [UInt8], isConstant: Bool = false) {
        self.type = type
        self.values = values
        self.valid = valid
        self.isConstant = isConstant
    }

    /// The number of entries.
    var count: Int { valid.count }

    /// Turns a row of the frame into the place of its entry.
    var mask: Int { isConstant ? 0 : ~0 }

    static func null(_ type: SQLType) -> Vector {
        Vector(type, Values.zeros(type, count: 1), valid: [0], isConstant: true)
    }

    static func constant<V: SQLValue>(_ type: SQLType, _ value: V) -> Vector {
        var buffer = V.Buffer(reserving: 1)
        buffer.append(value)
        return Vector(type, buffer.values, valid: [1], isConstant: true)
    }

    /// The entries of the given rows.
    func gathered(_ rows: [Int32]) -> Vector {
        guard !isConstant else { return self }
        return Vector(type, values.gathered(rows), valid: rows.map { valid[Int($0)] })
    }

    /// The same values with an entry for each of `count` rows.
    func spread(to count: Int) -> Vector {
        guard isConstant else { return self }
        let rows = [Int32](repeating: 0, count: count)
        return Vector(type, values.gathered(rows), valid: [UInt8](repeating: valid[0], count: count))
    }
}

/// An interval: months, days and microseconds are kept apart, as PostgreSQL does.
struct Interval: Hashable, Sendable {
    var months: Int32 = 0
    var days: Int32 = 0
    var microseconds: Int64 = 0

    /// What intervals compare by: a month is 30 days, a day 24 hours.
    var comparable: Int128 {
        (Int128(months) * 30 + Int128(days)) * 86_400_000_000 + Int128(microseconds)
    }
}

/// Typed buffers, one entry a row; absent values have one too.
enum Values: Sendable {
    /// int8, timestamptz, timestamp, date.
    case int64([Int64])
    case float64([Double])
    case bool([UInt8])
    /// text, jsonb, uuid, bytea, text[].
    case bytes(ByteColumn)
    case decimal(DecimalBuffer)
    case interval([Interval])

    static func zeros(_ type: SQLType, count: Int) -> Values {
        switch type {
        case .int8, .timestamptz, .timestamp, .date: .int64([Int64](repeating: 0, count: count))
        case .float8: .float64([Double](repeating: 0, count: count))
        case .bool: .bool([UInt8](repeating: 0, count: count))
        case .numeric: .decimal(DecimalBuffer(zeros: count))
        case .interval: .interval([Interval](repeating: Interval(), count: count))
        case .text, .jsonb, .uuid, .bytea, .textArray, .unknown:
            .bytes(ByteColumn(offsets: [UInt32](repeating: 0, count: count + 1), data: []))
        }
    }

    func gathered(_ rows: [Int32]) -> Values {
        switch self {
        case .int64(let values): .int64(rows.map { values[Int($0)] })
        case .float64(let values): .float64(rows.map { values[Int($0)] })
        case .bool(let values): .bool(rows.map { values[Int($0)] })
        case .interval(let values): .interval(rows.map { values[Int($0)] })
        case .decimal(let values): .decimal(values.gathered(rows))
        case .bytes(let values): .bytes(values.gathered(rows))
        }
    }
}

extension ByteColumn {
    func gathered(_ rows: [Int32]) -> ByteColumn {
        var result = ByteColumn(reserving: rows.count, bytes: rows.count * 16)
        for row in rows { result.append(self[Int(row)]) }
        return result
    }
}
