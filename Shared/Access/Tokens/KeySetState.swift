/// An issuer's keys as they were fetched last, as a value: when to fetch them again, and who may wait for that.
///
/// | what is asked for | answer |
/// |---|---|
/// | a key that is there | the key, however old the set is |
/// | one that is not there, and nobody has fetched for `pause` | wait for the next fetch |
/// | the same sooner | none: so an unknown `kid` costs the issuer one request each `pause` at most |
/// | the same, and the last fetch failed | unavailable: the issuer may have it by now, nobody here can tell |
struct KeySetState: Sendable {
    enum Answer {
        case key(SignatureKey)
        /// A fetch has begun or is to begin.
        case wait
        /// The issuer has no such key.
        case none
        /// Whether the issuer has it could not be found out.
        case unavailable
    }

    /// Between two fetches, for whatever reason.
    static let pause = Duration.seconds(30)
    /// How old a set becomes before it is fetched again.
    static let lifetime = Duration.seconds(900)

    private var keys: SignatureKeySet?
    private var isFetching = false
    private var triedAt: ContinuousClock.Instant?
    private(set) var hasFailed = false

    func find(_ id: String?, for algorithm: SignatureKey.Algorithm, now: ContinuousClock.Instant) -> Answer {
        if let key = keys?.key(id, for: algorithm) { return .key(key) }
        if isFetching || mayFetch(now) { return .wait }
        return keys == nil || hasFailed ? .unavailable : .none
    }

    /// When to fetch next, unless somebody asks for it before.
    func due(_ now: ContinuousClock.Instant) -> ContinuousClock.Instant {
        guard let triedAt else { return now }
        return triedAt + (hasFailed ? Self.pause : Self.lifetime)
    }

    /// Whether a fetch may begin because somebody asks for it.
    func mayFetch(_ now: ContinuousClock.Instant) -> Bool { triedAt.map { $0 + Self.pause <= now } ?? true }

    mutating func begin(_ now: ContinuousClock.Instant) {
        isFetching = true
        triedAt = now
    }

    /// Nil where the keys could not be had: those that are there stay.
    mutating func end(_ fetched: SignatureKeySet?) {
        isFetching = false
        hasFailed = fetched == nil
        if let fetched { keys = fetched }
    }
}
