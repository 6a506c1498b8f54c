internal import Glibc

/// exp, ln and powers with PostgreSQL's choice of scale, by fixed-point series with digits to spare.
extension Decimal {
    /// Digits beyond the result's that every series carries.
    private static let guardDigits = 25

    func exponential() throws(Fault) -> Decimal {
        switch self {
        case .nan: return .nan
        case .infinity(let negative): return negative ? .small(0, scale: 0) : self
        default: break
        }
        let weight = double * 0.434294481903252
        let target = Self.resultScale(16 - Int(min(max(weight, -2000), 2000)), scale)
        return try Self.exponential(self, scale: target)
    }

    /// The scale a function's result has: at least the digits wanted and the arguments' own.
    private static func resultScale(_ wanted: Int, _ scales: Int...) -> Int {
        min(max(wanted, scales.max() ?? 0, 0), maximumResultScale)
    }

    private static func exponential(_ value: Decimal, scale target: Int) throws(Fault) -> Decimal {
        let estimate = value.double
        if estimate >= 6000 { throw .numericOverflow }
        if estimate <= -6000 { return Decimal.small(0, scale: 0).padded(to: target) }
        let wholeDigits = max(Int(estimate * 0.4343) + 1, 0)
        let working = target + wholeDigits + guardDigits
        let one = BigInteger.powerOfTen(working)
        // Halved until the series converges fast, squared as often afterwards.
        let halvings = max(Int(log2(max(value.double.magnitude, 1e-300))) + 8, 0)
        let divisor = BigInteger(Int128(1) << Int128(halvings))
        let x = value.fixed(working).quotientAndRemainder(dividingBy: divisor).quotient
        var (sum, term) = (one, one)
        var count: Int128 = 1
        while !term.isZero {
            term = (term * x).quotientAndRemainder(dividingBy: one * BigInteger(count)).quotient
            sum = sum + term
            count += 1
        }
        for _ in 0..<halvings { sum = (sum * sum).quotientAndRemainder(dividingBy: one).quotient }
        return Decimal(sum, scale: working).rounded(to: target)
    }

    /// The mantissa at a scale; digits beyond it are cut off.
    private func fixed(_ target: Int) -> BigInteger {
        target >= scale ? mantissa(atScale: target) : rounded(to: target, .towardsZero).mantissa
    }

    func naturalLogarithm() throws(Fault) -> Decimal {
        if isNaN { return self }
        if sign == 0 { throw .logarithmOfZero }
        if sign < 0 { throw .logarithmOfNegative }
        if case .infinity = self { return self }
        return naturalLogarithm(scale: Self.resultScale(16 - logarithmWeight, scale))
    }

    /// The power of ten of the logarithm's first digit, as PostgreSQL estimates it.
    private var logarithmWeight: Int {
        let one = Decimal(1)
        if Decimal.compare(self, .small(9, scale: 1)) >= 0, Decimal.compare(self, .small(11, scale: 1)) <= 0 {
            guard let distance = try? Decimal.subtract(self, one), distance.sign != 0 else { return 0 }
            let (weight, group) = distance.leadingGroup
            return weight * 4 + Int(log10(Double(group)))
        }
        let digits = self.digits
        let leading = digits.prefix(17).reduce(0.0) { $0 * 10 + Double($1) }
        let exponent = Double(digits.count - min(digits.count, 17) - scale)
        return Int(log10((log(leading) + exponent * 2.302585092994046).magnitude))
    }

    /// Taken apart as m·10ᵏ with 1 ≤ m < 10, so that very large and very small numbers need no more digits than others.
    private func naturalLogarithm(scale target: Int) -> Decimal {
        let digits = self.digits.count
        let exponent = digits - 1 - scale
        let working = target + Self.guardDigits + 6
        let own = Decimal(mantissa, scale: digits - 1).seriesLogarithm(working)
        guard exponent != 0 else { return Decimal(own, scale: working).rounded(to: target) }
        let tens = Decimal(10).seriesLogarithm(working) * BigInteger(Int128(exponent))
        return Decimal(own + tens, scale: working).rounded(to: target)
    }

    /// The logarithm of a number from 1 to 10 as a mantissa at a scale: square roots bring the number near 1, where
    /// 2·artanh((y − 1) / (y + 1)) converges fast.
    private func seriesLogarithm(_ working: Int) -> BigInteger {
        let one = BigInteger.powerOfTen(working)
        var y = fixed(working)
        let bound = BigInteger.powerOfTen(working - 2)
        var roots = 0
        while BigInteger.compare((y - one).magnitude, bound) > 0, roots < 64 {
            y = (y * one).squareRoot
            roots += 1
        }
        let ratio = ((y - one) * one).quotientAndRemainder(dividingBy: y + one).quotient
        let square = (ratio * ratio).quotientAndRemainder(dividingBy: one).quotient
        var (power, sum) = (ratio, ratio)
        var odd: Int128 = 3
        while !power.isZero {
            power = (power * square).quotientAndRemainder(dividingBy: one).quotient
            sum = sum + power.quotientAndRemainder(dividingBy: BigInteger(odd)).quotient
            odd += 2
        }
        return sum * BigInteger(Int128(1) << Int128(roots + 1))
    }

    /// `log(base, value)`, with digits to spare in both logarithms.
    static func logarithm(_ base: Decimal, _ value: Decimal) throws(Fault) -> Decimal? {
        if base.isNaN || value.isNaN { return .nan }
        if base.sign < 0 || value.sign < 0 { throw .logarithmOfNegative }
        if base.sign == 0 || value.sign == 0 { throw .logarithmOfZero }
        if case .infinity = base { return value.isFinite ? .small(0, scale: 0) : .nan }
        if case .infinity = value { return value }
        let weight = value.logarithmWeight - base.logarithmWeight
        let target = resultScale(16 - weight, base.scale, value.scale)
        let divisor = base.naturalLogarithm(scale: max(target + weight - base.logarithmWeight, 0) + guardDigits)
        guard divisor.sign != 0 else { throw .divisionByZero }
        let dividend = value.naturalLogarithm(scale: max(target + weight - value.logarithmWeight, 0) + guardDigits)
        let shift = target + divisor.scale - dividend.scale
        let numerator = shift >= 0 ? dividend.mantissa * .powerOfTen(shift) : dividend.mantissa
        let denominator = shift >= 0 ? divisor.mantissa : divisor.mantissa * .powerOfTen(-shift)
        return try checked(roundedQuotient(numerator, denominator), scale: target)
    }

    // MARK: Powers

    static func power(_ base: Decimal, _ exponent: Decimal) throws(Fault) -> Decimal? {
        if base.isNaN { return exponent.isFinite && exponent.sign == 0 ? .small(1, scale: 0) : .nan }
        if exponent.isNaN { return compare(base, Decimal(1)) == 0 ? .small(1, scale: 0) : .nan }
        guard base.isFinite, exponent.isFinite else {
            return try Arithmetic.power(base.double, exponent.double).map { Decimal(float: $0) }
        }
        let code = "invalid_argument"
        if base.sign == 0, exponent.sign < 0 {
            throw Fault(code, "zero raised to a negative power is undefined")
        }
        let whole = exponent.rounded(to: 0, .towardsZero)
        let isWhole = compare(whole, exponent) == 0
        if base.sign < 0, !isWhole {
            throw Fault(code, "a negative number raised to a non-integer power yields a complex result")
        }
        if isWhole, case .small(let times, _) = whole, let times = Int32(exactly: times) {
            return try power(base, times: Int(times))
        }
        if base.sign == 0 { return Decimal.small(0, scale: 0).padded(to: 16) }
        let value = try fractionalPower(base.magnitude, exponent)
        let isOdd = isWhole && (whole.digits.last ?? 0) % 2 == 1
        return base.sign < 0 && isOdd ? -value : value
    }

    private static func power(_ base: Decimal, times: Int) throws(Fault) -> Decimal {
        let target = resultScale(16, base.scale)
        if times == 0 { return Decimal(1).padded(to: target) }
        if base.sign == 0 { return Decimal.small(0, scale: 0).padded(to: target) }
        let digits = base.digits
        let leading = digits.prefix(17).reduce(0.0) { $0 * 10 + Double($1) }
        let weight = (log10(leading) + Double(digits.count - min(digits.count, 17) - base.scale)) * Double(times)
        if weight > Double(maximumWeight) { throw .numericOverflow }
        if weight + 1 < -Double(target) { return Decimal.small(0, scale: 0).padded(to: target) }
        let value =
            times == .min ? base : self.exactPower(base, times.magnitude, digits: target + Int(weight.magnitude))
        if times > 0 { return try checked(value.rounded(to: target).mantissa, scale: target) }
        let dividend = BigInteger.powerOfTen(target + value.scale)
        return try checked(roundedQuotient(dividend, value.mantissa), scale: target)
    }

    /// Repeated squaring; digits that cannot reach the result are dropped on the way.
    private static func exactPower(_ base: Decimal, _ times: UInt, digits: Int) -> Decimal {
        let room = digits + 2 * guardDigits + 20
        func trimmed(_ value: Decimal) -> Decimal {
            let excess = value.digits.count - 2 * room
            return excess > 0 && value.scale > 0 ? value.rounded(to: max(value.scale - excess, 0)) : value
        }
        var (result, square, rest) = (Decimal(1), base, times)
        while true {
            if rest & 1 == 1 {
                result = trimmed(Decimal(result.mantissa * square.mantissa, scale: result.scale + square.scale))
            }
            rest >>= 1
            if rest == 0 { return result }
            square = trimmed(Decimal(square.mantissa * square.mantissa, scale: 2 * square.scale))
        }
    }

    private static func fractionalPower(_ base: Decimal, _ exponent: Decimal) throws(Fault) -> Decimal {
        // PostgreSQL's low-precision estimate, with its rounding.
        let scale = max(8 - base.logarithmWeight, 0)
        let logarithm = base.naturalLogarithm(scale: scale)
        let rough = Decimal(logarithm.mantissa * exponent.mantissa, scale: scale + exponent.scale)
        let estimate = rough.rounded(to: scale).double
        if estimate > 6020 { throw .numericOverflow }
        if estimate < -6020 { return Decimal.small(0, scale: 0).padded(to: maximumResultScale) }
        let target = resultScale(16 - Int(estimate * 0.434294481903252), base.scale, exponent.scale)
        let wholeDigits = max(Int(estimate * 0.4343), 0)
        let precise = base.naturalLogarithm(scale: target + wholeDigits + guardDigits)
        let product = Decimal(precise.mantissa * exponent.mantissa, scale: precise.scale + exponent.scale)
        return try exponential(product, scale: target)
    }

    /// `div(a, b)`: the quotient cut to a whole number.
    static func wholeQuotient(_ left: Decimal, _ right: Decimal) throws(Fault) -> Decimal? {
        guard left.isFinite, right.isFinite else { return try divide(left, right) }
        guard right.sign != 0 else { throw .divisionByZero }
        let scale = max(left.scale, right.scale)
        let parts = left.mantissa(atScale: scale).quotientAndRemainder(dividingBy: right.mantissa(atScale: scale))
        return Decimal(parts.quotient, scale: 0)
    }

    /// The number without zeros at its end after the point.
    var trimmed: Decimal {
        guard isFinite, scale > 0 else { return self }
        let zeros = sign == 0 ? scale : min(digits.reversed().prefix { $0 == 0 }.count, scale)
        return rounded(to: scale - zeros)
    }
}

// MARK: Divisors and buckets

extension Decimal {
    static func greatestDivisor(_ a: Decimal, _ b: Decimal) -> Decimal {
        guard a.isFinite, b.isFinite else { return .nan }
        let scale = max(a.scale, b.scale)
        return Decimal(greatestDivisor(a.mantissa(atScale: scale), b.mantissa(atScale: scale)), scale: scale)
    }

    static func leastMultiple(_ a: Decimal, _ b: Decimal) throws(Fault) -> Decimal? {
        guard a.isFinite, b.isFinite else { return .nan }
        let scale = max(a.scale, b.scale)
        let (x, y) = (a.mantissa(atScale: scale), b.mantissa(atScale: scale))
        if x.isZero || y.isZero { return Decimal(BigInteger(0), scale: scale) }
        let parts = x.quotientAndRemainder(dividingBy: greatestDivisor(x, y))
        return try checked((parts.quotient * y).magnitude, scale: scale)
    }

    private static func greatestDivisor(_ a: BigInteger, _ b: BigInteger) -> BigInteger {
        var (x, y) = (a.magnitude, b.magnitude)
        while !y.isZero { (x, y) = (y, x.quotientAndRemainder(dividingBy: y).remainder) }
        return x
    }

    /// Digits after the point without zeros at the end; nil of NaN and infinity.
    var leastScale: Int64? { isFinite ? Int64(trimmed.scale) : nil }
}
