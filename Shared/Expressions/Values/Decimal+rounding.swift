extension Decimal {
    /// How digits that are cut off count.
    enum Rounding { case halfAwayFromZero, towardsZero, up, down }

    /// The number with `places` digits after the point (before it, where negative).
    func rounded(to places: Int, _ rounding: Rounding = .halfAwayFromZero) -> Decimal {
        guard isFinite else { return self }
        let drop = scale - places
        guard drop > 0 else { return padded(to: max(places, 0)) }
        if case .small(let mantissa, _) = self, drop <= 38 {
            let unit = Self.powerOfTen(drop)
            let (quotient, remainder) = mantissa.quotientAndRemainder(dividingBy: unit)
            let carried =
                quotient
                + Int128(
                    Self.carry(
                        rounding, negative: mantissa < 0, isZero: remainder == 0,
                        isHalf: remainder.magnitude >= (unit - Int128(remainder.magnitude)).magnitude))
            return Decimal.small(carried, scale: max(places, 0)).shifted(by: max(-places, 0))
        }
        let unit = BigInteger.powerOfTen(drop)
        let (quotient, remainder) = mantissa.quotientAndRemainder(dividingBy: unit)
        let carry = Self.carry(
            rounding, negative: sign < 0, isZero: remainder.isZero,
            isHalf: BigInteger.compare(remainder.magnitude + remainder.magnitude, unit) >= 0)
        return Decimal(quotient + BigInteger(Int128(carry)), scale: max(places, 0)).shifted(by: max(-places, 0))
    }

    private static func carry(_ rounding: Rounding, negative: Bool, isZero: Bool, isHalf: Bool) -> Int {
        if isZero { return 0 }
        return switch rounding {
        case .halfAwayFromZero: isHalf ? (negative ? -1 : 1) : 0
        case .towardsZero: 0
        case .up: negative ? 0 : 1
        case .down: negative ? -1 : 0
        }
    }

    /// The mantissa times 10^`places`, at the same scale.
    private func shifted(by places: Int) -> Decimal {
        places == 0 ? self : Decimal(mantissa * .powerOfTen(places), scale: scale)
    }

    /// The same number with more digits after the point.
    func padded(to target: Int) -> Decimal {
        guard isFinite, target > scale else { return self }
        if case .small(let value, let scale) = self, target - scale <= 38 {
            let (product, overflow) = value.multipliedReportingOverflow(by: Self.powerOfTen(target - scale))
            if !overflow { return .small(product, scale: target) }
        }
        return Decimal(mantissa(atScale: target), scale: target)
    }

    /// The square root with PostgreSQL's choice of scale.
    func squareRoot() throws(Fault) -> Decimal {
        switch self {
        case .nan: return self
        case .infinity(negative: false): return self
        default: break
        }
        guard sign >= 0 else {
            throw Fault("invalid_argument", "cannot take square root of a negative number")
        }
        // At least 16 significant digits, by the number of four-digit groups before the point.
        let weight = leadingGroup.weight
        let significant = (weight + 1) * 4 / 2 - 1
        let target = min(max(16 - significant, scale, 0), Self.maximumResultScale)
        if sign == 0 { return .small(0, scale: target) }
        // One digit more than asked for decides the rounding; below it, only exact squares end in zeros.
        let shift = 2 * (target + 1) - scale
        let scaled = mantissa * .powerOfTen(shift)
        let root = scaled.squareRoot
        return Decimal(root, scale: target + 1).rounded(to: target)
    }

    /// The nearest bigint, half away from zero.
    func int64(_ type: String = "bigint") throws(Fault) -> Int64 {
        switch self {
        case .nan: throw Fault("invalid_argument", "cannot convert NaN to \(type)")
        case .infinity: throw Fault("invalid_argument", "cannot convert infinity to \(type)")
        case .small(let mantissa, scale: 0):
            guard let value = Int64(exactly: mantissa) else { throw .range("\(type) out of range") }
            return value
        default:
            guard case .small(let whole, _) = rounded(to: 0), let value = Int64(exactly: whole) else {
                throw .range("\(type) out of range")
            }
            return value
        }
    }

    /// Applies `numeric(precision, scale)`.
    func limited(precision: Int, scale: Int) throws(Fault) -> Decimal {
        if isNaN { return self }
        let rounded = self.rounded(to: scale)
        let isWide = !isFinite || (sign != 0 && rounded.digits.count - rounded.scale > precision - scale)
        if isWide {
            throw .range("numeric field overflow")
        }
        return rounded
    }
}
