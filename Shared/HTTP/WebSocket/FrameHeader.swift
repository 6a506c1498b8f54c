/// What a frame is (RFC 6455, section 5.2).
enum FrameOpcode: UInt8 {
    case continuation = 0x0
    case text = 0x1
    case binary = 0x2
    case close = 0x8
    case ping = 0x9
    case pong = 0xA

    var isControl: Bool { rawValue & 0x8 != 0 }
}

/// The head of one frame from a client.
struct FrameHeader {
    let isFinal: Bool
    /// RSV1: the message is compressed (RFC 7692, section 6).
    let isCompressed: Bool
    let opcode: FrameOpcode
    /// Octets of the payload.
    let length: Int
    /// The masking key, its first octet in the highest bits.
    let mask: UInt32

    /// Octets of a control frame's payload.
    static let longestControl = 125
}

/// Reads a client's frame heads octet by octet; each fault is found at its own octet, however the bytes are split.
struct FrameHeaderReader {
    private enum Stage {
        case first
        case second
        case length(missing: Int)
        case mask(missing: Int)
    }

    private var stage = Stage.first
    private var isFinal = false
    private var isCompressed = false
    private var opcode = FrameOpcode.continuation
    private var length: UInt64 = 0
    /// The length has 64 bits, not 16.
    private var isWide = false
    private var mask: UInt32 = 0

    /// Whether a head has begun and is not complete.
    var isInside: Bool {
        if case .first = stage { false } else { true }
    }

    /// Takes octets of `buffer` from `position` up to `end`; nil when more are needed.
    mutating func read(_ buffer: [UInt8], _ position: inout Int, _ end: Int) throws(WebSocketFault) -> FrameHeader? {
        while position < end {
            let octet = buffer[position]
            position += 1
            switch stage {
            case .first: try begin(octet)
            case .second: try takeShortLength(octet)
            case .length(let missing): try takeLength(octet, missing)
            case .mask(let missing):
                mask = mask << 8 | UInt32(octet)
                stage = .mask(missing: missing - 1)
                if missing == 1 {
                    stage = .first
                    return FrameHeader(
                        isFinal: isFinal, isCompressed: isCompressed, opcode: opcode, length: Int(length), mask: mask)
                }
            }
        }
        return nil
    }

    private mutating func begin(_ octet: UInt8) throws(WebSocketFault) {
        guard octet & 0x30 == 0 else { throw .malformed("a reserved bit is set") }
        guard let opcode = FrameOpcode(rawValue: octet & 0x0F) else { throw .malformed("unknown opcode") }
        isFinal = octet & 0x80 != 0
        isCompressed = octet & 0x40 != 0
        self.opcode = opcode
        if opcode.isControl {
            guard isFinal else { throw .malformed("a control frame is fragmented") }
            guard !isCompressed else { throw .malformed("a control frame is compressed") }
        }
        stage = .second
    }

    private mutating func takeShortLength(_ octet: UInt8) throws(WebSocketFault) {
        guard octet & 0x80 != 0 else { throw .malformed("a client's frame is not masked") }
        let short = octet & 0x7F
        guard !opcode.isControl || short <= FrameHeader.longestControl else {
            throw .malformed("a control frame is longer than \(FrameHeader.longestControl) octets")
        }
        mask = 0
        switch short {
        case 126: stage = .length(missing: 2)
        case 127: stage = .length(missing: 8)
        default: stage = .mask(missing: 4)
        }
        length = short < 126 ? UInt64(short) : 0
        isWide = short == 127
    }

    private mutating func takeLength(_ octet: UInt8, _ missing: Int) throws(WebSocketFault) {
        if isWide, missing == 8, octet & 0x80 != 0 { throw .malformed("a frame's length has its highest bit set") }
        length = length << 8 | UInt64(octet)
        stage = .length(missing: missing - 1)
        guard missing == 1 else { return }
        let least: UInt64 = isWide ? 0x1_0000 : 126
        guard length >= least else { throw .malformed("a frame's length is not in its shortest form") }
        stage = .mask(missing: 4)
    }
}
