public import HTTP

/// Why a WebSocket broke: what sending and receiving throw. An orderly end is none of these.
public enum WebSocketEnd: Error, Sendable, Hashable {
    /// The client has gone, or takes nothing more.
    case gone
    /// The client was silent, or sent a message too slowly.
    case timedOut
    /// The client broke the protocol or a limit.
    case fault(WebSocketFault)
    /// The task was cancelled: the server stops without waiting any longer.
    case cancelled
}
