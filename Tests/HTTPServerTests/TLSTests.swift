import EventLoop
import HTTP
import Observability
import Testing

@testable import HTTPServer

@Suite("TLS: what is spoken")
struct TLSTests {
    @Test("curl is answered by 1.2 and 1.3, by both kinds of key, and trusts what it is told to")
    func curl() async throws {
        for kind in [TLSFolder.Kind.ecdsa, .rsa] {
            let folder = try await TLSFolder(kind)
            try await TestServer.run([hello], tls: try folder.files()) { server in
                let url = "https://localhost:\(server.port)/hello"
                let trusting = ["-sS", "--noproxy", "*", "-w", " %{http_code} %{http_version}", "--cacert"]
                for version in [["--tls-max", "1.2"], ["--tlsv1.3"]] {
                    let run = await ChildProcess.run(
                        "/usr/bin/curl", trusting + [folder.certificate] + version + [url])
                    #expect(run.status == 0 && run.output == "hello 200 1.1", "\(version): \(run.output)")
                }
                let stranger = await ChildProcess.run("/usr/bin/curl", ["-sS", "--noproxy", "*", url])
                #expect(stranger.status == 60, "\(stranger.output)")
            }
        }
    }

    @Test("No version before 1.2; no protocol but HTTP/1.1 by ALPN")
    func versionsAndProtocols() async throws {
        let folder = try await TLSFolder()
        try await TestServer.run([hello], tls: try folder.files()) { server in
            await server.python(
                folder,
                #"""
                import warnings
                warnings.simplefilter("ignore")
                for version in ("TLSv1", "TLSv1_1"):
                    old = only(version)
                    old.set_ciphers("ALL:@SECLEVEL=0")
                    try:
                        connect(old)
                        raise SystemExit(version)
                    except ssl.SSLError as error:
                        assert "PROTOCOL_VERSION" in error.reason, error
                for version in ("TLSv1_2", "TLSv1_3"):
                    assert connect(only(version)).version() == version.replace("_", ".")
                for offered, chosen in ((["h2", "http/1.1"], "http/1.1"), (["http/1.1"], "http/1.1"), ([], None)):
                    context.set_alpn_protocols(offered)
                    assert connect().selected_alpn_protocol() == chosen, offered
                context.set_alpn_protocols(["h2", "http/1.0"])
                try:
                    connect()
                    raise SystemExit("h2 was taken")
                except ssl.SSLError as error:
                    assert "no application protocol" in str(error), error
                """#)
        }
    }

    @Test("Mozilla's intermediate list: every cipher of it, and none beside")
    func ciphers() async throws {
        for (kind, name) in [(TLSFolder.Kind.ecdsa, "ECDSA"), (.rsa, "RSA")] {
            let folder = try await TLSFolder(kind)
            try await TestServer.run([hello], tls: try folder.files()) { server in
                await server.python(
                    folder,
                    #"""
                    kind = "\#(name)"
                    tails = ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
                    good = [f"ECDHE-{kind}-{tail}" for tail in tails]
                    good += [f"DHE-RSA-{tail}" for tail in tails if kind == "RSA"]
                    accepted = []
                    offer = ssl.create_default_context()
                    offer.set_ciphers("ALL:COMPLEMENTOFALL:@SECLEVEL=0")
                    for cipher in {entry["name"] for entry in offer.get_ciphers() if entry["protocol"] != "TLSv1.3"}:
                        made = only("TLSv1_2")
                        made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
                        made.set_ciphers(cipher + ":@SECLEVEL=0")
                        try:
                            accepted.append(connect(made).cipher()[0])
                        except (ssl.SSLError, ConnectionResetError):
                            pass
                    assert sorted(accepted) == sorted(good), accepted
                    # The client's order counts.
                    for first, second in ((good[0], good[2]), (good[2], good[0])):
                        made = only("TLSv1_2")
                        made.set_ciphers(first + ":" + second)
                        assert connect(made).cipher()[0] == first
                    """#)
            }
        }
    }

    @Test("No renegotiation, no compression, nothing to resume")
    func neitherRenegotiatedNorResumed() async throws {
        let folder = try await TLSFolder()
        try await TestServer.run([hello], tls: try folder.files()) { server in
            await server.python(
                folder,
                #"""
                for version in ("TLSv1_2", "TLSv1_3"):
                    made = only(version)
                    with connect(made) as first:
                        first.sendall(GET)
                        assert answer(first)[1] == b"hello"
                        assert first.compression() is None
                        session = first.session
                    assert not session.has_ticket, version
                    with connect(made, session=session) as second:
                        assert not second.session_reused, version
                command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", certificate, "-tls1_2"]
                with subprocess.Popen(
                        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as client:
                    text = b""
                    while b"Extended master secret: yes" not in text:
                        text += client.stdout.read1()
                    client.stdin.write(b"R\n")
                    client.stdin.flush()
                    text += client.stdout.read()
                    assert b"RENEGOTIATING" in text and b"no renegotiation" in text, text
                """#)
        }
    }

    @Test("Plain HTTP is told so, and what is neither is closed")
    func plain() async throws {
        let folder = try await TLSFolder()
        try await TestServer.run([hello], tls: try folder.files()) { server in
            let http = try server.connect()
            defer { http.close() }
            try await http.send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
            let octets = try await http.receiveAll()
            let (answer, length) = try #require(Answer.parse(octets))
            #expect(answer.status == 400 && answer.body.contains("TLS") && length == octets.count)
            let other = try server.connect()
            defer { other.close() }
            try await other.send("SSH-2.0-OpenSSH_9.2\r\n")
            #expect(try await other.receiveAll().count < 16)
            let text = String(decoding: server.metrics.render(), as: UTF8.self)
            #expect(text.contains(#"tls_handshakes_total{outcome="failed"} 2"#), "\(text)")
        }
    }

    @Test("A connection over the limit gets no answer in the clear")
    func tooMany() async throws {
        let folder = try await TLSFolder()
        try await TestServer.run([hello], tls: try folder.files(), limits: { $0.connections = 1 }) { server in
            let first = try server.connect()
            defer { first.close() }
            let second = try server.connect()
            defer { second.close() }
            #expect(try await second.receiveAll().isEmpty)
        }
    }

    @Test("The protocol is found only where it is whole")
    func protocolNames() {
        func position(_ names: [UInt8]) -> Int? { TLSContext.position(of: "http/1.1", in: names) }
        let name = Array("http/1.1".utf8)
        #expect(position([8] + name) == 1)
        #expect(position([2, 0x68, 0x32, 8] + name + [1, 0x61]) == 4)
        #expect(position([9] + name + [0x31]) == nil)
        #expect(position([8] + name.dropLast()) == nil)
        #expect(position([7] + name) == nil)
        #expect(position([]) == nil && position([0, 0]) == nil)
    }

    @Test("Records of three arrays are the arrays, cut")
    func records() {
        let sizes = [0, 1, 200, 16_383, 16_384, 16_385, 50_000]
        func bytes(_ count: Int, _ seed: Int) -> [UInt8] {
            (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ seed) }
        }
        for (a, b, c) in sizes.flatMap({ a in sizes.flatMap { b in [0, 2, 20_000].map { (a, b, $0) } } }) {
            let parts = (bytes(a, 1), bytes(b, 2), bytes(c, 3))
            var at = 0
            var joined: [UInt8] = []
            while at < a + b + c {
                let record = TLSSession.record(parts.0, parts.1, parts.2, from: at)
                guard !record.isEmpty, record.count <= 16_384 else { break }
                joined += record
                at += record.count
            }
            #expect(joined == parts.0 + parts.1 + parts.2, "\(a), \(b), \(c)")
        }
    }
}
