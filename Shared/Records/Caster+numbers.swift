// Conversions between the number types and between the time types.
extension Caster {
    /// Returns nil where PostgreSQL has no such cast.
    mutating func convert(_ column: Column, from type: ColumnType) -> ColumnStorage? {
        switch (column.storage, type, target) {
        case (.int64(let values), .int8, .float8): .float64(values.map { Double($0) })
        case (.int64, .int8, .numeric): .bytes(TextOutput.texts(of: column))
        case (.float64(let values), .float8, .int8): .int64(rounded(values))
        case (.float64(let values), .float8, .numeric):
            // PostgreSQL gives a float8 15 significant digits on its way to numeric.
            .bytes(numerics(values) { $1 += TextOutput.digits15($0) })
        case (.bytes(let values), .numeric, .int8): .int64(rounded(values))
        case (.bytes(let values), .numeric, .float8): .float64(float8s(values))
        case (.int64(let values), .timestamptz, .date): .int64(values.map(Self.day))
        case (.int64(let values), .date, .timestamptz): .int64(midnights(values))
        default: nil
        }
    }

    private mutating func rounded(_ values: [Double]) -> [Int64] {
        var result = [Int64](repeating: 0, count: values.count)
        for row in 0..<values.count where validity[row] != 0 {
            if let value = Int64(exactly: values[row].rounded(.toNearestOrEven)) {
                result[row] = value
            } else {
                fail(row, code: "out_of_range", "bigint out of range")
            }
        }
        return result
    }

    /// Doubles by the digits that `write` gives them.
    mutating func numerics(_ values: [Double], _ write: (Double, inout [UInt8]) -> Void) -> ByteColumn {
        var result = ByteColumn(reserving: values.count, bytes: values.count * 12)
        var text: [UInt8] = []
        for row in 0..<values.count {
            if validity[row] != 0 {
                text.removeAll(keepingCapacity: true)
                write(values[row], &text)
                do throws(InputFault) {
                    try TextInput.numeric(text.span, into: &result.data)
                } catch {
                    fail(row, error, text.span)
                }
            }
            result.endValue()
        }
        return result
    }

    private mutating func rounded(_ values: ByteColumn) -> [Int64] {
        var result = [Int64](repeating: 0, count: values.count)
        for row in 0..<values.count where validity[row] != 0 {
            if let value = Self.roundedInt(values.data.span.extracting(values.range(row))) {
                result[row] = value
            } else {
                fail(row, code: "out_of_range", "bigint out of range")
            }
        }
        return result
    }

    /// A canonical numeric rounded half away from zero.
    static func roundedInt(_ text: Span<UInt8>) -> Int64? {
        var end = 0
        while end < text.count, text[end] != 0x2E { end += 1 }
        guard let whole = try? TextInput.int8(text.extracting(0..<end)) else { return nil }
        guard end + 1 < text.count, text[end + 1] >= 0x35 else { return whole }
        let (result, overflow) = whole.addingReportingOverflow(text[0] == 0x2D ? -1 : 1)
        return overflow ? nil : result
    }

    private mutating func float8s(_ values: ByteColumn) -> [Double] {
        var result = [Double](repeating: 0, count: values.count)
        for row in 0..<values.count where validity[row] != 0 {
            let text = values.data.span.extracting(values.range(row))
            do throws(InputFault) {
                result[row] = try TextInput.float8(text)
            } catch {
                fail(row, error, text)
            }
        }
        return result
    }

    private static func day(_ timestamp: Int64) -> Int64 {
        guard timestamp != .max, timestamp != .min else { return timestamp }
        let day = timestamp / CivilDate.microsecondsPerDay
        return timestamp % CivilDate.microsecondsPerDay < 0 ? day - 1 : day
    }

    private mutating func midnights(_ values: [Int64]) -> [Int64] {
        var result = [Int64](repeating: 0, count: values.count)
        for row in 0..<values.count where validity[row] != 0 {
            let day = values[row]
            let (moment, overflow) = day.multipliedReportingOverflow(by: CivilDate.microsecondsPerDay)
            if day == .max || day == .min {
                result[row] = day
            } else if !overflow, CivilDate.timestampRange.contains(moment) {
                result[row] = moment
            } else {
                fail(row, code: "out_of_range", "date out of range for timestamp")
            }
        }
        return result
    }
}
