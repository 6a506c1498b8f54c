import Testing

@testable import HTTP

/// Frames as RFC 6455 has them: each case whole and cut at every octet.
@Suite struct WebSocketParserTests {
    private func check(
        _ octets: [UInt8], _ events: [WebSocketParser.Event], limits: WebSocketLimits = WebSocketLimits(),
        location: SourceLocation = #_sourceLocation
    ) {
        let whole = ParsedFrames([octets[...]], limits: limits)
        #expect(whole.events == events && whole.fault == nil, sourceLocation: location)
        for split in ParsedFrames.splits(octets, limits: limits) {
            #expect(split == whole, sourceLocation: location)
        }
    }

    private func check(
        _ frames: [ClientFrame], _ events: WebSocketParser.Event..., location: SourceLocation = #_sourceLocation
    ) {
        check(frames.flatMap(\.octets), events, location: location)
    }

    @Test func theExamplesOfTheRFC() {
        let hello: [UInt8] = [0x37, 0xFA, 0x21, 0x3D, 0x7F, 0x9F, 0x4D, 0x51, 0x58]
        check([0x81, 0x85] + hello, [.message(.text("Hello"))])
        check([0x8A, 0x85] + hello, [.pong(Array("Hello".utf8))])
        check([0x89, 0x85] + hello, [.ping(Array("Hello".utf8))])
        check([ClientFrame(.text, "Hel").more, ClientFrame(.continuation, "lo")], .message(.text("Hello")))
    }

    @Test func lengthsOfAllForms() {
        for count in [0, 1, 125, 126, 127, 256, 65_535, 65_536, 70_000] {
            let octets = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) }
            let parsed = ParsedFrames(ClientFrame(.binary, octets))
            #expect(parsed.events == [.message(.binary(octets))], "\(count)")
            let wire = ClientFrame(.binary, octets).octets
            for cut in [1, 2, 3, 4, 5, 9, 10, 13, 14, 15, wire.count - 1] where cut < wire.count {
                #expect(ParsedFrames([wire[..<cut], wire[cut...]]) == parsed, "\(count) cut at \(cut)")
            }
        }
        #expect(ClientFrame(.binary, [UInt8](repeating: 0, count: 256)).octets[..<4] == [0x82, 0xFE, 0x01, 0x00])
    }

    @Test func messagesFollowEachOther() {
        check(
            [ClientFrame(.text, "one"), ClientFrame(.binary, [0, 255]), ClientFrame(.text), ClientFrame(.text, "ü")],
            .message(.text("one")), .message(.binary([0, 255])), .message(.text("")), .message(.text("ü")))
    }

    @Test func controlFramesBetweenFragments() {
        check(
            [
                ClientFrame(.text, "Hel").more, ClientFrame(.ping, "are you there"), ClientFrame(.continuation).more,
                ClientFrame(.pong), ClientFrame(.continuation, "lo"), ClientFrame(.close),
            ], .ping(Array("are you there".utf8)), .pong([]), .message(.text("Hello")), .close(WebSocketClose(nil)))
        check(
            [ClientFrame(.binary, [1]).more, ClientFrame.close(1000, "enough"), ClientFrame(.continuation, [2])],
            .close(WebSocketClose(.normal, "enough")))
    }

    @Test func maskingKeysOfAllPhases() {
        let octets = (0..<11).map { UInt8($0) }
        for cut in 1..<10 {
            let frames = [
                ClientFrame(.binary, Array(octets[..<cut])).more.with { $0.mask = [1, 2, 4, 8] },
                ClientFrame(.continuation, Array(octets[cut...])).with { $0.mask = [0, 0, 0, 0] },
            ]
            check(frames, .message(.binary(octets)))
        }
    }

    @Test func closeFrames() {
        check([ClientFrame(.close)], .close(WebSocketClose(nil)))
        for code in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999] {
            check([.close(code, "ü")], .close(WebSocketClose(WebSocketCloseCode(rawValue: UInt16(code)), "ü")))
        }
        // What follows is thrown away, whatever it is.
        check(ClientFrame.close(1000).octets + [0xFF, 0xFF, 0xFF], [.close(WebSocketClose(.normal))])
    }

    @Test func textIsCheckedAcrossFragments() {
        let text = "κόσμε \u{10FFFF} \u{800} \u{FFFD}"
        let octets = Array(text.utf8)
        for cut in 1..<octets.count {
            check(
                [
                    ClientFrame(.text, Array(octets[..<cut])).more, ClientFrame(.ping),
                    ClientFrame(.continuation, Array(octets[cut...])),
                ], .ping([]), .message(.text(text)))
        }
    }

    @Test func anUnfinishedStreamIsNoFault() {
        let frame = ClientFrame(.text, "Hello").octets
        for cut in 1..<frame.count {
            let parsed = ParsedFrames([frame[..<cut]])
            #expect(parsed.events.isEmpty && parsed.fault == nil && parsed.isInside)
        }
        #expect(ParsedFrames(ClientFrame(.text, "Hel").more).isInside)
        #expect(!ParsedFrames(ClientFrame(.text, "Hello")).isInside)
    }
}
