/// What an answer has besides a rollup's measures, for each group a series in time.
struct RollupOptions: Sendable, Equatable {
    /// What stands for a bucket without rows.
    enum Fill: String, CaseIterable, Sendable {
        case null, zero, previous, linear
    }

    enum Anomalies: String, CaseIterable, Sendable {
        case zscore
    }

    static let longestAverage = 1000

    var fill: Fill?
    /// Buckets of a moving average.
    var movingAverage: Int?
    var rate = false
    var trend = false
    var anomalies: Anomalies?
    /// Standard deviations from the mean from which a value is an anomaly.
    var threshold = 3.0

    var isPlain: Bool { self == RollupOptions(threshold: threshold) }
}
