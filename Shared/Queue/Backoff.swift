/// Exponential backoff with full jitter: a random time between zero and `base` doubled for each attempt, up to `cap`.
public struct Backoff: Sendable {
    public var base: Duration
    public var cap: Duration

    public init(base: Duration = .seconds(1), cap: Duration = .seconds(300)) {
        self.base = base
        self.cap = cap
    }

    /// The most that is waited after the given attempt (from 1).
    public func ceiling(afterAttempt attempt: Int16) -> Duration {
        var ceiling = base
        for _ in 1..<max(1, min(Int(attempt), 40)) where ceiling < cap { ceiling *= 2 }
        return min(ceiling, cap)
    }

    /// The wait for a random number from 0 to 1.
    public func delay(afterAttempt attempt: Int16, random: Double) -> Duration {
        ceiling(afterAttempt: attempt) * random
    }
}

extension Duration {
    /// In seconds.
    var seconds: Double {
        let (seconds, attoseconds) = components
        return Double(seconds) + Double(attoseconds) * 1e-18
    }
}
