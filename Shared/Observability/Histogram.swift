import Synchronization

/// Counts observations in buckets by size, and sums them. Two atomic operations an observation, no lock.
public final class Histogram: Sendable {
    /// The most buckets a histogram may have, without the last, unbounded one.
    public static let maximumBuckets = 31

    /// Bounds for times in seconds, from half a millisecond to a minute.
    public static let latencyBuckets: [Double] = [
        0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
    ]

    /// Bounds for sizes in bytes, from 256 B to 1 GiB.
    public static let sizeBuckets: [Double] = [
        256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216, 67_108_864, 268_435_456,
        1_073_741_824,
    ]

    let bounds: [Double]
    private let counts = InlineArray<32, Atomic<Int>> { _ in Atomic(0) }
    private let total = AtomicDouble()

    /// `bounds` are the buckets' inclusive upper limits; sorted here, and cut after `maximumBuckets`.
    init(bounds: [Double]) {
        self.bounds = Array(Set(bounds.filter(\.isFinite)).sorted().prefix(Self.maximumBuckets))
    }

    /// Counts one value, in seconds for a time; NaN is ignored.
    public func observe(_ value: Double) {
        guard !value.isNaN else { return }
        counts[bucket(of: value)].wrappingAdd(1, ordering: .relaxed)
        total.add(value)
    }

    public func observe(_ time: Duration) {
        let (seconds, attoseconds) = time.components
        observe(Double(seconds) + Double(attoseconds) * 1e-18)
    }

    /// Adds what one thread has observed meanwhile, and empties it.
    public func add(_ tally: inout HistogramTally) {
        for bucket in 0...bounds.count where tally.counts[bucket] > 0 {
            counts[bucket].wrappingAdd(tally.counts[bucket], ordering: .relaxed)
        }
        total.add(tally.sum)
        tally = HistogramTally()
    }

    /// Counts one value for `add`.
    public func observe(_ value: Double, in tally: inout HistogramTally) {
        guard !value.isNaN else { return }
        tally.counts[bucket(of: value)] += 1
        tally.sum += value
    }

    private func bucket(of value: Double) -> Int {
        var bucket = 0
        while bucket < bounds.count && value > bounds[bucket] { bucket += 1 }
        return bucket
    }

    /// What was counted in each bucket; the last one is unbounded.
    var bucketCounts: [Int] {
        (0...bounds.count).map { counts[$0].load(ordering: .relaxed) }
    }

    public var count: Int {
        bucketCounts.reduce(0, +)
    }

    public var sum: Double {
        total.load()
    }
}

/// What one thread has observed for a histogram and not added to it yet, so that threads do not meet at every value.
public struct HistogramTally: Sendable {
    fileprivate(set) var counts = InlineArray<32, Int>(repeating: 0)
    fileprivate(set) var sum = 0.0

    public init() {}
}
