import HTTP
import Testing

@Suite struct WebSocketWriterTests {
    private func written(_ message: WebSocketMessage) -> [UInt8] {
        var writer = WebSocketWriter()
        var output: [UInt8] = []
        writer.append(message, to: &output)
        return output
    }

    @Test func messages() {
        #expect(written(.text("Hello")) == [0x81, 0x05, 0x48, 0x65, 0x6C, 0x6C, 0x6F])
        #expect(written(.binary([])) == [0x82, 0x00])
        let heads: [(Int, [UInt8])] = [
            (125, [0x82, 125]), (126, [0x82, 126, 0, 126]), (256, [0x82, 126, 1, 0]), (65_535, [0x82, 126, 255, 255]),
            (65_536, [0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ]
        for (count, head) in heads {
            let octets = [UInt8](repeating: 7, count: count)
            #expect(written(.binary(octets)) == head + octets)
        }
    }

    @Test func controlFrames() {
        var output: [UInt8] = []
        WebSocketWriter.append(ping: [1], to: &output)
        WebSocketWriter.append(pong: [2, 3], to: &output)
        WebSocketWriter.append(WebSocketClose(.goingAway, "bye"), to: &output)
        WebSocketWriter.append(WebSocketClose(nil, "not sent"), to: &output)
        #expect(output == [0x89, 1, 1, 0x8A, 2, 2, 3, 0x88, 5, 3, 0xE9, 0x62, 0x79, 0x65, 0x88, 0])
    }

    @Test func aReasonIsCutBetweenCharacters() {
        let close = WebSocketClose(.normal, String(repeating: "ü", count: 100))
        #expect(close.reason.utf8.count == 122)
        #expect(WebSocketClose(.normal, String(repeating: "a", count: 123)).reason.utf8.count == 123)
    }

    @Test func codesThatMayBeSent() {
        let sendable = (0...UInt16.max).filter { WebSocketCloseCode(rawValue: $0).isSendable }
        #expect(sendable == Array(1000...1003) + Array(1007...1014) + Array(3000...4999))
    }
}
