import Records

/// What numbers and times are described by, besides their values: over those that are finite.
struct NumberFigures: Sendable {
    static let shares = [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99]
    static let binCount = 40
    /// Bins of times, from which their quantiles are read.
    private static let timeBinCount = 8192

    /// Quantiles are read from here; times have none, for a share of a time's value means nothing.
    private var sketch: QuantileSketch?
    private(set) var moments = Moments()
    private var histogram: SpanHistogram
    var nan = 0
    var infinity = 0
    var negativeInfinity = 0
    /// Numbers that a double cannot hold, which only `numeric` has.
    var beyond = 0

    init?(_ type: ColumnType) {
        switch type {
        case .int8: (sketch, histogram) = (QuantileSketch(), SpanHistogram(.powers(least: 0), capacity: Self.binCount))
        case .float8, .numeric:
            (sketch, histogram) = (QuantileSketch(), SpanHistogram(.powers(least: -1000), capacity: Self.binCount))
        case .date: histogram = SpanHistogram(.powers(least: 0), capacity: Self.timeBinCount)
        case .timestamptz: histogram = SpanHistogram(.time, capacity: Self.timeBinCount)
        case .text, .bool, .uuid, .jsonb: return nil
        }
    }

    /// Adds a block: NaN where there is no finite number. Gives its moments.
    mutating func add(_ values: [Double]) -> Moments {
        var least = Double.infinity
        var greatest = -Double.infinity
        for value in values {
            if value < least { least = value }
            if value > greatest { greatest = value }
        }
        guard least <= greatest else { return Moments() }
        let block = Moments(values)
        moments.add(block)
        sketch?.add(values)
        histogram.add(values, least: least, greatest: greatest)
        return block
    }

    var bins: [SpanHistogram.Bin] { histogram.bins(most: Self.binCount) }

    /// Quantiles at `shares`, and how far each may be off: a share of its value, or a span of time in its own unit; nil
    /// where there is no bound.
    var quantiles: (values: [Double], error: Double?) {
        guard let sketch else {
            return (histogram.quantiles(Self.shares), histogram.width == 1 ? 0 : histogram.width / 2)
        }
        return (sketch.quantiles(Self.shares), sketch.isBounded ? QuantileSketch.relativeError : nil)
    }

    /// The same from all different values, in ascending order.
    static func quantiles(of counts: [(value: Double, count: Int)]) -> [Double] {
        let total = Double(counts.reduce(0) { $0 + $1.count })
        var found: [Double] = []
        var seen = 0
        for (value, count) in counts {
            seen += count
            while found.count < shares.count, Double(seen) >= shares[found.count] * total { found.append(value) }
        }
        return found
    }
}
