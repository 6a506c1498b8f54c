import EventLoop

/// Holds one direction of a transfer to an idle limit, to a minimum average rate, and to a time in all. Only the time
/// spent waiting for the peer counts: a handler that takes its time does not make its client slow.
struct TransferPace {
    private let idle: LoopInterval
    private let grace: LoopInterval
    private let total: LoopInterval
    /// Octets a second.
    private let rate: Int
    private var octets = 0
    private var waited = LoopInterval.zero

    /// Without `total` there is no end to a transfer that is fast enough.
    init(idle: Duration, rate: Int, grace: Duration, total: Duration? = nil) {
        self.idle = LoopInterval(idle)
        self.grace = LoopInterval(grace)
        self.total = total.map { LoopInterval($0) } ?? LoopInterval(nanoseconds: .max)
        self.rate = max(1, rate)
    }

    /// Until when the peer must have moved at least one more octet, if the wait begins now; nil when it has been too
    /// slow already.
    func deadline(from now: LoopTime) -> LoopTime? {
        let earned = LoopInterval(.seconds(octets / rate)) + LoopInterval(.seconds(1) * (octets % rate) / rate)
        let left = min(grace + earned, total) - waited
        return left > .zero ? now + min(idle, left) : nil
    }

    /// The peer moved octets.
    mutating func moved(_ count: Int) { octets += count }

    /// The peer was waited for.
    mutating func waited(_ time: LoopInterval) { waited = waited + time }
}
