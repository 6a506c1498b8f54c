internal import Glibc

/// Functions of numbers.
enum NumberFunctions {
    static let absolute = [
        Signature(
            .int8, result: .int8,
            Lift.one(.int8, canFault: true) { (a: Int64) throws(Fault) in
                if a == .min { throw .integerRange }
                return abs(a)
            }),
        Signature(.float8, result: .float8, Lift.one(.float8) { (a: Double) in a.magnitude }),
        Signature(.numeric, result: .numeric, Lift.one(.numeric) { (a: Decimal) in a.magnitude }),
    ]

    static let all: [String: [Signature]] = [
        "abs": absolute,
        "round": rounding({ $0.rounded(.toNearestOrEven) }, { $0.rounded(to: 0) }) + [places { .halfAwayFromZero }],
        "trunc": rounding({ $0.rounded(.towardZero) }, { $0.rounded(to: 0, .towardsZero) }) + [places { .towardsZero }],
        "ceil": rounding({ $0.rounded(.up) }, { $0.rounded(to: 0, .up) }),
        "ceiling": rounding({ $0.rounded(.up) }, { $0.rounded(to: 0, .up) }),
        "floor": rounding({ $0.rounded(.down) }, { $0.rounded(to: 0, .down) }),
        "sign": rounding(
            { $0 > 0 ? 1 : ($0 < 0 ? -1 : 0) },
            { $0.isNaN ? .nan : .small(Int128($0.sign), scale: 0) }),
        "sqrt": [
            Signature(.float8, result: .float8, Lift.one(.float8, canFault: true, Arithmetic.squareRoot)),
            Signature(
                .numeric, result: .numeric,
                Lift.one(.numeric, canFault: true) {
                    (a: Decimal) throws(Fault) in try a.squareRoot()
                }),
        ],
        "cbrt": [Signature(.float8, result: .float8, Lift.one(.float8) { (a: Double) in cbrt(a) })],
        "exp": [
            Signature(.float8, result: .float8, Lift.one(.float8, canFault: true, exponential)),
            Signature(
                .numeric, result: .numeric,
                Lift.one(.numeric, canFault: true) {
                    (a: Decimal) throws(Fault) in try a.exponential()
                }),
        ],
        "ln": [
            Signature(
                .float8, result: .float8,
                Lift.one(.float8, canFault: true) { (a: Double) throws(Fault) in
                    try logarithm(a, log(a))
                }),
            Signature(
                .numeric, result: .numeric,
                Lift.one(.numeric, canFault: true) {
                    (a: Decimal) throws(Fault) in try a.naturalLogarithm()
                }),
        ],
        "log10": [
            Signature(
                .float8, result: .float8,
                Lift.one(.float8, canFault: true) { (a: Double) throws(Fault) in
                    try logarithm(a, log10(a))
                })
        ],
        "power": Arithmetic.operators["^"] ?? [],
        "pow": Arithmetic.operators["^"] ?? [],
        "mod": Arithmetic.operators["%"] ?? [],
        "div": [
            Signature(.numeric, .numeric, result: .numeric, Lift.two(.numeric, canFault: true, Decimal.wholeQuotient))
        ],
        "gcd": [Signature(.int8, .int8, result: .int8, Lift.two(.int8, canFault: true, greatestDivisor))],
        "degrees": [
            Signature(
                .float8, result: .float8,
                Lift.one(.float8, canFault: true) { (a: Double) throws(Fault) in
                    try Arithmetic.checked(a / 0.0174532925199432957692, isInfiniteAllowed: a.isInfinite)
                })
        ],
        "radians": [
            Signature(
                .float8, result: .float8,
                Lift.one(.float8, canFault: true) { (a: Double) throws(Fault) in
                    try Arithmetic.checked(
                        a * 0.0174532925199432957692, isInfiniteAllowed: a.isInfinite, isZeroAllowed: a == 0)
                })
        ],
        "pi": [Signature(result: .float8, Kernel(canFault: false) { _, _, _ in .constant(.float8, Double.pi) })],
        "scale": [
            Signature(.numeric, result: .int8, Lift.one(.int8) { (a: Decimal) in a.isFinite ? Int64(a.scale) : nil })
        ],
        "trim_scale": [Signature(.numeric, result: .numeric, Lift.one(.numeric) { (a: Decimal) in a.trimmed })],
    ]

    private static func rounding(
        _ float: @escaping @Sendable (Double) -> Double, _ decimal: @escaping @Sendable (Decimal) -> Decimal
    ) -> [Signature] {
        [
            Signature(.float8, result: .float8, Lift.one(.float8) { (a: Double) in float(a) }),
            Signature(.numeric, result: .numeric, Lift.one(.numeric) { (a: Decimal) in decimal(a) }),
        ]
    }

    /// `round(numeric, places)` and `trunc(numeric, places)`.
    private static func places(_ rounding: @escaping @Sendable () -> Decimal.Rounding) -> Signature {
        Signature(
            .numeric, .int8, result: .numeric,
            Lift.two(.numeric) { (a: Decimal, places: Int64) in
                a.rounded(to: Int(min(max(places, -2000), 2000)), rounding())
            }
        ).int4(1)
    }

    private static func exponential(_ value: Double) throws(Fault) -> Double? {
        if value.isNaN { return value }
        return try Arithmetic.checked(
            exp(value), isInfiniteAllowed: value.isInfinite, isZeroAllowed: value.isInfinite)
    }

    private static func logarithm(_ argument: Double, _ value: Double) throws(Fault) -> Double? {
        if argument == 0 { throw .logarithmOfZero }
        if argument < 0 { throw .logarithmOfNegative }
        return value
    }

    private static func greatestDivisor(_ a: Int64, _ b: Int64) throws(Fault) -> Int64? {
        var (x, y) = (a.magnitude, b.magnitude)
        while y != 0 { (x, y) = (y, x % y) }
        guard let result = Int64(exactly: x) else { throw .integerRange }
        return result
    }
}

extension Fault {
    static var logarithmOfZero: Fault { Fault("invalid_argument", "cannot take logarithm of zero") }
    static var logarithmOfNegative: Fault {
        Fault("invalid_argument", "cannot take logarithm of a negative number")
    }
}
