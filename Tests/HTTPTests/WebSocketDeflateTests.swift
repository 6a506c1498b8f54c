import Testing

@testable import HTTP

/// Compressed messages (RFC 7692).
@Suite struct WebSocketDeflateTests {
    private let agreed: PermessageDeflate

    init() throws { agreed = try Self.agree("permessage-deflate") }

    private static func agree(
        _ offer: String, _ preferences: PermessageDeflate.Preferences = .init()
    ) throws -> PermessageDeflate {
        let offers = try #require(ExtensionOffer.parse([offer]))
        return try #require(PermessageDeflate.agree(offers, preferences))
    }

    private func check(
        _ frames: ClientFrame..., are events: [WebSocketParser.Event], location: SourceLocation = #_sourceLocation
    ) {
        let octets = frames.flatMap(\.octets)
        for parsed in [ParsedFrames([octets[...]], deflate: agreed)] + ParsedFrames.splits(octets, deflate: agreed) {
            #expect(parsed.events == events && parsed.fault == nil, sourceLocation: location)
        }
    }

    @Test func theExamplesOfTheRFC() {
        let hello: WebSocketParser.Event = .message(.text("Hello"))
        let packed: [UInt8] = [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00]
        check(ClientFrame(.text, packed).compressed, are: [hello])
        check(
            ClientFrame(.text, Array(packed[..<3])).more.compressed, ClientFrame(.continuation, Array(packed[3...])),
            are: [hello])
        // The second message refers to the first.
        check(
            ClientFrame(.text, packed).compressed, ClientFrame(.text, [0xF2, 0x00, 0x11, 0x00, 0x00]).compressed,
            are: [hello, hello])
        // A block that is not compressed; one that says it is the last; two blocks; an empty message.
        check(
            ClientFrame(.text, [0, 5, 0, 0xFA, 0xFF, 0x48, 0x65, 0x6C, 0x6C, 0x6F, 0]).compressed, are: [hello])
        check(ClientFrame(.text, [0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x00]).compressed, are: [hello])
        check(
            ClientFrame(.text, [0xF2, 0x48, 0x05, 0, 0, 0, 0xFF, 0xFF, 0xCA, 0xC9, 0xC9, 0x07, 0x00]).compressed,
            are: [hello])
        check(ClientFrame(.text, [0]).compressed, are: [.message(.text(""))])
        // After a last block the window is kept.
        check(
            ClientFrame(.text, [0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x00]).compressed,
            ClientFrame(.text, [0xF2, 0x00, 0x11, 0x00, 0x00]).compressed, are: [hello, hello])
    }

    @Test func plainMessagesAndControlFramesBetween() {
        let packed: [UInt8] = [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00]
        check(
            ClientFrame(.text, Array(packed[..<2])).more.compressed, ClientFrame(.ping, "p"),
            ClientFrame(.continuation, Array(packed[2...])), ClientFrame(.text, "plain"),
            are: [.ping([0x70]), .message(.text("Hello")), .message(.text("plain"))])
    }

    @Test func onlyTheFirstFrameSaysSo() {
        let packed: [UInt8] = [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00]
        let second = ParsedFrames(
            ClientFrame(.text, Array(packed[..<2])).more.compressed,
            ClientFrame(.continuation, Array(packed[2...])).compressed, deflate: agreed)
        #expect(second.fault?.code == .protocolError)
        #expect(ParsedFrames(ClientFrame(.ping).compressed, deflate: agreed).fault?.code == .protocolError)
        #expect(ParsedFrames(ClientFrame(.text, packed).compressed).fault?.code == .protocolError)
    }

    @Test func withoutTakeoverNothingIsRemembered() throws {
        let agreed = try Self.agree("permessage-deflate; client_no_context_takeover")
        let parsed = ParsedFrames(
            ClientFrame(.text, [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00]).compressed,
            ClientFrame(.text, [0xF2, 0x00, 0x11, 0x00, 0x00]).compressed, deflate: agreed)
        #expect(parsed.events == [.message(.text("Hello"))] && parsed.fault?.code == .invalidPayload)
    }

    @Test func damageIsRefused() {
        let damaged: [[UInt8]] = [[0xFF, 0xFF, 0xFF], [0x06], [0x01, 0x05, 0, 0, 0], [0xF2, 0, 0x11, 0]]
        for octets in damaged {
            let frame = ClientFrame(.binary, octets).compressed
            #expect(ParsedFrames(frame, deflate: agreed).fault?.code == .invalidPayload, "\(octets)")
            for split in ParsedFrames.splits(frame.octets, deflate: agreed) {
                #expect(split.fault?.code == .invalidPayload)
            }
        }
        let notText: [UInt8] = [0, 2, 0, 0xFD, 0xFF, 0xC3, 0x28, 0]
        #expect(ParsedFrames(ClientFrame(.text, notText).compressed, deflate: agreed).fault?.code == .invalidPayload)
    }

    /// A bomb is refused as soon as it passes the limit: memory does not grow with what it claims to hold.
    @Test func aBombIsRefused() {
        var packed: [UInt8] = []
        MessageDeflater(windowBits: 15, keepsWindow: true)
            .compress([UInt8](repeating: 0, count: 64 << 20), into: &packed)
        #expect(packed.count < 400_000)
        let frame = ClientFrame(.binary, packed).compressed
        #expect(ParsedFrames(frame, deflate: agreed).fault?.code == .messageTooBig)
        let exact = ParsedFrames(
            frame, limits: WebSocketLimits(frame: 1 << 20, message: 64 << 20), deflate: agreed)
        #expect(exact.events.count == 1 && exact.fault == nil)
        let short = ParsedFrames(
            frame, limits: WebSocketLimits(frame: 1 << 20, message: (64 << 20) - 1), deflate: agreed)
        #expect(short.events.isEmpty && short.fault?.code == .messageTooBig)
        let small = ParsedFrames(frame, limits: WebSocketLimits(frame: 1000, message: 64 << 20), deflate: agreed)
        #expect(small.fault?.code == .messageTooBig)
    }

    @Test(arguments: [
        "permessage-deflate", "permessage-deflate; server_no_context_takeover",
        "permessage-deflate; server_max_window_bits=9",
    ])
    func whatIsWrittenIsReadBack(_ offer: String) throws {
        let agreed = try Self.agree(offer)
        var writer = WebSocketWriter(deflate: agreed)
        let inflater = MessageInflater(windowBits: 15, keepsWindow: agreed.serverTakesOver)
        var generator = SystemRandomNumberGenerator()
        for round in 0..<40 {
            let count = [512, 600, 5_000, 70_000, 200_000][round % 5]
            let octets = (0..<count).map { round % 2 == 0 ? UInt8($0 % 7) : generator.next() }
            var output: [UInt8] = []
            writer.append(.binary(octets), to: &output)
            #expect(output[0] == 0xC2)
            let head = output[1] < 126 ? 2 : output[1] == 126 ? 4 : 10
            var message: [UInt8] = []
            try inflater.expand(Array(output[head...]), into: &message, limit: count)
            try inflater.finish(into: &message, limit: count)
            #expect(message == octets)
        }
    }

    @Test func takeoverMakesRepeatsSmall() throws {
        let text = (0..<60).map { "\($0 * 7919 % 1000)," }.joined()
        let message = WebSocketMessage.text(text + text + text)
        func sizes(_ agreed: PermessageDeflate) -> [Int] {
            var writer = WebSocketWriter(deflate: agreed)
            return (0..<2).map { _ in
                var output: [UInt8] = []
                writer.append(message, to: &output)
                return output.count
            }
        }
        let kept = sizes(agreed)
        #expect(kept[1] < kept[0] / 4)
        let fresh = sizes(try Self.agree("permessage-deflate; server_no_context_takeover"))
        #expect(fresh[0] == fresh[1])
    }
}
