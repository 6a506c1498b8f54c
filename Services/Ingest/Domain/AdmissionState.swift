import Access

/// Back-pressure's decisions, as a value: whether a source may send now, by figures that are refreshed on demand.
///
/// Nothing is asked of the database while nobody sends. Of the requests that find a figure stale one refreshes it and
/// the others go by the old one, so a refresh never queues requests up. Rates are this process's alone.
struct AdmissionState: Sendable {
    struct Limits: Sendable {
        /// Bytes landing may take on disk.
        var landingBytes: Int64
        var landingInterval = Duration.seconds(5)
        /// For a source's lag, and at least for what of it waits.
        var sourceInterval = Duration.seconds(1)
        /// What waits is added up over the ledger: the time that took, times this, passes before the next time.
        var backlogEase = 20
        /// Sources remembered; the one asked for longest ago goes first.
        var sources = 10_000
    }

    enum Refusal: Error, Sendable, Equatable {
        /// Landing has used up its share of the disk.
        case storageFull(bytes: Int64, limit: Int64)
        /// What the source sent earlier is not stored yet.
        case lagging(by: Duration, limit: Duration)
        /// More of what the source sent waits to be stored than may.
        case backlog(bytes: Int64, limit: Int64)
        /// The source sends faster than it may, in `unit` a second.
        case tooFast(limit: Int, unit: String, wait: Duration)
    }

    /// What the caller has to measure before it is admitted.
    struct Refresh: OptionSet, Sendable {
        let rawValue: Int
        static let landing = Refresh(rawValue: 1)
        static let lag = Refresh(rawValue: 2)
        static let backlog = Refresh(rawValue: 4)
    }

    private struct Figure<Value: Sendable>: Sendable {
        var value: Value
        var interval: Duration
        var checkedAt: ContinuousClock.Instant?

        mutating func isDue(_ now: ContinuousClock.Instant) -> Bool {
            if let checkedAt, now - checkedAt < interval { return false }
            checkedAt = now
            return true
        }
    }

    private struct Figures: Sendable {
        var lag: Figure<Duration>
        var backlog: Figure<Int64>
        var records: TokenBucket?
        var bytes: TokenBucket?
        var askedAt: ContinuousClock.Instant

        init(_ limits: Limits, now: ContinuousClock.Instant) {
            lag = Figure(value: .zero, interval: limits.sourceInterval)
            backlog = Figure(value: 0, interval: limits.sourceInterval)
            askedAt = now
        }

        mutating func begin(_ policy: SourcePolicy, _ now: ContinuousClock.Instant) -> Refresh {
            askedAt = now
            records.set(policy.recordsPerSecond, now)
            bytes.set(policy.bytesPerSecond, now)
            var refresh: Refresh = []
            if lag.isDue(now) { refresh.insert(.lag) }
            if policy.landingBytes != nil, backlog.isDue(now) { refresh.insert(.backlog) }
            return refresh
        }
    }

    let limits: Limits
    private var landing: Figure<Int64>
    private var sources: [Int64: Figures] = [:]

    init(limits: Limits) {
        self.limits = limits
        landing = Figure(value: 0, interval: limits.landingInterval)
    }

    /// What this request should measure. Marks it as being measured.
    mutating func begin(_ sourceID: Int64, _ policy: SourcePolicy, now: ContinuousClock.Instant) -> Refresh {
        if sources[sourceID] == nil { remember(sourceID, now) }
        var refresh = sources[sourceID]?.begin(policy, now) ?? []
        if landing.isDue(now) { refresh.insert(.landing) }
        return refresh
    }

    /// Whether landing is to be measured for its own sake. Marks it as being measured.
    mutating func beginLanding(now: ContinuousClock.Instant) -> Bool { landing.isDue(now) }

    /// What landing took when it was measured last; nil before that.
    var landingBytes: Int64? { landing.checkedAt.map { _ in landing.value } }

    mutating func measured(landingBytes: Int64) {
        landing.value = landingBytes
    }

    mutating func measured(lag: Duration, of sourceID: Int64) {
        sources[sourceID]?.lag.value = lag
    }

    mutating func measured(backlog: Int64, of sourceID: Int64, took: Duration) {
        let interval = max(limits.sourceInterval, took * limits.backlogEase)
        sources[sourceID]?.backlog.value = backlog
        sources[sourceID]?.backlog.interval = interval
    }

    /// Throws when the source may not send now.
    mutating func check(_ sourceID: Int64, _ policy: SourcePolicy, now: ContinuousClock.Instant) throws(Refusal) {
        if landing.value >= limits.landingBytes {
            throw .storageFull(bytes: landing.value, limit: limits.landingBytes)
        }
        if let limit = policy.recordsPerSecond, let wait = sources[sourceID]?.records?.wait(now: now) {
            throw .tooFast(limit: limit, unit: "records", wait: wait)
        }
        if let limit = policy.bytesPerSecond, let wait = sources[sourceID]?.bytes?.wait(now: now) {
            throw .tooFast(limit: limit, unit: "bytes", wait: wait)
        }
        if let lag = sources[sourceID]?.lag.value, lag > policy.maxLag {
            throw .lagging(by: lag, limit: policy.maxLag)
        }
        if let limit = policy.landingBytes, let waiting = sources[sourceID]?.backlog.value, waiting >= limit {
            throw .backlog(bytes: waiting, limit: Int64(limit))
        }
    }

    /// Counts what a source has sent against its rates.
    mutating func landed(_ sourceID: Int64, records: Int, bytes: Int, now: ContinuousClock.Instant) {
        sources[sourceID]?.records?.take(records, now: now)
        sources[sourceID]?.bytes?.take(bytes, now: now)
    }

    private mutating func remember(_ sourceID: Int64, _ now: ContinuousClock.Instant) {
        if sources.count >= limits.sources, let oldest = sources.min(by: { $0.value.askedAt < $1.value.askedAt }) {
            sources[oldest.key] = nil
        }
        sources[sourceID] = Figures(limits, now: now)
    }
}

extension TokenBucket? {
    /// Makes, changes or takes away the bucket, as the rate says.
    fileprivate mutating func set(_ rate: Int?, _ now: ContinuousClock.Instant) {
        guard let rate else { return self = nil }
        if self == nil { return self = TokenBucket(rate: rate, now: now) }
        if self?.rate != rate { self?.change(rate: rate, now: now) }
    }
}
