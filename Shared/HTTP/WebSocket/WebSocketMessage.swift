/// One whole message of a WebSocket.
public struct WebSocketMessage: Sendable, Hashable {
    public enum Kind: Sendable {
        /// The octets are valid UTF-8.
        case text
        case binary
    }

    public let kind: Kind
    public let octets: [UInt8]

    public static func text(_ text: String) -> WebSocketMessage { WebSocketMessage(.text, Array(text.utf8)) }
    public static func binary(_ octets: [UInt8]) -> WebSocketMessage { WebSocketMessage(.binary, octets) }

    /// - Precondition: octets of a text are valid UTF-8.
    public init(_ kind: Kind, _ octets: [UInt8]) {
        self.kind = kind
        self.octets = octets
    }

    public var text: String { String(decoding: octets, as: UTF8.self) }
}

/// What a peer may send.
public struct WebSocketLimits: Sendable, Hashable {
    /// Octets of one frame's payload, as it comes.
    public var frame: Int
    /// Octets of one message, expanded where it comes compressed.
    public var message: Int

    public init(frame: Int = 1 << 20, message: Int = 1 << 20) {
        self.frame = frame
        self.message = message
    }
}
