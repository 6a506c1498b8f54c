/// Count, mean and the sum of squared deviations of numbers, put together from parts (Chan, Golub and LeVeque, 1979).
struct Moments: Sendable {
    private(set) var count = 0
    private(set) var mean = 0.0
    /// The sum of squared deviations from the mean.
    private(set) var squares = 0.0

    init() {}

    /// Of all values but NaN, in two passes, so that a constant column has no deviation at all.
    init(_ values: [Double]) {
        guard let first = values.first(where: { !$0.isNaN }) else { return }
        var sum = 0.0
        for value in values where !value.isNaN {
            count += 1
            sum += value - first
        }
        let shift = sum / Double(count)
        for value in values where !value.isNaN {
            let deviation = value - first - shift
            squares += deviation * deviation
        }
        mean = first + shift
    }

    mutating func add(_ other: Moments) {
        guard other.count > 0 else { return }
        guard count > 0 else {
            self = other
            return
        }
        let (own, others) = (Double(count), Double(other.count))
        let distance = other.mean - mean
        count += other.count
        squares += other.squares + distance * distance * own * others / Double(count)
        mean += distance * others / Double(count)
    }

    /// As `stddev` in SQL; nil of fewer than two values.
    var deviation: Double? { count < 2 ? nil : (squares / Double(count - 1)).squareRoot() }
}
