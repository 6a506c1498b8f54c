/// Back-pressure's decisions, as a value: whether a source may send now, by figures that are refreshed on demand.
///
/// Nothing is asked of the database while nobody sends. Of the requests that find a figure stale one refreshes it and
/// the others go by the old one, so a refresh never queues requests up.
struct AdmissionState: Sendable {
    struct Limits: Sendable {
        /// Bytes landing may take on disk.
        var landingBytes: Int64
        /// Age of a source's oldest record not yet stored.
        var sourceLag: Duration
        var landingInterval = Duration.seconds(5)
        var lagInterval = Duration.seconds(1)
        /// Sources remembered; the one asked for longest ago goes first.
        var sources = 10_000
    }

    enum Refusal: Error, Sendable, Equatable {
        /// Landing has used up its share of the disk.
        case storageFull(bytes: Int64, limit: Int64)
        /// What the source sent earlier is not stored yet.
        case lagging(by: Duration, limit: Duration)
    }

    /// What the caller has to measure before it is admitted.
    struct Refresh: OptionSet, Sendable {
        let rawValue: Int
        static let landing = Refresh(rawValue: 1)
        static let lag = Refresh(rawValue: 2)
    }

    private struct Figure<Value: Sendable>: Sendable {
        var value: Value
        var checkedAt: ContinuousClock.Instant?

        mutating func isDue(_ now: ContinuousClock.Instant, every interval: Duration) -> Bool {
            if let checkedAt, now - checkedAt < interval { return false }
            checkedAt = now
            return true
        }
    }

    let limits: Limits
    private var landing = Figure(value: Int64(0))
    private var lags: [Int64: Figure<Duration>] = [:]

    init(limits: Limits) {
        self.limits = limits
    }

    /// What this request should measure. Marks it as being measured.
    mutating func begin(sourceID: Int64, now: ContinuousClock.Instant) -> Refresh {
        var refresh: Refresh = []
        if landing.isDue(now, every: limits.landingInterval) { refresh.insert(.landing) }
        if lags[sourceID] == nil { makeRoom() }
        if lags[sourceID, default: Figure(value: .zero)].isDue(now, every: limits.lagInterval) { refresh.insert(.lag) }
        return refresh
    }

    mutating func measured(landingBytes: Int64) {
        landing.value = landingBytes
    }

    mutating func measured(lag: Duration, sourceID: Int64) {
        lags[sourceID]?.value = lag
    }

    /// Throws when the source may not send now.
    func check(sourceID: Int64) throws(Refusal) {
        if landing.value >= limits.landingBytes {
            throw .storageFull(bytes: landing.value, limit: limits.landingBytes)
        }
        if let lag = lags[sourceID]?.value, lag > limits.sourceLag {
            throw .lagging(by: lag, limit: limits.sourceLag)
        }
    }

    private mutating func makeRoom() {
        guard lags.count >= limits.sources else { return }
        let oldest = lags.min { ($0.value.checkedAt ?? .now) < ($1.value.checkedAt ?? .now) }
        if let oldest { lags[oldest.key] = nil }
    }
}
