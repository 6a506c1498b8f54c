import EventLoop
import HTTP
import Lifecycle
import Observability
import Testing

@testable import HTTPServer

@Suite("TLS: limits and the end")
struct TLSLimitTests {
    @Test("A handshake has as long as a head, whether nothing comes or a little now and then")
    func slowHandshakes() async throws {
        let folder = try await TLSFolder()
        try await TestServer.run(
            [hello], tls: try folder.files(), limits: { $0.headTimeout = .milliseconds(300) }
        ) { server in
            await server.python(
                folder,
                #"""
                import time
                began = time.monotonic()
                silent = tcp()
                assert silent.recv(1) == b""
                # A client hello of 16,000 octets, by ten octets a second.
                slow = tcp()
                slow.settimeout(0.1)
                octets = iter(b"\x16\x03\x01\x3e\x80\x01\x00\x3e\x7c" + bytes(16000))
                while True:
                    try:
                        slow.sendall(bytes([next(octets)]))
                        assert slow.recv(1) == b""
                        break
                    except TimeoutError:
                        assert time.monotonic() - began < 60, "it is still open"
                    except ConnectionError:
                        break
                # What is sent after the handshake has the same limit.
                quiet = connect()
                assert quiet.recv(1) == b""
                assert 0.8 < time.monotonic() - began
                """#)
            let text = String(decoding: server.metrics.render(), as: UTF8.self)
            #expect(text.contains(#"tls_handshakes_total{outcome="failed"} 2"#), "\(text)")
            #expect(text.contains(#"tls_handshakes_total{outcome="done"} 1"#), "\(text)")
        }
    }

    /// A record that carries no data is worked off inside OpenSSL: of a client hello in records of one octet, one turn
    /// takes a part, the loop's others get theirs, and then it goes on although epoll reports nothing more.
    @Test("A handshake in very many pieces neither keeps the loop nor is forgotten")
    func manyPieces() async throws {
        let folder = try await TLSFolder()
        try await TestServer.run([hello], tls: try folder.files()) { server in
            await server.python(
                folder,
                #"""
                raw = ssl.MemoryBIO()
                try:
                    context.wrap_bio(ssl.MemoryBIO(), raw, server_hostname="localhost").do_handshake()
                except ssl.SSLWantReadError:
                    pass
                hello = raw.read()[5 + 4:]
                # A padding extension (RFC 7685) of 60,000 octets more.
                at = 34 + 1 + hello[34]
                at += 2 + int.from_bytes(hello[at:at + 2], "big")
                at += 1 + hello[at]
                extensions = hello[at + 2:]
                kept, position = b"", 0
                while position < len(extensions):
                    size = 4 + int.from_bytes(extensions[position + 2:position + 4], "big")
                    if extensions[position:position + 2] != b"\0\x15":
                        kept += extensions[position:position + size]
                    position += size
                kept += struct.pack("!HH", 21, 60_000) + bytes(60_000)
                hello = hello[:at] + struct.pack("!H", len(kept)) + kept
                hello = b"\x01" + len(hello).to_bytes(3, "big") + hello
                client = tcp()
                client.sendall(b"".join(b"\x16\x03\x01\0\x01" + bytes([octet]) for octet in hello))
                record = receive(client, 6)
                assert record[0] == 22 and record[5] == 2, record  # a handshake: the server's hello
                """#)
        }
    }

    @Test("A reader that stops ends the stream")
    func stoppedReader() async throws {
        let ended = Gate()
        let piece = [UInt8](repeating: 0x61, count: 1 << 18)
        let route = route(.get, "/hello") { _ in
            .stream(.ok, "text/plain") { writer in
                defer { ended.open() }
                while true { try await writer.write(piece) }
            }
        }
        let folder = try await TLSFolder()
        try await TestServer.run(
            [route], tls: try folder.files(), limits: { $0.writeTimeout = .milliseconds(50) }
        ) { server in
            let process = ChildProcess()
            async let client = server.python(
                folder, "client = connect()\nclient.sendall(GET)\nsys.stdin.readline()", in: process)
            await ended.passed()
            try process.send("over")
            _ = await client
        }
    }

    @Test("While the server drains, idle connections are told goodbye and others answered first")
    func drain() async throws {
        let (begun, gate) = (Gate(), Gate())
        let slow = route(.get, "/slow") { _ in
            begun.open()
            await gate.passed()
            return .text(.ok, "slow")
        }
        let folder = try await TLSFolder()
        try await TestServer.run([slow, hello], tls: try folder.files()) { server in
            async let client = server.python(
                folder,
                #"""
                idle, fresh, busy = connect(), connect(), connect()
                idle.sendall(GET)
                assert answer(idle)[1] == b"hello"
                busy.sendall(GET.replace(b"hello", b"slow"))
                assert idle.recv(1) == b""
                print("idle ended")
                _, body, fields = answer(busy)
                assert body == b"slow" and "connection: close" in fields and busy.recv(1) == b""
                assert fresh.recv(1) == b""
                """#)
            await begun.passed()
            server.shutdown.request()
            while let more = try? server.connect() {
                more.close()
                await server.settle()
            }
            // The server drains.
            gate.open()
            let output = await client
            #expect(output == "idle ended\n")
        }
    }

    @Test("What goes is not held up by what comes: both directions full at once")
    func bothDirectionsFull() async throws {
        let folder = try await TLSFolder()
        try await TestServer.run([webSocket(webSocketEcho)], tls: try folder.files()) { server in
            await server.python(
                folder,
                #"""
                plain = tcp()
                plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 131_072)
                client = only("TLSv1_3").wrap_socket(plain, server_hostname="localhost", suppress_ragged_eofs=False)
                client.sendall(
                    b"GET /socket HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
                assert head(client).startswith("http/1.1 101")
                payload = os.urandom(70_000)
                frame = struct.pack("!BBQI", 0x82, 0xFF, len(payload), 0) + payload
                # Nothing is read until the server, which waits to write, reads no more.
                client.settimeout(0.3)
                sent = 0
                try:
                    while True:
                        sent += client.send(frame[sent % len(frame):])
                except TimeoutError:
                    pass
                assert sent > 1 << 20, sent
                client.settimeout(20)
                expected = b"\x82\x7f" + len(payload).to_bytes(8, "big") + payload
                for _ in range(sent // len(frame)):
                    assert receive(client, len(expected)) == expected
                """#)
        }
    }
}
