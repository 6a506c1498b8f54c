/// Cuts a client's octets into messages and control frames: RFC 6455 with permessage-deflate (RFC 7692) as a
/// value-type state machine, without I/O.
///
/// What it yields does not depend on how the octets are split; a fault is that of the first offending octet: text is
/// checked as it comes, and a frame or a message that is too large is refused before its payload. After a fault the
/// parser is not to be used again; what follows a close frame is thrown away.
///
/// ```swift
/// while true {
///     switch try parser.next(in: buffer, at: &position, to: filled) {
///     case .needsInput: return                 // position == filled: the buffer may be refilled from its beginning
///     case .message(let message): …
///     case .ping(let data): …                  // to be answered by a pong with the same data
///     case .pong: …
///     case .close(let close): …                // to be answered by a close frame, and the end
///     }
/// }
/// ```
///
/// It holds at most one message, and its compressed octets only while they are expanded. A copy shares the window of
/// compressed messages with the original: only one of them may go on.
public struct WebSocketParser {
    public enum Event: Sendable, Hashable {
        /// All of the input is taken; more is needed.
        case needsInput
        case message(WebSocketMessage)
        case ping([UInt8])
        case pong([UInt8])
        case close(WebSocketClose)
    }

    private enum State {
        case header
        /// In the payload of a frame, of which this many octets are missing.
        case payload(FrameHeader, missing: Int)
        case closed
    }

    private let limits: WebSocketLimits
    private let deflate: PermessageDeflate?
    private var inflater: MessageInflater?
    private var state = State.header
    private var header = FrameHeaderReader()
    private var message = PartialMessage()
    private var control: [UInt8] = []

    /// - Parameter deflate: what was agreed on in the handshake; nil refuses compressed messages.
    public init(limits: WebSocketLimits = WebSocketLimits(), deflate: PermessageDeflate? = nil) {
        self.limits = limits
        self.deflate = deflate
    }

    /// Whether a frame or a message has begun and is not complete: what a minimum rate is about.
    public var isInside: Bool {
        if message.isOpen || header.isInside { return true }
        if case .payload = state { return true }
        return false
    }

    /// Takes octets of `buffer` from `position` on, up to `end`, and moves `position` past what it took.
    public mutating func next(in buffer: [UInt8], at position: inout Int, to end: Int) throws(WebSocketFault) -> Event {
        while true {
            switch state {
            case .header:
                guard let header = try header.read(buffer, &position, end) else { return .needsInput }
                try begin(header)
                state = .payload(header, missing: header.length)
            case .payload(let header, let missing):
                let count = min(missing, end - position)
                if count > 0 {
                    try take(buffer[position..<(position + count)], of: header, missing)
                    position += count
                }
                state = .payload(header, missing: missing - count)
                guard count == missing else { return .needsInput }
                state = .header
                if let event = try finish(header) { return event }
            case .closed:
                position = end
                return .needsInput
            }
        }
    }

    /// Holds a frame's head against what came before it, and against the limits.
    private mutating func begin(_ header: FrameHeader) throws(WebSocketFault) {
        guard !header.opcode.isControl else {
            control.removeAll(keepingCapacity: true)
            return
        }
        if header.opcode == .continuation {
            guard message.isOpen else { throw .malformed("a continuation of no message") }
            guard !header.isCompressed else { throw .malformed("RSV1 in a message's later frame") }
        } else {
            guard !message.isOpen else { throw .malformed("a message within a message") }
            guard !header.isCompressed || deflate != nil else { throw .malformed("a reserved bit is set") }
            message = PartialMessage(header.opcode == .text ? .text : .binary, isCompressed: header.isCompressed)
        }
        guard header.length <= limits.frame else {
            throw WebSocketFault(.messageTooBig, "a frame is longer than \(limits.frame) octets")
        }
        guard message.isCompressed || header.length <= limits.message - message.octets.count else {
            throw WebSocketFault(.messageTooBig, "a message is longer than \(limits.message) octets")
        }
        message.reserve(header.length)
    }

    private mutating func take(
        _ octets: ArraySlice<UInt8>, of header: FrameHeader, _ missing: Int
    ) throws(WebSocketFault) {
        let phase = header.length - missing
        if header.opcode.isControl {
            let start = control.count
            control.append(contentsOf: octets)
            Masking.remove(header.mask, from: &control, startingAt: start, phase: phase)
        } else if message.isCompressed {
            var piece = Array(octets)
            Masking.remove(header.mask, from: &piece, startingAt: 0, phase: phase)
            let start = message.octets.count
            try agreedInflater().expand(piece, into: &message.octets, limit: limits.message)
            try message.checkText(from: start)
        } else {
            let start = message.octets.count
            message.octets.append(contentsOf: octets)
            Masking.remove(header.mask, from: &message.octets, startingAt: start, phase: phase)
            try message.checkText(from: start)
        }
    }

    private mutating func finish(_ header: FrameHeader) throws(WebSocketFault) -> Event? {
        switch header.opcode {
        case .ping: return .ping(control)
        case .pong: return .pong(control)
        case .close:
            state = .closed
            return .close(try WebSocketClose(parsing: control))
        case .continuation, .text, .binary:
            guard header.isFinal else { return nil }
            if message.isCompressed {
                let start = message.octets.count
                try agreedInflater().finish(into: &message.octets, limit: limits.message)
                try message.checkText(from: start)
            }
            return .message(try message.finish())
        }
    }

    /// Made by the first compressed message: most connections never need it.
    private mutating func agreedInflater() -> MessageInflater {
        if let inflater { return inflater }
        let made = MessageInflater(
            windowBits: deflate?.clientWindowBits ?? 15, keepsWindow: deflate?.clientTakesOver ?? true)
        inflater = made
        return made
    }
}

/// A message whose frames are still coming.
private struct PartialMessage {
    /// Memory set aside for what a frame has only announced.
    private static let reservedOctets = 64 << 10

    private let kind: WebSocketMessage.Kind
    let isCompressed: Bool
    private(set) var isOpen: Bool
    var octets: [UInt8] = []
    private var text = UTF8Check()

    /// None.
    init() {
        kind = .binary
        isCompressed = false
        isOpen = false
    }

    init(_ kind: WebSocketMessage.Kind, isCompressed: Bool) {
        self.kind = kind
        self.isCompressed = isCompressed
        isOpen = true
    }

    mutating func reserve(_ count: Int) {
        if octets.isEmpty { octets.reserveCapacity(min(count, Self.reservedOctets)) }
    }

    mutating func checkText(from start: Int) throws(WebSocketFault) {
        guard kind == .text, start < octets.count else { return }
        var check = text
        guard check.accepts(octets.span.extracting(start...)) else { throw Self.noText }
        text = check
    }

    mutating func finish() throws(WebSocketFault) -> WebSocketMessage {
        guard text.isComplete else { throw Self.noText }
        isOpen = false
        var taken: [UInt8] = []
        swap(&taken, &octets)
        return WebSocketMessage(kind, taken)
    }

    private static let noText = WebSocketFault(.invalidPayload, "a text is not UTF-8")
}

extension WebSocketClose {
    /// Reads a close frame's payload.
    fileprivate init(parsing payload: [UInt8]) throws(WebSocketFault) {
        guard !payload.isEmpty else {
            self.init(nil)
            return
        }
        guard payload.count > 1 else { throw .malformed("a close frame with half a code") }
        let code = WebSocketCloseCode(rawValue: UInt16(payload[0]) << 8 | UInt16(payload[1]))
        guard code.isSendable else { throw .malformed("the close code \(code) may not be sent") }
        var text = UTF8Check()
        guard text.accepts(payload.span.extracting(2...)), text.isComplete else {
            throw WebSocketFault(.invalidPayload, "a close reason is not UTF-8")
        }
        self.init(code, String(decoding: payload[2...], as: UTF8.self))
    }
}
