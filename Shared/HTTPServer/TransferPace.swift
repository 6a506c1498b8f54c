import EventLoop

/// Holds one direction of a transfer to an idle limit and to a minimum average rate. Only the time spent waiting for
/// the peer counts: a handler that takes its time does not make its client slow.
struct TransferPace {
    private let idle: LoopInterval
    private let grace: LoopInterval
    /// Octets a second.
    private let rate: Int
    private var octets = 0
    private var waited = LoopInterval.zero

    init(idle: Duration, rate: Int, grace: Duration) {
        self.idle = LoopInterval(idle)
        self.grace = LoopInterval(grace)
        self.rate = max(1, rate)
    }

    /// Until when the peer must have moved at least one more octet, if the wait begins now; nil when it has been too
    /// slow already.
    func deadline(from now: LoopTime) -> LoopTime? {
        let earned = LoopInterval(.seconds(octets / rate)) + LoopInterval(.seconds(1) * (octets % rate) / rate)
        let left = grace + earned - waited
        return left > .zero ? now + min(idle, left) : nil
    }

    /// The peer moved octets.
    mutating func moved(_ count: Int) { octets += count }

    /// The peer was waited for.
    mutating func waited(_ time: LoopInterval) { waited = waited + time }
}
