import HTTP
import HTTPServer
import Testing

@testable import HTTPClient

@Suite("HTTP client: TLS")
struct TLSTests {
    private let names = FixedNames(["tls.test": ["127.0.0.1"], "other.test": ["127.0.0.1"]])

    private func get(_ server: TLSServer, trusting: Bool, host: String = "tls.test") async throws -> String {
        nonisolated(unsafe) var text = ""
        let certificate = trusting ? server.certificate : nil
        try await Bench.run(settings: { $0.certificateAuthorities = certificate }, resolver: names) { bench in
            for _ in 0..<2 {
                let request = ClientRequest(.get, "https://\(host):\(server.port)/")
                unsafe text = try await bench.client.collect(request).text
            }
            // Handshakes are kept, too.
            #expect(bench.metric("connections_opened_total") == 1)
        }
        return unsafe text
    }

    @Test("A server whose certificate is trusted is talked to; one whose is not, or is another's, is not")
    func verification() async throws {
        try await TLSServer.run { server in
            let text = try await get(server, trusting: true)
            #expect(text == "hello")
            let untrusted = await reason { _ = try await get(server, trusting: false) }
            let other = await reason { _ = try await get(server, trusting: true, host: "other.test") }
            let address = await reason { _ = try await get(server, trusting: true, host: "127.0.0.1") }
            #expect(untrusted == .tlsFailed && other == .tlsFailed && address == .tlsFailed)
        }
    }

    @Test("No TLS older than 1.2; 1.2 and 1.3")
    func versions() async throws {
        for (version, isTaken) in [("TLSv1_1", false), ("TLSv1_2", true), ("TLSv1_3", true)] {
            let options = """
                context.set_ciphers("DEFAULT:@SECLEVEL=0")
                context.minimum_version = context.maximum_version = ssl.TLSVersion.\(version)
                """
            try await TLSServer.run(options) { server in
                let code = await reason { _ = try await get(server, trusting: true) }
                #expect(code == (isTaken ? nil : .tlsFailed), "\(version)")
            }
        }
    }

    @Test("A server that speaks no TLS, and a redirect to one")
    func plain() async throws {
        try await TLSServer.run { server in
            try await Bench.run(
                [hello], settings: { $0.certificateAuthorities = server.certificate }, resolver: names
            ) { bench in
                let plain = ClientRequest(.get, "https://127.0.0.1:\(bench.port)/hello")
                let code = await reason { _ = try await bench.client.collect(plain) }
                #expect(code == .tlsFailed)
                let down = ClientRequest(
                    .get, "https://tls.test:\(server.port)/?\(bench.url("/hello"))", redirects: .follow(max: 2))
                let redirect = await reason { _ = try await bench.client.collect(down) }
                #expect(redirect == .redirectRefused)
                let around = ClientRequest(
                    .get, "https://tls.test:\(server.port)/?https://tls.test:\(server.port)/",
                    redirects: .follow(max: 2))
                let text = try await bench.client.collect(around).text
                #expect(text == "hello")
            }
        }
    }
}
