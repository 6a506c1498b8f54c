internal import Glibc

extension NumberFunctions {
    /// By the same functions of the C library that PostgreSQL calls.
    static let trigonometry: [String: [Signature]] = [
        "sin": periodic(sin), "cos": periodic(cos), "tan": periodic(tan), "cot": periodic { 1 / tan($0) },
        "asin": within(asin) { $0.magnitude <= 1 }, "acos": within(acos) { $0.magnitude <= 1 },
        "atan": within(atan) { _ in true }, "sinh": within(sinh) { _ in true }, "cosh": within(cosh) { _ in true },
        "tanh": within(tanh) { _ in true }, "asinh": within(asinh) { _ in true }, "acosh": within(acosh) { $0 >= 1 },
        "atanh": within(atanh) { $0.magnitude <= 1 },
        "atan2": [
            Signature(.float8, .float8, result: .float8, Lift.two(.float8) { (a: Double, b: Double) in atan2(a, b) })
        ],
    ]

    /// Of angles, which may not be infinite.
    private static func periodic(_ body: @escaping @Sendable (Double) -> Double) -> [Signature] {
        within(body) { $0.isFinite }
    }

    private static func within(
        _ body: @escaping @Sendable (Double) -> Double, _ isInRange: @escaping @Sendable (Double) -> Bool
    ) -> [Signature] {
        [
            Signature(
                .float8, result: .float8,
                Lift.one(.float8, canFault: true) { (a: Double) throws(Fault) in
                    guard a.isNaN || isInRange(a) else { throw .range("input is out of range") }
                    return body(a)
                })
        ]
    }

    static let divisors: [String: [Signature]] = [
        "log": [
            Signature(
                .float8, result: .float8,
                Lift.one(.float8, canFault: true) { (a: Double) throws(Fault) in try decadic(a) }),
            Signature(
                .numeric, result: .numeric,
                Lift.one(.numeric, canFault: true) { (a: Decimal) throws(Fault) in
                    try Decimal.logarithm(Decimal(10), a)
                }),
            Signature(.numeric, .numeric, result: .numeric, Lift.two(.numeric, canFault: true, Decimal.logarithm)),
        ],
        "gcd": [
            Signature(
                .numeric, .numeric, result: .numeric,
                Lift.two(.numeric) { (a: Decimal, b: Decimal) in Decimal.greatestDivisor(a, b) })
        ],
        "lcm": [
            Signature(
                .int8, .int8, result: .int8,
                Lift.two(.int8, canFault: true) { (a: Int64, b: Int64) throws(Fault) -> Int64? in
                    if a == 0 || b == 0 { return 0 }
                    var (x, y) = (a.magnitude, b.magnitude)
                    while y != 0 { (x, y) = (y, x % y) }
                    let (product, overflow) = (a.magnitude / x).multipliedReportingOverflow(by: b.magnitude)
                    guard !overflow, let result = Int64(exactly: product) else { throw .integerRange }
                    return result
                }),
            Signature(.numeric, .numeric, result: .numeric, Lift.two(.numeric, canFault: true, Decimal.leastMultiple)),
        ],
        "min_scale": [
            Signature(.numeric, result: .int8, Lift.one(.int8) { (a: Decimal) in a.leastScale })
        ],
        "width_bucket": [
            Signature(.float8, .float8, .float8, .int8, result: .int8, buckets(of: Double.self, place)).int4(3),
            Signature(.numeric, .numeric, .numeric, .int8, result: .int8, buckets(of: Decimal.self, place)).int4(3),
        ],
    ]

    private static func decadic(_ value: Double) throws(Fault) -> Double? {
        if value == 0 { throw .logarithmOfZero }
        if value < 0 { throw .logarithmOfNegative }
        return log10(value)
    }

    // MARK: width_bucket

    private static func buckets<V: SQLValue>(
        of _: V.Type, _ body: @escaping @Sendable (V, V, V, Int64) throws(Fault) -> Int64
    ) -> Kernel {
        Kernel(canFault: true) { arguments, frame, evaluation in
            let buffers = arguments.prefix(3).map { V.Buffer($0.values) }
            let counts = IntBuffer(arguments[3].values)
            let masks = arguments.map(\.mask)
            return Lift.run(.int8, arguments, frame, &evaluation) { (index) throws(Fault) -> Int64? in
                let count = counts[index & masks[3]]
                guard count > 0 else { throw .invalid("count must be greater than zero") }
                let bucket = try body(
                    buffers[0][index & masks[0]], buffers[1][index & masks[1]], buffers[2][index & masks[2]], count)
                guard bucket <= Int64(Int32.max) else { throw .range("integer out of range") }
                return bucket
            }
        }
    }

    private static func place(
        _ value: Double, _ first: Double, _ last: Double, _ count: Int64
    ) throws(Fault) -> Int64 {
        guard !value.isNaN, !first.isNaN, !last.isNaN else {
            throw .invalid("operand, lower bound, and upper bound cannot be NaN")
        }
        guard first.isFinite, last.isFinite else { throw .invalid("lower and upper bounds must be finite") }
        guard first != last else { throw .invalid("lower bound cannot equal upper bound") }
        let isRising = first < last
        if isRising ? value < first : value > first { return 0 }
        if isRising ? value >= last : value <= last { return count + 1 }
        let (distance, width) = isRising ? (value - first, last - first) : (first - value, first - last)
        let bucket = Double(count) * distance / width
        guard let result = Int64(exactly: (bucket + 1).rounded(.towardZero)) else {
            throw .range("integer out of range")
        }
        return result
    }

    private static func place(
        _ value: Decimal, _ first: Decimal, _ last: Decimal, _ count: Int64
    ) throws(Fault) -> Int64 {
        guard !value.isNaN, !first.isNaN, !last.isNaN else {
            throw .invalid("operand, lower bound, and upper bound cannot be NaN")
        }
        guard first.isFinite, last.isFinite else { throw .invalid("lower and upper bounds must be finite") }
        let order = Decimal.compare(first, last)
        guard order != 0 else { throw .invalid("lower bound cannot equal upper bound") }
        if Decimal.compare(value, first) * order > 0 { return 0 }
        if Decimal.compare(value, last) * order <= 0 { return count + 1 }
        let distance = try Decimal.multiply(try Decimal.subtract(value, first), Decimal(count))
        let share = try Decimal.divide(distance, try Decimal.subtract(last, first))
        return try share.rounded(to: 0, .towardsZero).int64() + 1
    }

}
