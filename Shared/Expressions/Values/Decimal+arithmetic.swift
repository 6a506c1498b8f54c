extension Decimal {
    static func add(_ left: Decimal, _ right: Decimal) throws(Fault) -> Decimal {
        if case .small(let a, let scaleA) = left, case .small(let b, let scaleB) = right,
            let (a, b, scale) = aligned(a, scaleA, b, scaleB)
        {
            let (sum, overflow) = a.addingReportingOverflow(b)
            if !overflow { return .small(sum, scale: scale) }
        }
        switch (left, right) {
        case (.nan, _), (_, .nan): return .nan
        case (.infinity(let a), .infinity(let b)): return a == b ? left : .nan
        case (.infinity, _): return left
        case (_, .infinity): return right
        default:
            let scale = max(left.scale, right.scale)
            return try checked(left.mantissa(atScale: scale) + right.mantissa(atScale: scale), scale: scale)
        }
    }

    static func subtract(_ left: Decimal, _ right: Decimal) throws(Fault) -> Decimal { try add(left, -right) }

    static func multiply(_ left: Decimal, _ right: Decimal) throws(Fault) -> Decimal {
        if case .small(let a, let scaleA) = left, case .small(let b, let scaleB) = right,
            scaleA + scaleB <= maximumScale
        {
            let (product, overflow) = a.multipliedReportingOverflow(by: b)
            if !overflow { return .small(product, scale: scaleA + scaleB) }
        }
        guard left.isFinite, right.isFinite else {
            if left.isNaN || right.isNaN || left.sign == 0 || right.sign == 0 { return .nan }
            return .infinity(negative: left.sign != right.sign)
        }
        let scale = left.scale + right.scale
        let product = Decimal(left.mantissa * right.mantissa, scale: scale)
        let kept = scale > maximumScale ? product.rounded(to: maximumScale) : product
        return try checked(kept.mantissa, scale: kept.scale)
    }

    static func divide(_ left: Decimal, _ right: Decimal) throws(Fault) -> Decimal {
        guard left.isFinite, right.isFinite else { return try divideSpecial(left, right) }
        guard right.sign != 0 else { throw .divisionByZero }
        let scale = divisionScale(left, right)
        let shift = scale + right.scale - left.scale
        if case .small(let a, _) = left, case .small(let b, _) = right, shift <= 38 {
            let (scaled, overflow) = a.magnitude.multipliedReportingOverflow(by: UInt128(powerOfTen(shift)))
            if !overflow {
                let (quotient, remainder) = scaled.dividedOnceOrTwice(by: b.magnitude)
                let rounded = remainder >= b.magnitude - remainder ? quotient + 1 : quotient
                if rounded <= UInt128(Int128.max) {
                    return .small((a < 0) != (b < 0) ? -Int128(rounded) : Int128(rounded), scale: scale)
                }
            }
        }
        let dividend = left.mantissa * .powerOfTen(shift)
        return try checked(roundedQuotient(dividend, right.mantissa), scale: scale)
    }

    private static func divideSpecial(_ left: Decimal, _ right: Decimal) throws(Fault) -> Decimal {
        if left.isNaN || right.isNaN { return .nan }
        if case .infinity = left {
            if case .infinity = right { return .nan }
            guard right.sign != 0 else { throw .divisionByZero }
            return .infinity(negative: left.sign != right.sign)
        }
        return .small(0, scale: 0)
    }

    /// The remainder of a division that truncates.
    static func remainder(_ left: Decimal, _ right: Decimal) throws(Fault) -> Decimal {
        guard left.isFinite, right.isFinite else {
            if left.isNaN || right.isNaN { return .nan }
            if case .infinity = left {
                guard right.sign != 0 else { throw .divisionByZero }
                return .nan
            }
            return left
        }
        guard right.sign != 0 else { throw .divisionByZero }
        if case .small(let a, let scaleA) = left, case .small(let b, let scaleB) = right,
            let (a, b, scale) = aligned(a, scaleA, b, scaleB)
        {
            return .small(b == -1 ? 0 : a % b, scale: scale)
        }
        let scale = max(left.scale, right.scale)
        let parts = left.mantissa(atScale: scale).quotientAndRemainder(dividingBy: right.mantissa(atScale: scale))
        return Decimal(parts.remainder, scale: scale)
    }

    /// PostgreSQL's `select_div_scale`: at least 16 significant digits, counted in groups of four.
    static func divisionScale(_ left: Decimal, _ right: Decimal) -> Int {
        let (weightA, firstA) = left.leadingGroup
        let (weightB, firstB) = right.leadingGroup
        var weight = weightA - weightB
        if firstA <= firstB { weight -= 1 }
        return min(max(16 - weight * 4, left.scale, right.scale, 0), maximumResultScale)
    }

    /// The exponent, in groups of four digits from the point, of the first group that is not zero, and that group.
    var leadingGroup: (weight: Int, group: Int) {
        guard case .small(let mantissa, let scale) = self else { return largeLeadingGroup }
        guard mantissa != 0 else { return (0, 0) }
        let magnitude = mantissa.magnitude
        let exponent = Self.digitCount(magnitude) - 1 - scale
        let weight = exponent >= 0 ? exponent / 4 : -((3 - exponent) / 4)
        let drop = scale + weight * 4
        if drop >= 0 { return (weight, Int(truncatingIfNeeded: magnitude / UInt128(Self.powerOfTen(drop)))) }
        return (weight, Int(truncatingIfNeeded: magnitude) * Int(Self.powerOfTen(-drop)))
    }

    private var largeLeadingGroup: (weight: Int, group: Int) {
        let digits = self.digits
        let exponent = digits.count - 1 - scale
        let weight = exponent >= 0 ? exponent / 4 : -((3 - exponent) / 4)
        let length = exponent - weight * 4 + 1
        return (weight, digits.prefix(length).reduce(0) { $0 * 10 + Int($1) })
    }

    /// The number of decimal digits; 1 for zero.
    static func digitCount(_ value: UInt128) -> Int {
        // 1233 / 4096 is a little above log₁₀2.
        let bits = 128 - value.leadingZeroBitCount
        let guess = (bits * 1233) >> 12
        return guess <= 38 && value >= UInt128(powerOfTen(guess)) ? guess + 1 : max(guess, 1)
    }

    static func roundedQuotient(_ dividend: BigInteger, _ divisor: BigInteger) -> BigInteger {
        let (quotient, remainder) = dividend.quotientAndRemainder(dividingBy: divisor)
        let twice = remainder.magnitude + remainder.magnitude
        guard BigInteger.compare(twice, divisor.magnitude) >= 0 else { return quotient }
        let negative = dividend.isNegative != divisor.isNegative
        return quotient + BigInteger(negative ? -1 : 1)
    }
}

extension UInt128 {
    /// Division that stays in 64 bits where both numbers do, which is three times as fast.
    fileprivate func dividedOnceOrTwice(by divisor: UInt128) -> (quotient: UInt128, remainder: UInt128) {
        if let small = UInt64(exactly: divisor) {
            let high = UInt64(truncatingIfNeeded: self >> 64)
            let low = UInt64(truncatingIfNeeded: self)
            let first = high.quotientAndRemainder(dividingBy: small)
            let second = small.dividingFullWidth((first.remainder, low))
            return (UInt128(first.quotient) << 64 | UInt128(second.quotient), UInt128(second.remainder))
        }
        return quotientAndRemainder(dividingBy: divisor)
    }
}
