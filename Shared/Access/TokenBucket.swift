/// A rate limit as a value: tokens come in at a steady rate, up to a second's worth, and what is taken may exceed them.
///
/// How much a request takes is known only when it is done, so it may take more than there is; the bucket is then in
/// debt, and nobody is let in until it is paid. In the long run no more passes than the rate, however requests are cut.
public struct TokenBucket: Sendable {
    /// Tokens a second.
    public private(set) var rate: Int
    private var tokens: Double
    private var filledAt: ContinuousClock.Instant

    /// A full bucket.
    public init(rate: Int, now: ContinuousClock.Instant) {
        self.rate = rate
        tokens = Double(rate)
        filledAt = now
    }

    /// How long until a token is there; nil when there is one now.
    public mutating func wait(now: ContinuousClock.Instant) -> Duration? {
        fill(now)
        return tokens >= 1 ? nil : .seconds((1 - tokens) / Double(rate))
    }

    public mutating func take(_ amount: Int, now: ContinuousClock.Instant) {
        fill(now)
        tokens -= Double(amount)
    }

    /// The tokens that were there when it was last asked, whole ones.
    public var available: Int { Int(max(0, tokens)) }

    /// From now on another rate counts. A debt stays.
    public mutating func change(rate: Int, now: ContinuousClock.Instant) {
        fill(now)
        self.rate = rate
        tokens = min(tokens, Double(rate))
    }

    private mutating func fill(_ now: ContinuousClock.Instant) {
        guard now > filledAt else { return }
        let elapsed = filledAt.duration(to: now) / .seconds(1)
        tokens = min(Double(rate), tokens + elapsed * Double(rate))
        filledAt = now
    }
}
