import HTTP
import Testing

@Suite struct ServerSentEventTests {
    private func text(_ event: ServerSentEvent) -> String {
        var output: [UInt8] = []
        event.encode(into: &output)
        return String(decoding: output, as: UTF8.self)
    }

    @Test func fields() {
        #expect(text(ServerSentEvent(data: "x")) == "data: x\n\n")
        #expect(
            text(ServerSentEvent(id: "7", event: "row", data: "{}", retry: .milliseconds(1500)))
                == "retry: 1500\nid: 7\nevent: row\ndata: {}\n\n")
        #expect(text(ServerSentEvent(id: "", data: "")) == "id: \ndata: \n\n")
    }

    /// CRLF, CR and LF each end a line; what a client puts together again has LF.
    @Test func severalLines() {
        #expect(text(ServerSentEvent(data: "a\nb\r\nc\rd")) == "data: a\ndata: b\ndata: c\ndata: d\n\n")
        #expect(text(ServerSentEvent(data: "a\n")) == "data: a\ndata: \n\n")
        #expect(text(ServerSentEvent(data: "\n\n")) == "data: \ndata: \ndata: \n\n")
        #expect(text(ServerSentEvent(data: " a: b")) == "data:  a: b\n\n")
    }

    @Test func aCommentIsNoEvent() {
        #expect(String(decoding: ServerSentEvent.keepAlive, as: UTF8.self) == ":\n\n")
    }
}
