/// All operators and functions by name.
enum OperatorCatalog {
    static let binary: [String: [Signature]] = {
        var all = Arithmetic.operators
        for (symbol, signatures) in DateTime.operators { all[symbol, default: []] += signatures }
        for (symbol, signatures) in JSONFunctions.operators { all[symbol, default: []] += signatures }
        for comparison in Comparison.allCases { all[comparison.rawValue] = comparison.signatures }
        return all
    }()

    static let prefix = Arithmetic.prefixOperators

    static let functions: [String: [Signature]] = {
        var all = TextFunctions.all
        let groups = [
            NumberFunctions.all, NumberFunctions.trigonometry, NumberFunctions.divisors, DateTimeFields.all,
            DateTimeMaking.all, TimeZones.all,
            IntervalFunctions.all, DateFormatFunctions.all, ByteFunctions.all, JSONFunctions.all, JSONFunctions.changes,
        ]
        for group in groups { all.merge(group) { $0 + $1 } }
        return all
    }()

    static let equals = binary["="] ?? []

    /// Whether two values of a type are equal, where neither is NULL.
    static func equality(_ type: SQLType) -> Kernel? {
        equals.first { $0.arguments == [type, type] }?.kernel
    }

    static func lessThan(_ type: SQLType) -> Kernel? {
        binary["<"]?.first { $0.arguments == [type, type] }?.kernel
    }
}
