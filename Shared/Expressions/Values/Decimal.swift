/// A PostgreSQL `numeric`: an integer mantissa and the number of digits after the point, which it keeps (1.50 is not
/// 1.5 when printed); NaN; the infinities.
///
/// What fits 128 bits needs no allocation.
enum Decimal: Sendable {
    /// `mantissa` / 10^`scale`.
    case small(Int128, scale: Int)
    case large(BigInteger, scale: Int)
    case nan
    case infinity(negative: Bool)

    /// PostgreSQL's limits on digits before and after the point.
    static let maximumWeight = 131_072
    static let maximumScale = 16_383
    /// The most digits after the point that a division or a function chooses by itself.
    static let maximumResultScale = 1000

    private static let powers: [Int128] = (0...38).reduce(into: []) { powers, _ in
        powers.append(powers.last.map { $0 &* 10 } ?? 1)
    }

    /// 10 to the power of 0...38.
    static func powerOfTen(_ exponent: Int) -> Int128 { powers[exponent] }

    init(_ value: Int64) { self = .small(Int128(value), scale: 0) }

    /// The number, small where that is possible.
    init(_ mantissa: BigInteger, scale: Int) {
        if let small = mantissa.int128 {
            self = .small(small, scale: scale)
        } else {
            self = .large(mantissa, scale: scale)
        }
    }

    /// The number, refused where PostgreSQL's format has no room for it.
    static func checked(_ mantissa: BigInteger, scale: Int) throws(Fault) -> Decimal {
        let value = Decimal(mantissa, scale: scale)
        if case .large(let mantissa, _) = value, mantissa.limbs.count > 6700,
            mantissa.digits.count - scale > maximumWeight
        {
            throw .numericOverflow
        }
        return value
    }

    /// Digits after the point; 0 for the special values.
    var scale: Int {
        switch self {
        case .small(_, let scale), .large(_, let scale): scale
        case .nan, .infinity: 0
        }
    }

    var isFinite: Bool {
        switch self {
        case .small, .large: true
        case .nan, .infinity: false
        }
    }

    var isNaN: Bool { if case .nan = self { true } else { false } }

    /// -1, 0 or 1; of NaN 1.
    var sign: Int {
        switch self {
        case .small(let mantissa, _): mantissa.signum().clamped
        case .large(let mantissa, _): mantissa.isNegative ? -1 : (mantissa.isZero ? 0 : 1)
        case .nan: 1
        case .infinity(let negative): negative ? -1 : 1
        }
    }

    /// The mantissa of a finite number.
    var mantissa: BigInteger {
        switch self {
        case .small(let mantissa, _): BigInteger(mantissa)
        case .large(let mantissa, _): mantissa
        case .nan, .infinity: BigInteger(0)
        }
    }

    /// The mantissa's digits, 0 to 9 each, without leading zeros.
    var digits: [UInt8] { mantissa.digits }

    static prefix func - (value: Decimal) -> Decimal {
        switch value {
        case .small(let mantissa, let scale):
            mantissa == .min ? Decimal(-BigInteger(mantissa), scale: scale) : .small(-mantissa, scale: scale)
        case .large(let mantissa, let scale): Decimal(-mantissa, scale: scale)
        case .nan: .nan
        case .infinity(let negative): .infinity(negative: !negative)
        }
    }

    var magnitude: Decimal { sign < 0 ? -self : self }

    /// -1, 0 or 1. NaN equals itself and is above everything, as in PostgreSQL.
    static func compare(_ left: Decimal, _ right: Decimal) -> Int {
        if case .small(let a, let scaleA) = left, case .small(let b, let scaleB) = right {
            if scaleA == scaleB { return a < b ? -1 : (a == b ? 0 : 1) }
            if let (a, b, _) = aligned(a, scaleA, b, scaleB) { return a < b ? -1 : (a == b ? 0 : 1) }
        }
        switch (left.rank, right.rank) {
        case (0, 0): break
        case (let a, let b): return a < b ? -1 : (a == b ? 0 : 1)
        }
        let scale = max(left.scale, right.scale)
        return BigInteger.compare(left.mantissa(atScale: scale), right.mantissa(atScale: scale))
    }

    private var rank: Int {
        switch self {
        case .small, .large: 0
        case .nan: 2
        case .infinity(let negative): negative ? -1 : 1
        }
    }

    /// The mantissa at a scale that is not below the number's own.
    func mantissa(atScale target: Int) -> BigInteger {
        target == scale ? mantissa : mantissa * .powerOfTen(target - scale)
    }

    /// Two mantissas at their greater scale, unless one then needs more than 128 bits.
    static func aligned(_ a: Int128, _ scaleA: Int, _ b: Int128, _ scaleB: Int) -> (Int128, Int128, scale: Int)? {
        if scaleA == scaleB { return (a, b, scaleA) }
        let distance = scaleA < scaleB ? scaleB - scaleA : scaleA - scaleB
        guard distance <= 38 else { return nil }
        if scaleA < scaleB {
            let (product, overflow) = a.multipliedReportingOverflow(by: powerOfTen(distance))
            return overflow ? nil : (product, b, scaleB)
        }
        let (product, overflow) = b.multipliedReportingOverflow(by: powerOfTen(distance))
        return overflow ? nil : (a, product, scaleA)
    }
}

extension Int128 {
    fileprivate var clamped: Int { Int(truncatingIfNeeded: self) }
}
