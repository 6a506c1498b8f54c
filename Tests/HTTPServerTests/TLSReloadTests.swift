import Configuration
import EventLoop
import Foundation
import HTTP
import Lifecycle
import Observability
import Testing

@testable import HTTPServer

@Suite("TLS: settings and renewal")
struct TLSReloadTests {
    private func faults(_ variables: [String: String]) throws -> [ConfigurationError.Fault] {
        var settings = Settings(Environment(variables))
        let files = TLSFiles(from: &settings)
        do throws(ConfigurationError) {
            try settings.finish()
            #expect((files == nil) == variables.isEmpty)
            return []
        } catch {
            return error.faults
        }
    }

    @Test("Both files or none, and each fault by its name")
    func settings() async throws {
        let folder = try await TLSFolder()
        let (certificate, key) = ("MILLRACE_TLS_CERTIFICATE", "MILLRACE_TLS_KEY")
        #expect(try faults([:]).isEmpty)
        #expect(try faults([certificate: folder.certificate, key: folder.key]).isEmpty)
        try await folder.make("other", "other-key")
        try await folder.make("weak", "weak-key", .weak)
        try await folder.make("locked", "locked-key", .ecdsa, "-passout pass:secret")
        let chain = try String(contentsOfFile: folder.certificate, encoding: .utf8)
        try (chain + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
            .write(toFile: folder.file("torn"), atomically: true, encoding: .utf8)
        let cases: [(String?, String?, String, String)] = [
            (folder.certificate, nil, key, "is required where \(certificate) is set"),
            (nil, folder.key, certificate, "is required where \(key) is set"),
            (folder.file("none"), folder.key, certificate, "cannot be opened: No such file"),
            (folder.certificate, folder.file("none"), key, "cannot be opened: No such file"),
            (folder.key, folder.key, certificate, "holds no certificate in PEM"),
            (folder.certificate, folder.certificate, key, "holds no private key in PEM"),
            (folder.certificate, folder.file("other-key"), key, "does not fit the certificate: key values mismatch"),
            (folder.file("weak"), folder.file("weak-key"), certificate, "cannot be used: ee key too small"),
            (folder.file("locked"), folder.file("locked-key"), key, "without a password"),
            (folder.file("torn"), folder.key, certificate, "holds a chain that cannot be read"),
        ]
        for (certificatePath, keyPath, name, message) in cases {
            var variables: [String: String] = [:]
            variables[certificate] = certificatePath
            variables[key] = keyPath
            let found = try faults(variables)
            #expect(found.map(\.name) == [name] && found[0].message.contains(message), "\(found)")
        }
    }

    @Test("A chain is sent as it is in the file")
    func chain() async throws {
        let folder = try await TLSFolder()
        try await folder.make("other", "other-key")
        let own = try String(contentsOfFile: folder.certificate, encoding: .utf8)
        let next = try String(contentsOfFile: folder.file("other"), encoding: .utf8)
        try (own + next).write(toFile: folder.file("chain"), atomically: true, encoding: .utf8)
        let files = try TLSFiles(certificate: folder.file("chain"), key: folder.key)
        try await TestServer.run([hello], tls: files) { server in
            let output = await server.python(
                folder,
                #"""
                command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-showcerts"]
                print(subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True).stdout)
                """#)
            let sent = output.ranges(of: "BEGIN CERTIFICATE").count
            #expect(sent == 2 && output.contains(next), "\(output)")
        }
    }

    /// The serial number of the certificate that a new connection gets.
    private func serial(_ server: TestServer, _ folder: TLSFolder) async -> String {
        await server.python(
            folder,
            """
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            pem = ssl.DER_cert_to_PEM_cert(connect().getpeercert(True))
            command = ["openssl", "x509", "-noout", "-serial"]
            print(subprocess.run(command, input=pem, capture_output=True, text=True, check=True).stdout)
            """)
    }

    @Test("New connections get the renewed certificate; those that are there go on")
    func renewal() async throws {
        let folder = try await TLSFolder()
        let gate = Gate()
        let waiting = route(.get, "/wait") { _ in
            gate.open()
            return .text(.ok, "waits")
        }
        let sink = LogSink.memory()
        try await TestServer.run(
            [hello, waiting], tls: try folder.files(), logger: Logger(service: "test", level: .info, sink: sink)
        ) { server in
            let certificates = try #require(server.certificates)
            let process = ChildProcess()
            async let old = server.python(
                folder,
                """
                client = connect()
                client.sendall(GET.replace(b"hello", b"wait"))
                assert answer(client)[1] == b"waits"
                sys.stdin.readline()
                client.sendall(GET)
                assert answer(client)[1] == b"hello"
                """, in: process)
            await gate.passed()
            let first = await serial(server, folder)
            certificates.reloadIfChanged()
            #expect(await serial(server, folder) == first)
            try await folder.make("new", "new-key", .rsa)
            try folder.rename("new", to: "certificate")
            // Half of a pair is there.
            certificates.reloadIfChanged()
            #expect(await serial(server, folder) == first)
            let half = sink.takeText()
            #expect(half.contains("tls.certificate_broken") && half.contains("different key types"), "\(half)")
            certificates.reloadIfChanged()
            #expect(!sink.takeText().contains("tls.certificate"), "it is told once")
            try folder.rename("new-key", to: "key")
            certificates.reloadIfChanged()
            #expect(await serial(server, folder) != first)
            #expect(sink.takeText().contains("tls.certificate_renewed"))
            try process.send("go on")
            _ = await old
        }
    }

    @Test("What is no pair any more leaves the old one, and says why")
    func brokenRenewal() async throws {
        let folder = try await TLSFolder()
        let sink = LogSink.memory()
        let metrics = MetricsRegistry()
        let certificates = TLSCertificates(
            try folder.files(), logger: Logger(service: "test", level: .info, sink: sink), metrics: metrics)
        let before = certificates.current
        let left = Double(before.expiry) - Date().timeIntervalSince1970
        #expect(abs(left / 86_400 - 90) < 0.1)
        let text = String(decoding: metrics.render(), as: UTF8.self)
        #expect(text.contains("tls_certificate_expiry_seconds "))
        for (text, reason) in [("", "holds no certificate"), ("nonsense", "holds no certificate")] {
            try text.write(toFile: folder.certificate, atomically: true, encoding: .utf8)
            certificates.reloadIfChanged()
            #expect(sink.takeText().contains(reason))
        }
        try FileManager.default.removeItem(atPath: folder.certificate)
        certificates.reloadIfChanged()
        let line = sink.takeText()
        #expect(line.contains("No such file") && line.contains(#""level":"error""#), "\(line)")
        #expect(certificates.current === before)
    }

    @Test("As a service it looks by itself, and ends when asked to")
    func service() async throws {
        let folder = try await TLSFolder()
        let certificates = TLSCertificates(
            try folder.files(), interval: .milliseconds(5), logger: .silent, metrics: MetricsRegistry())
        let before = certificates.current
        let shutdown = ShutdownSignal()
        async let running: Void = certificates.run(until: shutdown)
        try await folder.make("new", "new-key")
        try folder.rename("new", to: "certificate")
        try folder.rename("new-key", to: "key")
        let deadline = ContinuousClock.now + .seconds(30)
        while certificates.current === before, .now < deadline { await Task.yield() }
        #expect(certificates.current !== before)
        shutdown.request()
        try await running
    }
}
