import Records

/// What is known of a column's values, added up block by block. Its size does not depend on the number of rows.
struct ColumnProfile: Sendable {
    /// The least and the greatest value.
    enum Extremes: Sendable {
        case none
        case int64(Int64, Int64)
        case float64(Double, Double)
        case decimal(Decimal, Decimal)
        /// As the values of `ColumnStorage.bytes`.
        case bytes([UInt8], [UInt8])
    }

    /// A `numeric` beside the double next to it, which tells nearly all of them apart.
    struct Decimal: Sendable {
        var text: ArraySlice<UInt8>
        var near: Double

        /// In memory of its own.
        var kept: Decimal { Decimal(text: ArraySlice(Array(text)), near: near) }

        func isLess(than other: Decimal) -> Bool {
            near < other.near || near == other.near && DecimalText.isLess(text, other.text)
        }
    }

    let name: String
    let type: ColumnType
    let hash: ValueHash
    var nulls = 0
    var frequent: FrequentValues
    var extremes = Extremes.none
    var numbers: NumberFigures?
    var lengths: TextLengths?

    /// `valueCount`: the most different values that are kept.
    init(_ name: String, _ type: ColumnType, seed: UInt64, valueCount: Int) {
        self.name = name
        self.type = type
        hash = ValueHash(seed: seed)
        frequent = FrequentValues(capacity: valueCount)
        numbers = NumberFigures(type)
        if type == .text || type == .jsonb { lengths = TextLengths() }
    }

    /// Adds a block. Of numbers, gives what correlations need.
    mutating func add(_ column: Column) -> Correlations.Part? {
        nulls += column.nullCount
        let doubles: [Double]
        switch column.storage {
        case .int64(let values): doubles = add(values, column.validity)
        case .float64(let values): doubles = add(values, column.validity)
        case .bytes(let values) where type == .numeric: doubles = add(decimals: values, column.validity)
        case .bytes(let values):
            add(values, column.validity)
            return nil
        case .bool(let values):
            for row in values.indices where column.validity[row] != 0 {
                frequent.add(hash(UInt64(values[row])), word: UInt64(values[row]))
                extend(Int64(values[row]), Int64(values[row]))
            }
            return nil
        case .variant: return nil
        }
        let moments = numbers?.add(doubles) ?? Moments()
        return type == .timestamptz || type == .date ? nil : Correlations.Part(values: doubles, moments: moments)
    }

    // MARK: Kinds

    /// int8, timestamptz and date; infinite times are at the ends of the numbers.
    private mutating func add(_ values: [Int64], _ validity: [UInt8]) -> [Double] {
        let isTime = type != .int8
        var doubles = [Double](repeating: .nan, count: values.count)
        var (least, greatest) = (Int64.max, Int64.min)
        for row in values.indices where validity[row] != 0 {
            let value = values[row]
            let word = UInt64(bitPattern: value)
            frequent.add(hash(word), word: word)
            if isTime, value == .max || value == .min {
                if value == .max { numbers?.infinity += 1 } else { numbers?.negativeInfinity += 1 }
                continue
            }
            doubles[row] = Double(value)
            if value < least { least = value }
            if value > greatest { greatest = value }
        }
        if least <= greatest { extend(least, greatest) }
        return doubles
    }

    private mutating func add(_ values: [Double], _ validity: [UInt8]) -> [Double] {
        var doubles = [Double](repeating: .nan, count: values.count)
        var (least, greatest) = (Double.infinity, -Double.infinity)
        for row in values.indices where validity[row] != 0 {
            // Both zeros are one value, and so are all NaN.
            let value = values[row] == 0 ? 0 : values[row].isNaN ? .nan : values[row]
            frequent.add(hash(value.bitPattern), word: value.bitPattern)
            guard value.isFinite else {
                if value.isNaN {
                    numbers?.nan += 1
                } else if value > 0 {
                    numbers?.infinity += 1
                } else {
                    numbers?.negativeInfinity += 1
                }
                continue
            }
            doubles[row] = value
            if value < least { least = value }
            if value > greatest { greatest = value }
        }
        if least <= greatest { extend(least, greatest) }
        return doubles
    }

    private mutating func add(_ values: ByteColumn, _ validity: [UInt8]) {
        let data = values.data.span
        var (least, greatest) = (-1, -1)
        for row in 0..<values.count where validity[row] != 0 {
            let text = data.extracting(values.range(row))
            frequent.add(hash(text), text)
            lengths?.add(text)
            if least < 0 || values[row].lexicographicallyPrecedes(values[least]) { least = row }
            if greatest < 0 || values[greatest].lexicographicallyPrecedes(values[row]) { greatest = row }
        }
        if least >= 0, type != .jsonb { extend(values[least], values[greatest]) }
    }

    private mutating func add(decimals values: ByteColumn, _ validity: [UInt8]) -> [Double] {
        let data = values.data.span
        var doubles = [Double](repeating: .nan, count: values.count)
        var least: Decimal?
        var greatest: Decimal?
        for row in 0..<values.count where validity[row] != 0 {
            let whole = data.extracting(values.range(row))
            let text = whole.extracting(DecimalText.trimmed(whole))
            frequent.add(hash(text), text)
            let isNegative = text[0] == 0x2D
            guard text[isNegative ? 1 : 0] < 0x40 else {
                if text[0] == 0x4E {
                    numbers?.nan += 1
                } else if isNegative {
                    numbers?.negativeInfinity += 1
                } else {
                    numbers?.infinity += 1
                }
                continue
            }
            // What a double cannot hold is too large, or next to 0.
            let value = (try? TextInput.float8(text)) ?? Self.outside(text, isNegative)
            if value.isFinite { doubles[row] = value } else { numbers?.beyond += 1 }
            let start = values.range(row).lowerBound
            let decimal = Decimal(text: values.data[start..<start + text.count], near: value)
            least = least.map { decimal.isLess(than: $0) ? decimal : $0 } ?? decimal
            greatest = greatest.map { $0.isLess(than: decimal) ? decimal : $0 } ?? decimal
        }
        if let least, let greatest { extend(least, greatest) }
        return doubles
    }

    private static func outside(_ text: Span<UInt8>, _ isNegative: Bool) -> Double {
        if text[isNegative ? 1 : 0] == 0x30 { return 0 }
        return isNegative ? -.infinity : .infinity
    }
}

// MARK: - Extremes

extension ColumnProfile {
    private mutating func extend(_ least: Int64, _ greatest: Int64) {
        guard case .int64(let low, let high) = extremes else {
            extremes = .int64(least, greatest)
            return
        }
        if least < low || greatest > high { extremes = .int64(min(low, least), max(high, greatest)) }
    }

    private mutating func extend(_ least: Double, _ greatest: Double) {
        guard case .float64(let low, let high) = extremes else {
            extremes = .float64(least, greatest)
            return
        }
        extremes = .float64(min(low, least), max(high, greatest))
    }

    private mutating func extend(_ least: ArraySlice<UInt8>, _ greatest: ArraySlice<UInt8>) {
        guard case .bytes(let low, let high) = extremes else {
            extremes = .bytes(Array(least), Array(greatest))
            return
        }
        extremes = .bytes(
            least.lexicographicallyPrecedes(low) ? Array(least) : low,
            high.lexicographicallyPrecedes(greatest) ? Array(greatest) : high)
    }

    private mutating func extend(_ least: Decimal, _ greatest: Decimal) {
        guard case .decimal(let low, let high) = extremes else {
            extremes = .decimal(least.kept, greatest.kept)
            return
        }
        extremes = .decimal(
            least.isLess(than: low) ? least.kept : low, high.isLess(than: greatest) ? greatest.kept : high)
    }
}
