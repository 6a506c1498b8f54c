/// The six comparison operators on every type that has them.
enum Comparison: String, CaseIterable, Sendable {
    case equal = "="
    case notEqual = "<>"
    case less = "<"
    case lessOrEqual = "<="
    case greater = ">"
    case greaterOrEqual = ">="

    var signatures: [Signature] {
        var all = [
            Signature(.int8, .int8, result: .bool, integers),
            Signature(.float8, .float8, result: .bool, ordered(Self.compare as @Sendable (Double, Double) -> Int)),
            Signature(.numeric, .numeric, result: .bool, ordered(Decimal.compare)),
            Signature(.text, .text, result: .bool, text),
            Signature(.bool, .bool, result: .bool, ordered { (a: Bool, b: Bool) in a == b ? 0 : (b ? -1 : 1) }),
            Signature(.timestamptz, .timestamptz, result: .bool, integers),
            Signature(.timestamp, .timestamp, result: .bool, integers),
            Signature(.date, .date, result: .bool, integers),
            Signature(.uuid, .uuid, result: .bool, text),
            Signature(.bytea, .bytea, result: .bool, text),
            Signature(
                .interval, .interval, result: .bool, ordered(Self.compare as @Sendable (Interval, Interval) -> Int)),
        ]
        if self == .equal || self == .notEqual {
            let wanted = self == .equal
            all.append(
                Signature(
                    .jsonb, .jsonb, result: .bool,
                    Lift.two(.bool, canFault: true) { (a: Bytes, b: Bytes) throws(Fault) in
                        JSONBValue.equals(try JSONBValue(a), try JSONBValue(b)) == wanted
                    }))
        }
        return all
    }

    /// PostgreSQL's order of float8: NaN equals itself and is above everything.
    static func compare(_ a: Double, _ b: Double) -> Int {
        if a < b { return -1 }
        if a > b { return 1 }
        if a == b { return 0 }
        return a.isNaN ? (b.isNaN ? 0 : 1) : -1
    }

    static func compare(_ a: Interval, _ b: Interval) -> Int {
        let (x, y) = (a.comparable, b.comparable)
        return x < y ? -1 : (x == y ? 0 : 1)
    }

    private var integers: Kernel {
        switch self {
        case .equal: Lift.two(.bool) { (a: Int64, b: Int64) in a == b }
        case .notEqual: Lift.two(.bool) { (a: Int64, b: Int64) in a != b }
        case .less: Lift.two(.bool) { (a: Int64, b: Int64) in a < b }
        case .lessOrEqual: Lift.two(.bool) { (a: Int64, b: Int64) in a <= b }
        case .greater: Lift.two(.bool) { (a: Int64, b: Int64) in a > b }
        case .greaterOrEqual: Lift.two(.bool) { (a: Int64, b: Int64) in a >= b }
        }
    }

    private var text: Kernel {
        switch self {
        case .equal: Lift.two(.bool) { (a: Bytes, b: Bytes) in a.count == b.count && a.elementsEqual(b) }
        case .notEqual: Lift.two(.bool) { (a: Bytes, b: Bytes) in a.count != b.count || !a.elementsEqual(b) }
        default: ordered(UTF8Text.compare)
        }
    }

    private func ordered<A: SQLValue>(_ compare: @escaping @Sendable (A, A) -> Int) -> Kernel {
        switch self {
        case .equal: Lift.two(.bool) { (a: A, b: A) in compare(a, b) == 0 }
        case .notEqual: Lift.two(.bool) { (a: A, b: A) in compare(a, b) != 0 }
        case .less: Lift.two(.bool) { (a: A, b: A) in compare(a, b) < 0 }
        case .lessOrEqual: Lift.two(.bool) { (a: A, b: A) in compare(a, b) <= 0 }
        case .greater: Lift.two(.bool) { (a: A, b: A) in compare(a, b) > 0 }
        case .greaterOrEqual: Lift.two(.bool) { (a: A, b: A) in compare(a, b) >= 0 }
        }
    }
}
