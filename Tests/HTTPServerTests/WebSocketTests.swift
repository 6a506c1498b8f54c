import EventLoop
import HTTP
import HTTPServer
import Observability
import Testing

@Suite struct WebSocketTests {
    private typealias Client = WebSocketClient

    @Test func messagesGoBothWays() async throws {
        try await TestServer.run([webSocket(webSocketEcho), hello]) { server in
            let socket = WebSocketClient(try server.connect())
            defer { socket.client.close() }
            try await socket.client.send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(try await socket.client.answer().body == "hello")
            let answer = try await socket.open(fields: ["X-Request-Id: abc"])
            #expect(answer.status == 101)
            #expect(answer.fields["upgrade"] == "websocket" && answer.fields["connection"] == "upgrade")
            #expect(answer.fields["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
            #expect(answer.fields["x-request-id"] == "abc" && answer.fields["content-length"] == nil)
            try await socket.send(Client.text("one"), Client.frame(2, [0, 255]), Client.text(""))
            #expect(try await socket.next() == .text("one"))
            #expect(try await socket.next() == ServerFrame(opcode: 2, payload: [0, 255]))
            #expect(try await socket.next() == .text(""))
            let long = String(repeating: "ü", count: 200_000)
            try await socket.send(Client.text(long))
            #expect(try await socket.next() == .text(long))
            try await socket.send(
                Client.frame(1, [0x48], final: false), Client.frame(9, Array("ping".utf8)), Client.frame(0, [0x69]))
            #expect(try await socket.next() == .pong("ping"))
            #expect(try await socket.next() == .text("Hi"))
            try await socket.send(Client.close(4321))
            let close = try await socket.next()
            #expect(close.opcode == 8 && close.closeCode == 4321)
            #expect(try await socket.isAtEnd())
        }
    }

    /// A client need not wait for the answer 101 to be read before it sends.
    @Test func whatComesBehindTheRequestIsNotLost() async throws {
        try await TestServer.run([webSocket(webSocketEcho)]) { server in
            let frames = Client.text("first") + Client.text("second")
            for whole in [true, false] {
                let socket = WebSocketClient(try server.connect())
                defer { socket.client.close() }
                let early = whole ? frames : Array(frames.prefix(9))
                #expect(try await socket.open(followedBy: early).status == 101)
                try await socket.send(Array(frames.dropFirst(early.count)))
                #expect(try await socket.next() == .text("first"))
                #expect(try await socket.next() == .text("second"))
            }
        }
    }

    @Test func whatIsNoHandshakeIsAnswered() async throws {
        try await TestServer.run([webSocket(webSocketEcho), hello]) { server in
            let client = try server.connect()
            defer { client.close() }
            try await client.send("GET /socket HTTP/1.1\r\nHost: a\r\n\r\n")
            let plain = try await client.answer()
            #expect(plain.status == 426 && plain.body.contains("upgrade_required"))
            #expect(plain.fields["upgrade"] == "websocket" && plain.fields["connection"] == "upgrade")
            #expect(plain.fields["sec-websocket-version"] == "13")
            let old = Client.request("/socket").replacing("Version: 13", with: "Version: 8")
            try await client.send(old)
            #expect(try await client.answer().status == 426)
            let broken = Client.request("/socket").replacing("Key: dGhl", with: "Key: !")
            try await client.send(broken)
            #expect(try await client.answer().status == 400)
            try await client.send("HEAD /socket HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(try await client.answer(isHead: true).status == 426)
            // The connection is kept for all that, and an Upgrade is passed over where there is no WebSocket.
            try await client.send(Client.request("/hello"))
            #expect(try await client.answer().body == "hello")
        }
    }

    private struct Doorkeeper: Middleware {
        nonisolated(nonsending) func admit(_ request: inout Request) async throws {
            guard request.head.contains("authorization") else { throw Problem(.unauthorized, "no key") }
        }
    }

    @Test func middlewareStandsBeforeIt() async throws {
        try await TestServer.run([webSocket(webSocketEcho)], middleware: [Doorkeeper()]) { server in
            let socket = WebSocketClient(try server.connect())
            defer { socket.client.close() }
            try await socket.client.send(Client.request("/socket"))
            #expect(try await socket.client.answer().status == 401)
            #expect(try await socket.open(fields: ["Authorization: Bearer x"]).status == 101)
            try await socket.send(Client.text("in"))
            #expect(try await socket.next() == .text("in"))
        }
    }

    @Test func aSubprotocolIsAgreedOn() async throws {
        let route = webSocket({ $0.subprotocols = ["rows.v2", "rows.v1"] }) { socket in
            try await socket.send(.text(socket.subprotocol ?? "none"))
        }
        try await TestServer.run([route]) { server in
            for (offer, taken) in [("rows.v1, rows.v2", "rows.v1"), ("other", "none")] {
                let socket = WebSocketClient(try server.connect())
                defer { socket.client.close() }
                let answer = try await socket.open(fields: ["Sec-WebSocket-Protocol: \(offer)"])
                #expect(answer.fields["sec-websocket-protocol"] ?? "none" == taken)
                #expect(try await socket.next() == .text(taken))
            }
        }
    }

    @Test func compressedMessages() async throws {
        try await TestServer.run([webSocket(webSocketEcho)]) { server in
            let socket = WebSocketClient(try server.connect())
            defer { socket.client.close() }
            let answer = try await socket.open(fields: ["Sec-WebSocket-Extensions: permessage-deflate"])
            #expect(answer.fields["sec-websocket-extensions"] == "permessage-deflate")
            try await socket.send(Client.frame(1, [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00], compressed: true))
            #expect(try await socket.next() == .text("Hello"))
            try await socket.send(Client.text(String(repeating: "again ", count: 1000)))
            let packed = try await socket.next()
            #expect(packed.isCompressed && packed.payload.count < 200)
        }
    }

    @Test func itIsCounted() async throws {
        try await TestServer.run([webSocket(webSocketEcho)]) { server in
            let first = try await server.openWebSocket()
            let second = try await server.openWebSocket()
            try await first.send(Client.text("four"), Client.text("bytes"))
            _ = try await first.next()
            _ = try await first.next()
            try await first.send(Client.close(1000))
            _ = try await first.next()
            #expect(try await first.isAtEnd())
            first.client.close()
            await server.settle()
            let text = String(decoding: server.metrics.render(), as: UTF8.self)
            for line in [
                #"http_requests_total{method="GET",route="/socket",status="1xx"} 2"#,
                #"http_websockets_open{route="/socket"} 1"#,
                #"http_websocket_messages_total{route="/socket",direction="received"} 2"#,
                #"http_websocket_octets_total{route="/socket",direction="sent"} 9"#,
                #"http_websockets_ended_total{route="/socket",code="1000"} 1"#,
            ] {
                #expect(text.contains(line), "\(line)\n\(text)")
            }
            second.client.close()
        }
    }
}
