public import HTTP

/// How a route's WebSockets are held: limits with defaults for an edge that anyone may reach.
public struct WebSocketOptions: Sendable {
    /// Octets of a frame and of a message, expanded; more ends the connection with 1009.
    public var limits = WebSocketLimits()
    /// The subprotocols that are spoken; the first of the client's that is among them is taken.
    public var subprotocols: [String] = []
    /// What the server would like of permessage-deflate; nil compresses nothing.
    public var compression: PermessageDeflate.Preferences? = PermessageDeflate.Preferences()
    /// A client that is silent for this long is sent a ping.
    public var pingInterval = Duration.seconds(20)
    /// One that is silent for this long, pings notwithstanding, is given up.
    public var idleTimeout = Duration.seconds(60)
    /// From the server's close frame, or from the end of the handler, to the end of the connection.
    public var closeTimeout = Duration.seconds(5)
    /// Octets on their way to a slow client from which on a sender waits.
    public var sendBuffer = 256 * 1024

    public init() {}
}
