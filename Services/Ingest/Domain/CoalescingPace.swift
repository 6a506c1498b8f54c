/// How the small requests of a source share batches.
struct CoalescingPace: Sendable, Hashable {
    /// Record bytes of one batch; a single larger request makes a batch of its own.
    var bytes: Int
    /// How long a request may wait for others while its source is busy.
    var linger: Duration
}
