/// Writes a server's frames (RFC 6455, section 5): never masked, never fragmented.
///
/// A copy shares the window of compressed messages with the original: only one of them may go on.
public struct WebSocketWriter {
    /// Messages from this many octets on are compressed, where that was agreed on.
    public static let compressedFrom = 512

    private let deflate: PermessageDeflate?
    private var deflater: MessageDeflater?

    public init(deflate: PermessageDeflate? = nil) {
        self.deflate = deflate
    }

    public mutating func append(_ message: WebSocketMessage, to output: inout [UInt8]) {
        let opcode: FrameOpcode = message.kind == .text ? .text : .binary
        guard let deflate, message.octets.count >= Self.compressedFrom else {
            Self.append(opcode, message.octets, to: &output)
            return
        }
        let deflater =
            self.deflater
            ?? MessageDeflater(windowBits: deflate.serverWindowBits, keepsWindow: deflate.serverTakesOver)
        self.deflater = deflater
        var compressed: [UInt8] = []
        deflater.compress(message.octets, into: &compressed)
        Self.append(opcode, isCompressed: true, compressed, to: &output)
    }

    /// - Precondition: at most 125 octets.
    public static func append(ping octets: [UInt8], to output: inout [UInt8]) {
        append(control: .ping, octets, to: &output)
    }

    /// - Precondition: at most 125 octets.
    public static func append(pong octets: [UInt8], to output: inout [UInt8]) {
        append(control: .pong, octets, to: &output)
    }

    public static func append(_ close: WebSocketClose, to output: inout [UInt8]) {
        var payload: [UInt8] = []
        if let code = close.code?.rawValue {
            payload = [UInt8(code >> 8), UInt8(truncatingIfNeeded: code)]
            payload.append(contentsOf: close.reason.utf8)
        }
        append(control: .close, payload, to: &output)
    }

    private static func append(control opcode: FrameOpcode, _ payload: [UInt8], to output: inout [UInt8]) {
        precondition(payload.count <= FrameHeader.longestControl, "a control frame is short")
        append(opcode, payload, to: &output)
    }

    private static func append(
        _ opcode: FrameOpcode, isCompressed: Bool = false, _ payload: [UInt8], to output: inout [UInt8]
    ) {
        output.append(0x80 | (isCompressed ? 0x40 : 0) | opcode.rawValue)
        switch payload.count {
        case ..<126: output.append(UInt8(payload.count))
        case ..<0x1_0000:
            output.append(126)
            appendBigEndian(payload.count, octets: 2, to: &output)
        default:
            output.append(127)
            appendBigEndian(payload.count, octets: 8, to: &output)
        }
        output.append(contentsOf: payload)
    }

    private static func appendBigEndian(_ number: Int, octets: Int, to output: inout [UInt8]) {
        for place in (0..<octets).reversed() { output.append(UInt8(truncatingIfNeeded: number >> (8 * place))) }
    }
}
