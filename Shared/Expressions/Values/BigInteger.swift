private import CGMP

/// An integer of any size, by GMP's `mpn` functions over an array of limbs.
///
/// Only what does not fit 128 bits comes here, so that an allocation each is no concern.
struct BigInteger: Sendable, Hashable {
    private(set) var isNegative: Bool
    /// Least significant first, without leading zeros; empty for zero.
    private(set) var limbs: [UInt]

    private init(isNegative: Bool, trimming limbs: [UInt]) {
        var limbs = limbs
        while limbs.last == 0 { limbs.removeLast() }
        self.limbs = limbs
        self.isNegative = isNegative && !limbs.isEmpty
    }

    init(_ value: Int128) {
        let magnitude = value.magnitude
        self.init(
            isNegative: value < 0,
            trimming: [UInt(truncatingIfNeeded: magnitude), UInt(truncatingIfNeeded: magnitude >> 64)])
    }

    /// The value of decimal digits, `0` to `9` as 0 to 9.
    init(digits: [UInt8], isNegative: Bool) {
        let significant = Array(digits.drop { $0 == 0 })
        guard !significant.isEmpty else {
            self.init(0)
            return
        }
        // log₂10 / 64 limbs a digit, and one to spare, as `mpn_set_str` asks.
        var limbs = [UInt](repeating: 0, count: significant.count * 10 / 192 + 2)
        let used = unsafe limbs.withUnsafeMutableBufferPointer { target in
            unsafe significant.withUnsafeBufferPointer { source in
                unsafe __gmpn_set_str(target.baseAddress, source.baseAddress, source.count, 10)
            }
        }
        self.init(isNegative: isNegative, trimming: Array(limbs[..<used]))
    }

    var isZero: Bool { limbs.isEmpty }

    /// The value where it fits.
    var int128: Int128? {
        guard limbs.count <= 2 else { return nil }
        let magnitude = limbs.enumerated().reduce(UInt128(0)) { $0 | UInt128($1.element) << (64 * UInt128($1.offset)) }
        guard magnitude <= UInt128(Int128.max) else { return nil }
        return isNegative ? -Int128(magnitude) : Int128(magnitude)
    }

    /// The magnitude's decimal digits, 0 to 9 each, without leading zeros; empty for zero.
    var digits: [UInt8] {
        guard !limbs.isEmpty else { return [] }
        var source = limbs
        // `mpn_get_str` may use one limb more than the number has.
        source.append(0)
        var target = [UInt8](repeating: 0, count: limbs.count * 20 + 2)
        let count = limbs.count
        let used = unsafe target.withUnsafeMutableBufferPointer { target in
            unsafe source.withUnsafeMutableBufferPointer { source in
                unsafe __gmpn_get_str(target.baseAddress, 10, source.baseAddress, count)
            }
        }
        return Array(target[..<used].drop { $0 == 0 })
    }

    static prefix func - (value: BigInteger) -> BigInteger {
        BigInteger(isNegative: !value.isNegative, trimming: value.limbs)
    }

    var magnitude: BigInteger { BigInteger(isNegative: false, trimming: limbs) }

    static func + (left: BigInteger, right: BigInteger) -> BigInteger {
        if left.isNegative == right.isNegative {
            return BigInteger(isNegative: left.isNegative, trimming: sum(left.limbs, right.limbs))
        }
        let order = compareMagnitudes(left.limbs, right.limbs)
        if order >= 0 {
            return BigInteger(isNegative: left.isNegative, trimming: difference(left.limbs, right.limbs))
        }
        return BigInteger(isNegative: right.isNegative, trimming: difference(right.limbs, left.limbs))
    }

    static func - (left: BigInteger, right: BigInteger) -> BigInteger { left + -right }

    static func * (left: BigInteger, right: BigInteger) -> BigInteger {
        guard !left.isZero, !right.isZero else { return BigInteger(0) }
        let (long, short) =
            left.limbs.count >= right.limbs.count ? (left.limbs, right.limbs) : (right.limbs, left.limbs)
        var result = [UInt](repeating: 0, count: long.count + short.count)
        unsafe result.withUnsafeMutableBufferPointer { target in
            unsafe long.withUnsafeBufferPointer { long in
                unsafe short.withUnsafeBufferPointer { short in
                    _ = unsafe __gmpn_mul(
                        target.baseAddress, long.baseAddress, long.count, short.baseAddress, short.count)
                }
            }
        }
        return BigInteger(isNegative: left.isNegative != right.isNegative, trimming: result)
    }

    /// Division that truncates towards zero; the remainder has the dividend's sign. The divisor is not zero.
    func quotientAndRemainder(dividingBy divisor: BigInteger) -> (quotient: BigInteger, remainder: BigInteger) {
        guard limbs.count >= divisor.limbs.count else { return (BigInteger(0), self) }
        var quotient = [UInt](repeating: 0, count: limbs.count - divisor.limbs.count + 1)
        var remainder = [UInt](repeating: 0, count: divisor.limbs.count)
        unsafe quotient.withUnsafeMutableBufferPointer { quotient in
            unsafe remainder.withUnsafeMutableBufferPointer { remainder in
                unsafe limbs.withUnsafeBufferPointer { dividend in
                    unsafe divisor.limbs.withUnsafeBufferPointer { divisor in
                        unsafe __gmpn_tdiv_qr(
                            quotient.baseAddress, remainder.baseAddress, 0, dividend.baseAddress, dividend.count,
                            divisor.baseAddress, divisor.count)
                    }
                }
            }
        }
        return (
            BigInteger(isNegative: isNegative != divisor.isNegative, trimming: quotient),
            BigInteger(isNegative: isNegative, trimming: remainder)
        )
    }

    /// The largest integer whose square is not above this one, which is not negative.
    var squareRoot: BigInteger {
        guard !limbs.isEmpty else { return self }
        var root = [UInt](repeating: 0, count: (limbs.count + 1) / 2)
        unsafe root.withUnsafeMutableBufferPointer { root in
            unsafe limbs.withUnsafeBufferPointer { source in
                _ = unsafe __gmpn_sqrtrem(root.baseAddress, nil, source.baseAddress, source.count)
            }
        }
        return BigInteger(isNegative: false, trimming: root)
    }

    /// 10 to the power of `exponent` ≥ 0.
    static func powerOfTen(_ exponent: Int) -> BigInteger {
        if exponent <= 38 { return BigInteger(Decimal.powerOfTen(exponent)) }
        let half = powerOfTen(exponent / 2)
        let square = half * half
        return exponent % 2 == 0 ? square : square * BigInteger(10)
    }

    /// -1, 0 or 1.
    static func compare(_ left: BigInteger, _ right: BigInteger) -> Int {
        if left.isNegative != right.isNegative { return left.isNegative ? -1 : 1 }
        let order = compareMagnitudes(left.limbs, right.limbs)
        return left.isNegative ? -order : order
    }
}

// MARK: - Magnitudes

extension BigInteger {
    private static func compareMagnitudes(_ left: [UInt], _ right: [UInt]) -> Int {
        if left.count != right.count { return left.count < right.count ? -1 : 1 }
        for (a, b) in zip(left, right).reversed() where a != b { return a < b ? -1 : 1 }
        return 0
    }

    private static func sum(_ left: [UInt], _ right: [UInt]) -> [UInt] {
        let (long, short) = left.count >= right.count ? (left, right) : (right, left)
        var result = long
        var carry = false
        for index in long.indices {
            let addend = index < short.count ? short[index] : 0
            if addend == 0, !carry, index >= short.count { break }
            let (first, overflow) = long[index].addingReportingOverflow(addend)
            let (second, more) = first.addingReportingOverflow(carry ? 1 : 0)
            result[index] = second
            carry = overflow || more
        }
        if carry { result.append(1) }
        return result
    }

    /// `left` - `right`, where `left` is not the smaller.
    private static func difference(_ left: [UInt], _ right: [UInt]) -> [UInt] {
        var result = left
        var borrow = false
        for index in left.indices {
            let subtrahend = index < right.count ? right[index] : 0
            if subtrahend == 0, !borrow, index >= right.count { break }
            let (first, overflow) = left[index].subtractingReportingOverflow(subtrahend)
            let (second, more) = first.subtractingReportingOverflow(borrow ? 1 : 0)
            result[index] = second
            borrow = overflow || more
        }
        return result
    }
}
