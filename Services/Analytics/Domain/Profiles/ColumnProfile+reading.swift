import Records

extension ColumnProfile {
    /// Values are kept as bytes, not as words.
    var isBytes: Bool { [.text, .numeric, .jsonb, .uuid].contains(type) }

    /// The value that `frequent` keeps as a word.
    func storage(of word: UInt64) -> ColumnStorage {
        switch type {
        case .float8: .float64([Double(bitPattern: word)])
        case .bool: .bool([UInt8(truncatingIfNeeded: word)])
        default: .int64([Int64(bitPattern: word)])
        }
    }

    /// From the least to the greatest finite number.
    var span: ClosedRange<Double>? {
        switch extremes {
        case .int64(let least, let greatest): Double(least)...Double(greatest)
        case .float64(let least, let greatest): least...greatest
        case .decimal(let least, let greatest): least.near...greatest.near
        case .bytes, .none: nil
        }
    }

    /// All different finite numbers in ascending order with their counts; nil where they were too many to be kept.
    var countedNumbers: [(value: Double, count: Int)]? {
        guard numbers != nil, frequent.distinct.isExact,
            frequent.items.allSatisfy({ $0.length <= FrequentValues.longestValue })
        else { return nil }
        let values = frequent.items.map { (value: double($0), count: $0.count) }
        return values.filter { $0.value.isFinite }.sorted { $0.value < $1.value }
    }

    private func double(_ item: FrequentValues.Item) -> Double {
        switch type {
        case .float8: return Double(bitPattern: item.word)
        case .numeric:
            let text = Array(frequent.beginning(of: item))
            return (try? TextInput.float8(text.span)) ?? 0
        case .int8: return Double(Int64(bitPattern: item.word))
        default:
            let value = Int64(bitPattern: item.word)
            return value == .max ? .infinity : value == .min ? -.infinity : Double(value)
        }
    }
}
