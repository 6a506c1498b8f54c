import EventLoop
import HTTP
import Observability
import Testing

@testable import HTTPServer

@Suite("TLS: what flows")
struct TLSFlowTests {
    /// Sends back the body it was sent.
    private let mirror = route(.post, "/mirror") { request in
        .bytes(.ok, "application/octet-stream", try await request.body.collect(limit: 32 << 20))
    }

    @Test("A handshake and a request may come octet by octet")
    func octetByOctet() async throws {
        let folder = try await TLSFolder(.rsa)
        try await TestServer.run([hello], tls: try folder.files()) { server in
            await server.python(
                folder,
                #"""
                for version in ("TLSv1_2", "TLSv1_3"):
                    client = Raw(only(version))

                    def drip(octets):
                        for octet in octets:
                            client.socket.sendall(bytes([octet]))

                    client.step(client.tls.do_handshake, drip)
                    client.step(lambda: client.tls.write(GET), drip)
                    assert answer(client)[1] == b"hello", version
                """#)
        }
    }

    @Test("A request that came by TLS is secure")
    func secureRequests() async throws {
        let told = route(.get, "/hello") { .text(.ok, $0.isSecure ? "secure" : "clear") }
        let folder = try await TLSFolder()
        try await TestServer.run([told], tls: try folder.files()) { server in
            await server.python(
                folder,
                #"""
                client = Raw(only("TLSv1_3"))
                client.step(client.tls.do_handshake, client.socket.sendall)
                client.step(lambda: client.tls.write(GET), client.socket.sendall)
                assert answer(client)[1] == b"secure"
                """#)
        }
        try await TestServer.run([told]) { server in
            let client = try server.connect()
            defer { client.close() }
            #expect(try await client.get("/hello").body == "clear")
        }
    }

    @Test("Large bodies go both ways whole, to a client that takes its time too")
    func largeBodies() async throws {
        let stream = route(.post, "/stream") { request in
            let body = try await request.body.collect(limit: 32 << 20)
            return .stream(.ok, "application/octet-stream") { writer in
                var at = 0
                // Pieces of all sizes, below a record and above.
                for size in sequence(first: 1, next: { $0 * 3 % 100_003 }) where at < body.count {
                    try await writer.write(Array(body[at..<min(body.count, at + size)]))
                    at += size
                    if at >= body.count { break }
                }
            }
        }
        let folder = try await TLSFolder()
        try await TestServer.run([mirror, stream], tls: try folder.files()) { server in
            await server.python(
                folder,
                #"""
                body = os.urandom(12_000_000)
                for version in ("TLSv1_2", "TLSv1_3"):
                    plain = tcp()
                    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 131_072)
                    client = only(version).wrap_socket(plain, server_hostname="localhost", suppress_ragged_eofs=False)
                    for path in (b"/mirror", b"/stream", b"/mirror"):
                        client.sendall(b"POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (path, len(body)))
                        client.sendall(body)
                        status, got, _ = answer(client)
                        assert status == 200 and got == body, (version, path, status, len(got))
                """#)
        }
    }

    @Test("Pipelined requests, 100-continue, and HEAD")
    func pipelining() async throws {
        let folder = try await TLSFolder()
        try await TestServer.run([echo, hello], tls: try folder.files()) { server in
            await server.python(
                folder,
                #"""
                client = connect()
                request = b"POST /echo/%d HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
                sender = threading.Thread(target=lambda: client.sendall(b"".join(request % n for n in range(3000))))
                sender.start()
                for n in range(3000):
                    assert answer(client)[1] == b"%d:abc" % n
                sender.join()
                client.sendall(b"POST /echo/x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
                assert head(client).startswith("http/1.1 100")
                client.sendall(b"abc")
                assert answer(client)[1] == b"x:abc"
                client.sendall(GET.replace(b"GET", b"HEAD"))
                assert "content-length: 5" in head(client)
                client.sendall(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
                assert answer(client)[1] == b"hello" and client.recv(1) == b""
                """#)
        }
    }

    @Test("A client that has said goodbye is still answered; goodbye is said to it")
    func halfClose() async throws {
        let folder = try await TLSFolder()
        try await TestServer.run([hello], tls: try folder.files()) { server in
            await server.python(
                folder,
                #"""
                for version in ("TLSv1_2", "TLSv1_3"):
                    client = Raw(only(version))
                    client.step(client.tls.do_handshake, client.socket.sendall)
                    client.tls.write(GET)
                    try:
                        client.tls.unwrap()
                    except ssl.SSLWantReadError:
                        pass
                    # The request and close_notify, in one packet.
                    client.socket.sendall(client.outgoing.read())
                    assert answer(client)[1] == b"hello"
                    try:
                        assert client.recv(1) == b""
                    except ssl.SSLZeroReturnError:
                        pass
                """#)
        }
    }

    @Test("A stream that ends inside a body is an incomplete body, with a goodbye and without")
    func truncation() async throws {
        let (incomplete, ended) = (Tally(), Tally())
        let route = route(.post, "/body") { request in
            defer { ended.add(1) }
            do throws(Problem) {
                return .bytes(.ok, "text/plain", try await request.body.collect(limit: 1 << 20))
            } catch {
                if error.code == .incompleteBody { incomplete.add(1) }
                throw error
            }
        }
        let folder = try await TLSFolder()
        try await TestServer.run([route], tls: try folder.files()) { server in
            for goodbye in ["True", "False"] {
                await server.python(
                    folder,
                    #"""
                    for version in ("TLSv1_2", "TLSv1_3"):
                        chunked = b"Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n"
                        for framing in (b"Content-Length: 10\r\n\r\n12345", chunked):
                            client = Raw(only(version))
                            client.step(client.tls.do_handshake, client.socket.sendall)
                            client.tls.write(b"POST /body HTTP/1.1\r\nHost: a\r\n" + framing)
                            try:
                                if \#(goodbye):
                                    client.tls.unwrap()
                            except ssl.SSLWantReadError:
                                pass
                            client.socket.sendall(client.outgoing.read())
                            client.socket.shutdown(socket.SHUT_WR)
                            while client.socket.recv(65536):
                                pass
                    """#)
            }
            #expect(incomplete.value == 8 && ended.value == 8)
        }
    }

    @Test("Keys may be changed on the way")
    func keyUpdate() async throws {
        let folder = try await TLSFolder()
        try await TestServer.run([hello], tls: try folder.files()) { server in
            await server.python(
                folder,
                #"""
                command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", certificate, "-tls1_3"]
                with subprocess.Popen(
                        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as client:
                    def until(mark, text=b""):
                        while mark not in text:
                            piece = client.stdout.read1()
                            assert piece, text
                            text += piece

                    until(b"Verify return code")
                    for _ in range(3):
                        client.stdin.write(b"K\n")
                        client.stdin.flush()
                        until(b"KEYUPDATE")
                        client.stdin.write(GET)
                        client.stdin.flush()
                        until(b"hello")
                    client.kill()
                """#)
        }
    }

    @Test("A WebSocket echoes, large messages too, and closes in order")
    func webSocketEchoes() async throws {
        let folder = try await TLSFolder()
        try await TestServer.run([webSocket(webSocketEcho)], tls: try folder.files()) { server in
            await server.python(
                folder,
                #"""
                def frame(opcode, payload):
                    length = len(payload)
                    if length < 126:
                        return struct.pack("!BBI", 0x80 | opcode, 0x80 | length, 0) + payload
                    if length < 65536:
                        return struct.pack("!BBHI", 0x80 | opcode, 0xFE, length, 0) + payload
                    return struct.pack("!BBQI", 0x80 | opcode, 0xFF, length, 0) + payload

                def message(stream):
                    first, length = receive(stream, 2)
                    if length > 125:
                        length = int.from_bytes(receive(stream, 2 if length == 126 else 8), "big")
                    return first & 15, receive(stream, length)

                client = connect()
                client.sendall(
                    b"GET /socket HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
                    + frame(2, b"at once"))
                assert head(client).startswith("http/1.1 101")
                assert message(client) == (2, b"at once")
                for size in (1, 16384, 300_000):
                    payload = os.urandom(size)
                    client.sendall(frame(2, payload))
                    assert message(client) == (2, payload)
                # Many at once, which both sides write while they read.
                payloads = [os.urandom(5000) for _ in range(400)]
                sender = threading.Thread(target=lambda: client.sendall(b"".join(frame(2, each) for each in payloads)))
                sender.start()
                for payload in payloads:
                    assert message(client) == (2, payload)
                sender.join()
                client.sendall(frame(8, b"\x03\xe8"))
                assert message(client) == (8, b"\x03\xe8") and client.recv(1) == b""
                """#)
        }
    }
}
