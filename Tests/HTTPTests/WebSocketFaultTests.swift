import Testing

@testable import HTTP

/// What breaks RFC 6455 or a limit: each case whole and cut at every octet, with the same code and reason.
@Suite struct WebSocketFaultTests {
    private func check(
        _ octets: [UInt8], _ code: WebSocketCloseCode, after events: [WebSocketParser.Event] = [],
        limits: WebSocketLimits = WebSocketLimits(), location: SourceLocation = #_sourceLocation
    ) {
        let whole = ParsedFrames([octets[...]], limits: limits)
        #expect(whole.fault?.code == code && whole.events == events, "\(whole)", sourceLocation: location)
        for split in ParsedFrames.splits(octets, limits: limits) {
            #expect(split == whole, sourceLocation: location)
        }
    }

    private func check(
        _ frames: ClientFrame..., is code: WebSocketCloseCode, after events: [WebSocketParser.Event] = [],
        limits: WebSocketLimits = WebSocketLimits(), location: SourceLocation = #_sourceLocation
    ) {
        check(frames.flatMap(\.octets), code, after: events, limits: limits, location: location)
    }

    @Test func reservedBitsAndOpcodes() {
        for reserved: UInt8 in 1...7 {
            for opcode in [FrameOpcode.text, .binary, .continuation, .ping, .close] {
                check(ClientFrame(opcode).with { $0.reserved = reserved }, is: .protocolError)
            }
        }
        for opcode: UInt8 in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
            check(ClientFrame(.text, "x").with { $0.opcode = opcode }, is: .protocolError)
        }
    }

    @Test func unmaskedFrames() {
        for opcode in [FrameOpcode.text, .binary, .ping, .pong, .close] {
            check(ClientFrame(opcode).with { $0.mask = nil }, is: .protocolError)
        }
    }

    @Test func lengthsThatAreNotTheShortest() {
        check(ClientFrame(.text, "short").with { $0.lengthOctets = 2 }, is: .protocolError)
        check(ClientFrame(.text, "short").with { $0.lengthOctets = 8 }, is: .protocolError)
        let octets = [UInt8](repeating: 0, count: 125)
        check(ClientFrame(.binary, octets).with { $0.lengthOctets = 2 }, is: .protocolError)
        check([0x82, 0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 1, 2, 3, 4], .protocolError)
        check([0x82, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 1], .protocolError)
    }

    @Test func controlFrames() {
        for opcode in [FrameOpcode.close, .ping, .pong] {
            check(ClientFrame(opcode).more, is: .protocolError)
            check(ClientFrame(opcode, [UInt8](repeating: 32, count: 126)), is: .protocolError)
        }
        let longest = [UInt8](repeating: 32, count: 125)
        #expect(ParsedFrames(ClientFrame(.ping, longest)).events == [.ping(longest)])
    }

    @Test func fragmentsOutOfPlace() {
        check(ClientFrame(.continuation, "x"), is: .protocolError)
        check(ClientFrame(.continuation, "x").more, is: .protocolError)
        check(ClientFrame(.text, "a").more, ClientFrame(.text, "b"), is: .protocolError)
        check(ClientFrame(.binary, "a").more, ClientFrame(.text, "b").more, is: .protocolError)
        check(
            ClientFrame(.text, "a"), ClientFrame(.continuation, "b"), is: .protocolError,
            after: [.message(.text("a"))])
    }

    @Test func closeFrames() {
        check(ClientFrame(.close, [3]), is: .protocolError)
        for code in [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535] {
            check(.close(code), is: .protocolError)
        }
        check(ClientFrame(.close, [3, 232, 0xC3]), is: .invalidPayload)
        check(ClientFrame(.close, [3, 232, 0xED, 0xA0, 0x80]), is: .invalidPayload)
    }

    /// Sequences that no UTF-8 text holds (Kuhn's list): overlong forms, surrogates, lone and missing continuations.
    private static let invalid: [[UInt8]] = [
        [0x80], [0xBF], [0xC0, 0xAF], [0xC1, 0xBF], [0xC3, 0x28], [0xE0, 0x80, 0xAF], [0xE0, 0x9F, 0xBF],
        [0xED, 0xA0, 0x80], [0xED, 0xBF, 0xBF], [0xF0, 0x80, 0x80, 0xAF], [0xF0, 0x8F, 0xBF, 0xBF],
        [0xF4, 0x90, 0x80, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xF8, 0x88, 0x80, 0x80, 0x80], [0xFE], [0xFF],
        [0xE2, 0x28, 0xA1], [0xE2, 0x82, 0x28], [0xF0, 0x28, 0x8C, 0xBC], [0xF0, 0x90, 0x28, 0xBC],
    ]

    @Test func textThatIsNotUTF8() {
        for octets in Self.invalid {
            check(ClientFrame(.text, Array("ok ".utf8) + octets + Array(" ok".utf8)), is: .invalidPayload)
            check(ClientFrame(.text, "ok").more, ClientFrame(.continuation, octets), is: .invalidPayload)
            #expect(ParsedFrames(ClientFrame(.binary, octets)).events == [.message(.binary(octets))])
        }
        // Cut short at the end of the message.
        for octets: [UInt8] in [[0xC3], [0xE2, 0x82], [0xF0, 0x9F, 0x98]] {
            check(ClientFrame(.text, octets), is: .invalidPayload)
            check(ClientFrame(.text, octets).more, ClientFrame(.continuation), is: .invalidPayload)
        }
    }

    /// The fault is found at its octet, not at the end of the frame or of the message.
    @Test func wrongTextIsFoundAtOnce() {
        let octets = ClientFrame(.text, Array("ok".utf8) + [0xF4, 0x90] + [UInt8](repeating: 32, count: 20)).octets
        let begin = 2 + 4
        #expect(ParsedFrames([octets[..<(begin + 3)]]).fault == nil)
        #expect(ParsedFrames([octets[..<(begin + 4)]]).fault?.code == .invalidPayload)
    }

    @Test func whatIsTooLargeIsRefusedBeforeItComes() {
        let limits = WebSocketLimits(frame: 10, message: 15)
        check(ClientFrame(.binary, [UInt8](repeating: 0, count: 11)), is: .messageTooBig, limits: limits)
        let ten = ClientFrame(.binary, [UInt8](repeating: 0, count: 10))
        check(
            ten.more, ClientFrame(.continuation, [UInt8](repeating: 0, count: 6)), is: .messageTooBig, limits: limits)
        #expect(ParsedFrames(ten.more, ClientFrame(.continuation, "12345"), limits: limits).events.count == 1)
        let head = ClientFrame(.binary, [UInt8](repeating: 0, count: 11)).octets[..<6]
        #expect(ParsedFrames([head], limits: limits).fault?.code == .messageTooBig)
        check([0x82, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 2, 3, 4], .messageTooBig)
    }
}
