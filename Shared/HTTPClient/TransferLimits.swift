/// The limits of one request and its answer, with defaults for a server that nobody vouches for.
public struct TransferLimits: Sendable, Hashable {
    /// From the start to the last octet of the answer, including the wait for a place and every redirect.
    public var whole = Duration.seconds(60)
    /// For the host's address, the connection and its TLS handshake together; for each redirect anew.
    public var connect = Duration.seconds(10)
    /// Octets a second, sent and received together, that a transfer must come to; see `rateGrace`. Time in which the
    /// answer waits for its reader does not count.
    public var rate = 1
    /// How long a transfer may be slower than `rate`, also before the answer begins; whole seconds, at least one.
    public var rateGrace = Duration.seconds(30)
    /// Octets of all heads of an answer, those of interim answers and its trailers included.
    public var headOctets = 64 * 1024
    /// Fields in them.
    public var headFields = 256
    /// Octets of the answer's body.
    public var body = 16 * 1024 * 1024

    public init() {}
}
