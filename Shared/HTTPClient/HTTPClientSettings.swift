/// What a client is told once; it does not change while the client lives, so a connection that is kept was opened under
/// the same address policy and the same trust as every request that uses it.
public struct HTTPClientSettings: Sendable {
    public var addresses = AddressPolicy()
    /// The limits of requests that bring none of their own.
    public var limits = TransferLimits()
    /// Requests under way at a time; further ones wait.
    public var transfers = 256
    /// Of these, requests to one host and port, so that a slow one leaves places for others.
    public var transfersPerOrigin = 64
    /// Requests that wait for a place; further ones fail with `overloaded`.
    public var waiting = 1024
    /// Connections that are kept for later requests, of all hosts together.
    public var idleConnections = 64
    /// How long a connection is kept without being used.
    public var idleTime = Duration.seconds(60)
    /// How long a connection is used for new requests, so that a change of a name's address is followed.
    public var connectionLifetime = Duration.seconds(600)
    /// How long a name's addresses are remembered.
    public var nameLifetime = Duration.seconds(30)
    /// Names that are resolved at a time; each has a thread.
    public var lookups = 16
    /// A file of PEM certificates to trust instead of the system's.
    public var certificateAuthorities: String?
    /// The `User-Agent` of requests that have none of their own.
    public var userAgent = "Millrace"

    public init() {}
}
