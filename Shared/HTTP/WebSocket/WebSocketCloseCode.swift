/// Why a WebSocket ended, as a number (RFC 6455, section 7.4).
public struct WebSocketCloseCode: RawRepresentable, Sendable, Hashable, CustomStringConvertible {
    public let rawValue: UInt16

    public init(rawValue: UInt16) { self.rawValue = rawValue }

    /// The purpose has been fulfilled.
    public static let normal = WebSocketCloseCode(rawValue: 1000)
    /// The server stops, or the page is left.
    public static let goingAway = WebSocketCloseCode(rawValue: 1001)
    public static let protocolError = WebSocketCloseCode(rawValue: 1002)
    /// A kind of message that is not taken.
    public static let unsupportedData = WebSocketCloseCode(rawValue: 1003)
    /// Text that is not UTF-8, or content that does not fit the message's type.
    public static let invalidPayload = WebSocketCloseCode(rawValue: 1007)
    public static let policyViolation = WebSocketCloseCode(rawValue: 1008)
    public static let messageTooBig = WebSocketCloseCode(rawValue: 1009)
    public static let internalError = WebSocketCloseCode(rawValue: 1011)
    public static let tryAgainLater = WebSocketCloseCode(rawValue: 1013)

    /// Whether it may stand in a close frame: not the codes reserved for what never goes over the wire (1004, 1005,
    /// 1006, 1015), nor those nobody has registered.
    public var isSendable: Bool {
        switch rawValue {
        case 1000...1003, 1007...1014, 3000...4999: true
        default: false
        }
    }

    public var description: String { String(rawValue) }
}

/// What a close frame says.
public struct WebSocketClose: Sendable, Hashable {
    /// Nil for a frame without a body.
    public let code: WebSocketCloseCode?
    /// For people; at most 123 octets of UTF-8.
    public let reason: String

    public static let longestReason = 123

    /// A reason that is too long is cut between two characters.
    public init(_ code: WebSocketCloseCode?, _ reason: String = "") {
        self.code = code
        var reason = reason
        while reason.utf8.count > Self.longestReason { reason.removeLast() }
        self.reason = code == nil ? "" : reason
    }
}

/// A peer broke the protocol or a limit: the connection is to be failed with this code (RFC 6455, section 7.1.7).
public struct WebSocketFault: Error, Sendable, Hashable, CustomStringConvertible {
    public let code: WebSocketCloseCode
    public let reason: String

    init(_ code: WebSocketCloseCode, _ reason: String) {
        self.code = code
        self.reason = reason
    }

    static func malformed(_ reason: String) -> WebSocketFault { WebSocketFault(.protocolError, reason) }

    public var description: String { "\(code): \(reason)" }
}
