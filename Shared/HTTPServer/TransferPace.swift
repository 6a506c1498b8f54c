/// Holds one direction of a transfer to an idle limit and to a minimum average rate. Only the time spent waiting for
/// the peer counts: a handler that takes its time does not make its client slow.
struct TransferPace {
    private let idle: Duration
    private let grace: Duration
    /// Octets a second.
    private let rate: Int
    private var octets = 0
    private var waited = Duration.zero

    init(idle: Duration, rate: Int, grace: Duration) {
        self.idle = idle
        self.grace = grace
        self.rate = max(1, rate)
    }

    /// Until when the peer must have moved at least one more octet, if the wait begins now.
    func deadline(from now: ContinuousClock.Instant) -> ContinuousClock.Instant {
        let earned = Duration.seconds(octets / rate) + .milliseconds(octets % rate * 1000 / rate)
        return now + min(idle, max(.zero, grace + earned - waited))
    }

    /// The peer moved octets, after a wait that began at `start`, if there was one.
    mutating func moved(_ count: Int) { octets += count }

    mutating func waited(_ time: Duration) { waited += time }
}
