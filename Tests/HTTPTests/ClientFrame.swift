@testable import HTTP

/// A client's frame, as it goes over the wire; every part can be made wrong.
struct ClientFrame {
    var isFinal = true
    var reserved: UInt8 = 0
    var opcode: UInt8
    var payload: [UInt8]
    var mask: [UInt8]? = [0x37, 0xFA, 0x21, 0x3D]
    /// 0, 2 or 8 octets of extended length; nil takes the shortest form.
    var lengthOctets: Int?

    init(_ opcode: FrameOpcode, _ payload: [UInt8]) {
        self.opcode = opcode.rawValue
        self.payload = payload
    }

    init(_ opcode: FrameOpcode, _ text: String = "") { self.init(opcode, Array(text.utf8)) }

    static func close(_ code: Int, _ reason: String = "") -> ClientFrame {
        ClientFrame(.close, [UInt8(code >> 8), UInt8(code & 255)] + Array(reason.utf8))
    }

    func with(_ change: (inout ClientFrame) -> Void) -> ClientFrame {
        var copy = self
        change(&copy)
        return copy
    }

    /// Not the last frame of its message.
    var more: ClientFrame { with { $0.isFinal = false } }
    /// With RSV1.
    var compressed: ClientFrame { with { $0.reserved = 4 } }

    var octets: [UInt8] {
        var octets: [UInt8] = [(isFinal ? 0x80 : 0) | reserved << 4 | opcode]
        let masked: UInt8 = mask == nil ? 0 : 0x80
        let count = payload.count
        let extended = lengthOctets ?? (count < 126 ? 0 : count < 65_536 ? 2 : 8)
        switch extended {
        case 2: octets.append(masked | 126)
        case 8: octets.append(masked | 127)
        default: octets.append(masked | UInt8(count))
        }
        for place in (0..<extended).reversed() { octets.append(UInt8(truncatingIfNeeded: count >> (8 * place))) }
        guard let mask else { return octets + payload }
        return octets + mask + payload.enumerated().map { $1 ^ mask[$0 & 3] }
    }
}

/// What a stream of octets came to: its events, then perhaps a fault.
struct ParsedFrames: Equatable {
    var events: [WebSocketParser.Event] = []
    var fault: WebSocketFault?
    var isInside = false

    init(
        _ pieces: [ArraySlice<UInt8>], limits: WebSocketLimits = WebSocketLimits(), deflate: PermessageDeflate? = nil
    ) {
        var parser = WebSocketParser(limits: limits, deflate: deflate)
        do {
            for piece in pieces { try feed(Array(piece), &parser) }
            isInside = parser.isInside
        } catch {
            fault = error
        }
    }

    init(_ frames: ClientFrame..., limits: WebSocketLimits = WebSocketLimits(), deflate: PermessageDeflate? = nil) {
        self.init([frames.flatMap(\.octets)[...]], limits: limits, deflate: deflate)
    }

    private mutating func feed(_ buffer: [UInt8], _ parser: inout WebSocketParser) throws(WebSocketFault) {
        var position = 0
        while true {
            let event = try parser.next(in: buffer, at: &position, to: buffer.count)
            if event == .needsInput {
                precondition(position == buffer.count, "input was left")
                return
            }
            events.append(event)
        }
    }

    /// All ways to cut the octets in two, and octet by octet.
    static func splits(
        _ octets: [UInt8], limits: WebSocketLimits = WebSocketLimits(), deflate: PermessageDeflate? = nil
    ) -> [ParsedFrames] {
        let twos = (1..<max(1, octets.count)).map { [octets[..<$0], octets[$0...]] }
        let ones = octets.indices.map { octets[$0...$0] }
        return (twos + [ones]).map { ParsedFrames($0, limits: limits, deflate: deflate) }
    }
}
