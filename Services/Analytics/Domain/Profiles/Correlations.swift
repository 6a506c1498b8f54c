/// Pearson's correlation of each two of several columns, over the rows in which both have a number.
struct Correlations: Sendable {
    /// One column's part of a block: NaN where there is no number.
    struct Part: Sendable {
        var values: [Double]
        var moments: Moments
    }

    struct Pair: Sendable {
        var first: Int
        var second: Int
        fileprivate(set) var count = 0
        private var means = (0.0, 0.0)
        private var squares = (0.0, 0.0)
        private var products = 0.0

        init(_ first: Int, _ second: Int) {
            self.first = first
            self.second = second
        }

        /// nil where a column is constant, or has numbers too large to be squared.
        var coefficient: Double? {
            let root = squares.0.squareRoot() * squares.1.squareRoot()
            guard count > 1, root > 0, root.isFinite, products.isFinite else { return nil }
            return max(-1, min(1, products / root))
        }

        fileprivate mutating func add(
            _ more: Int, means others: (Double, Double), squares: (Double, Double), products: Double
        ) {
            guard more > 0 else { return }
            let weight = Double(count) * Double(more) / Double(count + more)
            let distance = (others.0 - means.0, others.1 - means.1)
            self.squares.0 += squares.0 + distance.0 * distance.0 * weight
            self.squares.1 += squares.1 + distance.1 * distance.1 * weight
            self.products += products + distance.0 * distance.1 * weight
            count += more
            let share = Double(more) / Double(count)
            means.0 += distance.0 * share
            means.1 += distance.1 * share
        }
    }

    static let maximumColumns = 16
    private(set) var pairs: [Pair]

    init(columns: Int) {
        pairs = (0..<columns).flatMap { first in (first + 1..<max(columns, first + 1)).map { Pair(first, $0) } }
    }

    mutating func add(_ parts: [Part]) {
        let deviations = parts.map { part in part.values.map { $0 - part.moments.mean } }
        for index in pairs.indices {
            let (first, second) = (pairs[index].first, pairs[index].second)
            let (x, y) = (parts[first].moments, parts[second].moments)
            let rows = deviations[first].count
            if x.count == rows, y.count == rows {
                pairs[index].add(
                    rows, means: (x.mean, y.mean), squares: (x.squares, y.squares),
                    products: Self.product(deviations[first], deviations[second]))
            } else if x.count > 0, y.count > 0 {
                pairs[index].addIncomplete(deviations[first], deviations[second], (x.mean, y.mean))
            }
        }
    }

    /// The sum of products, in four parts that need not wait for each other.
    private static func product(_ x: [Double], _ y: [Double]) -> Double {
        var sums = SIMD4<Double>.zero
        let whole = x.count & ~3
        for at in stride(from: 0, to: whole, by: 4) {
            let left = SIMD4<Double>(x[at], x[at + 1], x[at + 2], x[at + 3])
            let right = SIMD4<Double>(y[at], y[at + 1], y[at + 2], y[at + 3])
            sums += left * right
        }
        var sum = sums.sum()
        for at in whole..<x.count { sum += x[at] * y[at] }
        return sum
    }
}

extension Correlations.Pair {
    /// `x` and `y` are distances from `centers`, NaN where there is no number.
    fileprivate mutating func addIncomplete(_ x: [Double], _ y: [Double], _ centers: (Double, Double)) {
        var count = 0.0
        var (sumX, sumY, sumXX, sumYY, sumXY) = (0.0, 0.0, 0.0, 0.0, 0.0)
        for at in x.indices {
            let (left, right) = (x[at], y[at])
            if left.isNaN || right.isNaN { continue }
            count += 1
            sumX += left
            sumY += right
            sumXX += left * left
            sumYY += right * right
            sumXY += left * right
        }
        guard count > 0 else { return }
        let (shiftX, shiftY) = (sumX / count, sumY / count)
        add(
            Int(count), means: (centers.0 + shiftX, centers.1 + shiftY),
            squares: (max(0, sumXX - shiftX * sumX), max(0, sumYY - shiftY * sumY)),
            products: sumXY - shiftX * sumY)
    }
}
