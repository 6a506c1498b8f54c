/// Quantiles of numbers, each within 0.4 % of its value.
///
/// Values are counted by the top seven bits of their significand under each exponent: buckets whose width is 1/128 of
/// their lower border at most, as DDSketch has them (Masson, Rim and Lee, 2019), found without a logarithm. Exponents
/// beyond ``pageLimit`` different ones are counted with the nearest known one below, and the bound is lost.
struct QuantileSketch: Sendable {
    static let relativeError = 1.0 / 256
    private static let bits = 7
    private static let pageSize = 1 << bits
    /// Exponents with their sign that have buckets of their own: 64 KiB of counts.
    private static let pageLimit = 128

    /// By exponent: where its buckets are, or -1. Negative numbers come first.
    private var pages = [Int16](repeating: -1, count: 4096)
    private var counts: [UInt32] = []
    private var zeros = 0
    private(set) var count = 0
    /// Whether each quantile is within the bound.
    private(set) var isBounded = true

    mutating func add(_ values: [Double]) {
        for value in values where !value.isNaN {
            count += 1
            if value == 0 {
                zeros += 1
                continue
            }
            let pattern = value.bitPattern
            let page = Int(pages[Int(pattern >> 52)])
            let bucket = Int(truncatingIfNeeded: pattern >> UInt64(52 - Self.bits)) & (Self.pageSize - 1)
            counts[(page >= 0 ? page : addPage(Int(pattern >> 52))) * Self.pageSize + bucket] += 1
        }
    }

    /// `exponent` has the sign as its twelfth bit.
    private mutating func addPage(_ exponent: Int) -> Int {
        let used = counts.count / Self.pageSize
        if used < Self.pageLimit {
            pages[exponent] = Int16(truncatingIfNeeded: used)
            counts.append(contentsOf: [UInt32](repeating: 0, count: Self.pageSize))
            return used
        }
        isBounded = false
        let sign = exponent & 0x800
        let near = (sign..<exponent).last { pages[$0] >= 0 } ?? (exponent..<sign + 0x800).first { pages[$0] >= 0 }
        return Int(pages[near ?? pages.firstIndex { $0 >= 0 } ?? 0])
    }

    /// The values at which at least these shares of all values are not greater, in ascending order of the shares; empty
    /// where there are no values.
    func quantiles(_ shares: [Double]) -> [Double] {
        guard count > 0 else { return [] }
        var found: [Double] = []
        var seen = 0
        func take(_ value: Double, _ more: Int) {
            seen += more
            while found.count < shares.count, Double(seen) >= shares[found.count] * Double(count) {
                found.append(value)
            }
        }
        for exponent in (0x800..<0x1000).reversed() where pages[exponent] >= 0 {
            for bucket in (0..<Self.pageSize).reversed() { take(middle(exponent, bucket), self[exponent, bucket]) }
        }
        take(0, zeros)
        for exponent in 0..<0x800 where pages[exponent] >= 0 {
            for bucket in 0..<Self.pageSize { take(middle(exponent, bucket), self[exponent, bucket]) }
        }
        return found
    }

    private subscript(exponent: Int, bucket: Int) -> Int { Int(counts[Int(pages[exponent]) * Self.pageSize + bucket]) }

    private func middle(_ exponent: Int, _ bucket: Int) -> Double {
        let half = UInt64(1) << UInt64(51 - Self.bits)
        return Double(bitPattern: UInt64(exponent) << 52 | UInt64(bucket) << UInt64(52 - Self.bits) | half)
    }
}
