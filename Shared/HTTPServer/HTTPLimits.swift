public import HTTP

/// Every limit of a server, with defaults for an edge that anyone may reach.
public struct HTTPLimits: Sendable {
    /// Of the request's head and framing.
    public var parser = RequestParserLimits()
    /// Octets of a request's body, unless its route has a limit of its own; more is 413.
    public var body = 64 * 1024 * 1024
    /// Connections at a time; further ones are answered 503 and closed.
    public var connections = 10_000
    /// Connections at a time of one client: an IPv4 address, or an IPv6 network of 64 bits. Further ones are answered
    /// 503 and closed.
    public var connectionsPerClient = 1_000
    /// Addresses that the connections of many clients come from, for which `connectionsPerClient` does not hold:
    /// loopback, where a gateway of the same machine is.
    public var proxies = ["127.0.0.0/8", "::1"].compactMap { AddressRange($0) }
    /// From the first octet of a head to its last.
    public var headTimeout = Duration.seconds(10)
    /// Between requests on a connection that is kept alive.
    public var idleTimeout = Duration.seconds(75)
    /// Without one octet of a body that is being read.
    public var bodyTimeout = Duration.seconds(30)
    /// Spent waiting for the octets of one body in all, however fast they come.
    public var requestTimeout = Duration.seconds(6 * 3600)
    /// Octets a second that a body must come at on average, once `rateGrace` is over.
    public var bodyRate = 1024
    /// Without one octet of an answer being taken.
    public var writeTimeout = Duration.seconds(30)
    /// Octets a second that an answer must be taken at on average, once `rateGrace` is over.
    public var writeRate = 1024
    /// How long a transfer may be slower than its minimum rate.
    public var rateGrace = Duration.seconds(10)
    /// Octets read at a time.
    public var readBuffer = 64 * 1024
    /// Octets of an unread body that are read and thrown away to keep the connection, after an early answer.
    public var discard = 256 * 1024
    /// Requests answered on one connection before it is closed.
    public var requestsPerConnection = 1_000_000
    /// For open requests to end once the server is asked to stop.
    public var drain = Duration.seconds(20)
    /// The listening socket's backlog.
    public var backlog = 1024

    public init() {}
}
