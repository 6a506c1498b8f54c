// Conversions between types of values that must stay the same.
extension Caster {
    /// Like ``convert(_:from:)``, but what the target does not hold as it is has a fault.
    mutating func fit(_ column: Column, from type: ColumnType) -> ColumnStorage? {
        switch (column.storage, type, target) {
        case (.int64(let values), .int8, .float8) where rule == .inferred: .float64(exactDoubles(values, column))
        case (.float64(let values), .float8, .int8): .int64(whole(values, column))
        case (.float64(let values), .float8, .numeric):
            // All digits, where PostgreSQL's cast gives 15.
            .bytes(numerics(values) { TextOutput.append($0, into: &$1) })
        case (.bytes(let values), .numeric, .int8): .int64(whole(values, column))
        case (.bytes(let values), .numeric, .float8) where rule == .inferred: .float64(exactDoubles(values))
        case (.int64(let values), .timestamptz, .date): .int64(days(values, column))
        default: convert(column, from: type)
        }
    }

    private mutating func lose(_ row: Int, _ column: Column) {
        guard validity[row] != 0 else { return }
        var text: [UInt8] = []
        TextOutput.append(column, row, into: &text)
        fail(row, .loss, text.span)
    }

    private mutating func exactDoubles(_ values: [Int64], _ column: Column) -> [Double] {
        let result = values.map { Double($0) }
        for row in 0..<values.count where !DecimalShape.isFloat8(values[row]) { lose(row, column) }
        return result
    }

    private mutating func exactDoubles(_ values: ByteColumn) -> [Double] {
        var result = [Double](repeating: 0, count: values.count)
        for row in 0..<values.count where validity[row] != 0 {
            let text = values.data.span.extracting(values.range(row))
            do throws(InputFault) {
                result[row] = try TextInput.float8(text)
                if result[row].isFinite, !DecimalShape.isFloat8(text) { throw .loss }
            } catch {
                fail(row, error, text)
            }
        }
        return result
    }

    private mutating func whole(_ values: [Double], _ column: Column) -> [Int64] {
        var result = [Int64](repeating: 0, count: values.count)
        for row in 0..<values.count where validity[row] != 0 {
            if let value = Int64(exactly: values[row]) {
                result[row] = value
            } else if Int64(exactly: values[row].rounded(.toNearestOrEven)) != nil {
                lose(row, column)
            } else {
                fail(row, code: "out_of_range", "bigint out of range")
            }
        }
        return result
    }

    private mutating func whole(_ values: ByteColumn, _ column: Column) -> [Int64] {
        var result = [Int64](repeating: 0, count: values.count)
        for row in 0..<values.count where validity[row] != 0 {
            let text = values.data.span.extracting(values.range(row))
            guard let value = Self.roundedInt(text) else {
                fail(row, code: "out_of_range", "bigint out of range")
                continue
            }
            result[row] = value
            if Self.hasFraction(text) { lose(row, column) }
        }
        return result
    }

    /// Whether a canonical numeric has a digit other than 0 after the point.
    private static func hasFraction(_ text: Span<UInt8>) -> Bool {
        var at = 0
        while at < text.count, text[at] != 0x2E { at += 1 }
        while at < text.count, text[at] == 0x2E || text[at] == 0x30 { at += 1 }
        return at < text.count
    }

    private mutating func days(_ values: [Int64], _ column: Column) -> [Int64] {
        var result = [Int64](repeating: 0, count: values.count)
        for row in 0..<values.count where validity[row] != 0 {
            let moment = values[row]
            if moment == .max || moment == .min {
                result[row] = moment
            } else {
                result[row] = moment / CivilDate.microsecondsPerDay
                if moment % CivilDate.microsecondsPerDay != 0 { lose(row, column) }
            }
        }
        return result
    }
}
