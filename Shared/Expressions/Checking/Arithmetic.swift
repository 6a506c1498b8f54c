internal import Glibc

/// Arithmetic operators and functions on numbers.
enum Arithmetic {
    static let operators: [String: [Signature]] = [
        "+": [
            integers { (a, b) throws(Fault) in
                let (sum, overflow) = a.addingReportingOverflow(b)
                if overflow { throw .integerRange }
                return sum
            },
            floats { a, b in a + b }, decimals(Decimal.add),
        ],
        "-": [
            integers { (a, b) throws(Fault) in
                let (difference, overflow) = a.subtractingReportingOverflow(b)
                if overflow { throw .integerRange }
                return difference
            },
            floats { a, b in a - b }, decimals(Decimal.subtract),
        ],
        "*": [
            integers { (a, b) throws(Fault) in
                let (product, overflow) = a.multipliedReportingOverflow(by: b)
                if overflow { throw .integerRange }
                return product
            },
            Signature(
                .float8, .float8, result: .float8,
                Lift.two(.float8, canFault: true) {
                    (a: Double, b: Double) throws(Fault) in
                    try checked(a * b, isInfiniteAllowed: a.isInfinite || b.isInfinite, isZeroAllowed: a == 0 || b == 0)
                }),
            decimals(Decimal.multiply),
        ],
        "/": [
            integers { (a, b) throws(Fault) in
                if b == 0 { throw .divisionByZero }
                let (quotient, overflow) = a.dividedReportingOverflow(by: b)
                if overflow { throw .integerRange }
                return quotient
            },
            Signature(
                .float8, .float8, result: .float8,
                Lift.two(.float8, canFault: true) {
                    (a: Double, b: Double) throws(Fault) in
                    if b == 0, !a.isNaN { throw .divisionByZero }
                    return try checked(
                        a / b, isInfiniteAllowed: a.isInfinite, isZeroAllowed: a == 0 || b.isInfinite)
                }),
            decimals(Decimal.divide),
        ],
        "%": [remainder, decimals(Decimal.remainder)],
        "^": [
            Signature(.float8, .float8, result: .float8, Lift.two(.float8, canFault: true, power)),
            Signature(.numeric, .numeric, result: .numeric, Lift.two(.numeric, canFault: true, Decimal.power)),
        ],
        "&": [bits { a, b in a & b }], "|": [bits { a, b in a | b }], "#": [bits { a, b in a ^ b }],
        "<<": [bits { a, b in a << (b & 63) }.int4(1)], ">>": [bits { a, b in a >> (b & 63) }.int4(1)],
    ]

    static let prefixOperators: [String: [Signature]] = [
        "-": [
            Signature(
                .int8, result: .int8,
                Lift.one(.int8, canFault: true) { (a: Int64) throws(Fault) in
                    if a == .min { throw .integerRange }
                    return -a
                }),
            Signature(.float8, result: .float8, Lift.one(.float8) { (a: Double) in -a }),
            Signature(.numeric, result: .numeric, Lift.one(.numeric) { (a: Decimal) in -a }),
            Signature(.interval, result: .interval, Lift.one(.interval, canFault: true, DateTime.negated)),
        ],
        "+": [
            Signature(.int8, result: .int8, Lift.one(.int8) { (a: Int64) in a }),
            Signature(.float8, result: .float8, Lift.one(.float8) { (a: Double) in a }),
            Signature(.numeric, result: .numeric, Lift.one(.numeric) { (a: Decimal) in a }),
        ],
        "@": NumberFunctions.absolute,
        "|/": [Signature(.float8, result: .float8, Lift.one(.float8, canFault: true, squareRoot))],
        "||/": [Signature(.float8, result: .float8, Lift.one(.float8) { (a: Double) in cbrt(a) })],
        "~": [Signature(.int8, result: .int8, Lift.one(.int8) { (a: Int64) in ~a })],
    ]

    static let remainder = integers { (a, b) throws(Fault) in
        if b == 0 { throw .divisionByZero }
        return b == -1 ? 0 : a % b
    }

    private static func integers(_ body: @escaping @Sendable (Int64, Int64) throws(Fault) -> Int64) -> Signature {
        Signature(
            .int8, .int8, result: .int8,
            Lift.two(.int8, canFault: true) { (a: Int64, b: Int64) throws(Fault) in
                try body(a, b)
            })
    }

    private static func bits(_ body: @escaping @Sendable (Int64, Int64) -> Int64) -> Signature {
        Signature(.int8, .int8, result: .int8, Lift.two(.int8) { (a: Int64, b: Int64) in body(a, b) })
    }

    /// Sums and differences overflow, and never come too close to zero.
    private static func floats(_ body: @escaping @Sendable (Double, Double) -> Double) -> Signature {
        Signature(
            .float8, .float8, result: .float8,
            Lift.two(.float8, canFault: true) {
                (a: Double, b: Double) throws(Fault) in
                try checked(body(a, b), isInfiniteAllowed: a.isInfinite || b.isInfinite, isZeroAllowed: true)
            })
    }

    private static func decimals(_ body: @escaping @Sendable (Decimal, Decimal) throws(Fault) -> Decimal) -> Signature {
        Signature(
            .numeric, .numeric, result: .numeric,
            Lift.two(.numeric, canFault: true) {
                (a: Decimal, b: Decimal) throws(Fault) in
                try body(a, b)
            })
    }

    static func checked(
        _ value: Double, isInfiniteAllowed: Bool = false, isZeroAllowed: Bool = true
    ) throws(Fault) -> Double {
        if value.isInfinite, !isInfiniteAllowed { throw .floatOverflow }
        if value == 0, !isZeroAllowed { throw .floatUnderflow }
        return value
    }

    static func squareRoot(_ value: Double) throws(Fault) -> Double? {
        if value < 0 {
            throw Fault("invalid_argument", "cannot take square root of a negative number")
        }
        return value.squareRoot()
    }

    static func power(_ base: Double, _ exponent: Double) throws(Fault) -> Double? {
        let code = "invalid_argument"
        if base.isNaN { return exponent == 0 ? 1 : .nan }
        if exponent.isNaN { return base == 1 ? 1 : .nan }
        if base == 0, exponent < 0 { throw Fault(code, "zero raised to a negative power is undefined") }
        if base < 0, exponent.isFinite, exponent != exponent.rounded(.down) {
            throw Fault(code, "a negative number raised to a non-integer power yields a complex result")
        }
        let value = pow(base, exponent)
        if base.isInfinite || exponent.isInfinite { return value }
        return try checked(value, isZeroAllowed: base == 0)
    }
}
