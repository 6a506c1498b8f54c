/// The rows of some columns sorted into groups of equal values.
///
/// Values of typed columns are equal as PostgreSQL has it, except jsonb, which is compared by its text. Untyped values
/// are equal when their texts are: `1` and `"1"`, not `1` and `1.0`. NULL equals NULL.
public struct RowGroups: Sendable {
    /// Of each row its group, from 0, in the order in which they first occur.
    public private(set) var numbers: [Int32] = []
    /// How many there are.
    public private(set) var count = 0
    /// 1 for each row that has a NULL in one of the columns.
    public private(set) var hasNull: [UInt8]

    /// - Parameters:
    ///   - columns: all of `rows` values; none at all makes one group.
    public init(_ columns: [Column], rows: Int) {
        hasNull = [UInt8](repeating: 0, count: rows)
        let keys = Self.keys(columns, rows: rows, &hasNull)
        numbers.reserveCapacity(rows)
        // Open addressing: of each slot a row of its group, or -1. Hasher is seeded anew in each process, so that
        // nobody can choose keys that collide.
        var slots = [Int32](repeating: -1, count: 16)
        let data = keys.data.span
        for row in 0..<rows {
            if count * 2 >= slots.count { slots = grown(slots, keys) }
            let key = data.extracting(keys.range(row))
            var slot = Self.hash(key) & (slots.count - 1)
            while slots[slot] >= 0, !Self.isEqual(data.extracting(keys.range(Int(slots[slot]))), key) {
                slot = (slot + 1) & (slots.count - 1)
            }
            if slots[slot] < 0 {
                slots[slot] = Int32(row)
                numbers.append(Int32(count))
                count += 1
            } else {
                numbers.append(numbers[Int(slots[slot])])
            }
        }
    }

    private func grown(_ slots: [Int32], _ keys: ByteColumn) -> [Int32] {
        var larger = [Int32](repeating: -1, count: slots.count * 2)
        let data = keys.data.span
        for row in slots where row >= 0 {
            var slot = Self.hash(data.extracting(keys.range(Int(row)))) & (larger.count - 1)
            while larger[slot] >= 0 { slot = (slot + 1) & (larger.count - 1) }
            larger[slot] = row
        }
        return larger
    }

    /// One byte string a row that says what its values are.
    private static func keys(_ columns: [Column], rows: Int, _ hasNull: inout [UInt8]) -> ByteColumn {
        var keys = ByteColumn(reserving: rows, bytes: rows * 16 * columns.count)
        for row in 0..<rows {
            for column in columns {
                let isPresent = column.isPresent(row)
                if !isPresent { hasNull[row] = 1 }
                keys.data.append(isPresent ? 1 : 0)
                guard isPresent else { continue }
                let start = keys.data.count
                append(column, row, into: &keys.data)
                // Its length goes last, so that the values of several columns cannot run into each other.
                let length = UInt32(truncatingIfNeeded: keys.data.count - start)
                append(UInt64(length), into: &keys.data)
            }
            keys.endValue()
        }
        return keys
    }

    private static func append(_ column: Column, _ row: Int, into output: inout [UInt8]) {
        let start = output.count
        switch column.storage {
        case .int64(let values): append(UInt64(bitPattern: values[row]), into: &output)
        case .float64(let values):
            // 0 equals -0, and NaN itself.
            let value = values[row].isNaN ? Double.nan : values[row] == 0 ? 0 : values[row]
            append(value.bitPattern, into: &output)
        case .bool(let values): output.append(values[row])
        case .bytes(let values):
            JSONText.append(values.data.span.extracting(values.range(row)), into: &output)
            guard column.type == .typed(.numeric), output[start...].contains(0x2E) else { return }
            while output.last == 0x30 { output.removeLast() }
            if output.last == 0x2E { output.removeLast() }
        case .variant(let values): TextOutput.append(values, row, into: &output)
        }
    }

    private static func append(_ value: UInt64, into output: inout [UInt8]) {
        for place in 0..<UInt64(8) { output.append(UInt8(truncatingIfNeeded: value >> (8 * place))) }
    }

    private static func hash(_ key: Span<UInt8>) -> Int {
        var hasher = Hasher()
        unsafe key.withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
        return hasher.finalize()
    }

    private static func isEqual(_ one: Span<UInt8>, _ other: Span<UInt8>) -> Bool {
        guard one.count == other.count else { return false }
        for index in 0..<one.count where one[index] != other[index] { return false }
        return true
    }
}
