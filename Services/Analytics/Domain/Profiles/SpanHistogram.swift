/// Widths that bins can have, each a multiple of the one before, so that bins can be put together exactly.
enum BinScale: Sendable {
    /// Powers of two, from a width of 2 to the power of `least`.
    case powers(least: Int)
    /// µs: round parts of days, then powers of two of days.
    case time

    /// µs; 5 or 2 times the one before, or what leads to a minute, an hour or a day.
    private static let partsOfDays: [Double] = {
        let second = 1e6
        let (minute, hour) = (60 * second, 3600 * second)
        return [1, 2, 10, 20, 100, 200, 1e3, 2e3, 1e4, 2e4, 1e5, 2e5, second, 2 * second, 10 * second, 20 * second]
            + [minute, 2 * minute, 10 * minute, 30 * minute, hour, 2 * hour, 6 * hour, 12 * hour]
    }()
    private static let day = 86_400e6

    func width(_ step: Int) -> Double {
        switch self {
        case .powers(let least): Double(sign: .plus, exponent: step + least, significand: 1)
        case .time:
            step < Self.partsOfDays.count
                ? Self.partsOfDays[step]
                : Double(sign: .plus, exponent: step - Self.partsOfDays.count, significand: Self.day)
        }
    }

    /// The narrowest step at which numbers of this magnitude still have bins of their own.
    func narrowest(for magnitude: Double) -> Int {
        guard case .powers(let least) = self, magnitude > 0 else { return 0 }
        return max(0, Int(magnitude.exponent) - 50 - least)
    }
}

/// Counts values in bins of one width, which grows as the values' span does: always exact, in one scan.
struct SpanHistogram: Sendable {
    struct Bin: Sendable {
        var from: Double
        var to: Double
        var count: Int
    }

    private let scale: BinScale
    /// The most bins.
    private let capacity: Int
    private var step = 0
    /// The number of the first bin: its lower border in widths.
    private var first = 0
    private var counts: [Int] = []

    init(_ scale: BinScale, capacity: Int) {
        self.scale = scale
        self.capacity = capacity
    }

    var width: Double { scale.width(step) }

    /// Adds all values but NaN, of which `least` is the least and `greatest` the greatest; both are finite.
    mutating func add(_ values: [Double], least: Double, greatest: Double) {
        makeRoom(least, greatest)
        let (factor, offset) = (1 / width, first)
        for value in values where !value.isNaN { counts[Int((value * factor).rounded(.down)) - offset] += 1 }
    }

    private mutating func makeRoom(_ least: Double, _ greatest: Double) {
        var wanted = max(step, scale.narrowest(for: max(abs(least), abs(greatest))))
        while !hasRoom(wanted, least, greatest) { wanted += 1 }
        coarsen(to: wanted)
        let low = number(least, step)
        let high = number(greatest, step)
        if counts.isEmpty { (first, counts) = (low, [0]) }
        if low < first {
            counts.insert(contentsOf: repeatElement(0, count: first - low), at: 0)
            first = low
        }
        if high >= first + counts.count {
            counts.append(contentsOf: repeatElement(0, count: high - first - counts.count + 1))
        }
    }

    private func hasRoom(_ step: Int, _ least: Double, _ greatest: Double) -> Bool {
        var low = (least / scale.width(step)).rounded(.down)
        var high = (greatest / scale.width(step)).rounded(.down)
        if !counts.isEmpty {
            let ratio = scale.width(step) / width
            low = min(low, (Double(first) / ratio).rounded(.down))
            high = max(high, (Double(first + counts.count - 1) / ratio).rounded(.down))
        }
        return high - low < Double(capacity) && max(abs(low), abs(high)) < 0x1p60
    }

    private func number(_ value: Double, _ step: Int) -> Int { Int((value / scale.width(step)).rounded(.down)) }

    private mutating func coarsen(to wanted: Int) {
        guard wanted > step else { return }
        let ratio = scale.width(wanted) / width
        step = wanted
        guard let start = counts.isEmpty ? nil : Int((Double(first) / ratio).rounded(.down)) else { return }
        let last = Int((Double(first + counts.count - 1) / ratio).rounded(.down))
        var merged = [Int](repeating: 0, count: last - start + 1)
        for (place, count) in counts.enumerated() where count > 0 {
            merged[Int((Double(first + place) / ratio).rounded(.down)) - start] += count
        }
        (first, counts) = (start, merged)
    }

    // MARK: Reading

    /// The bins in order, `most` at most; the first and the last have values.
    func bins(most: Int) -> [Bin] {
        var coarse = self
        while coarse.counts.count > most { coarse.coarsen(to: coarse.step + 1) }
        return coarse.counts.enumerated().map { place, count in
            let number = Double(coarse.first + place)
            return Bin(from: number * coarse.width, to: (number + 1) * coarse.width, count: count)
        }
    }

    /// The middles of the bins in which these shares of the values end, in ascending order of the shares.
    func quantiles(_ shares: [Double]) -> [Double] {
        let total = Double(counts.reduce(0, +))
        var found: [Double] = []
        var seen = 0
        for (place, count) in counts.enumerated() where count > 0 {
            seen += count
            while found.count < shares.count, Double(seen) >= shares[found.count] * total {
                found.append((Double(first + place) + 0.5) * width)
            }
        }
        return found
    }
}
