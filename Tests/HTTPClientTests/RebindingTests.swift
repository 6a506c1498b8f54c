import EventLoop
import HTTP
import HTTPServer
import Testing

@testable import HTTPClient

/// A name server that says now this, now that. Servers listen at 127.0.0.2, which is open, and at 127.0.0.1, which is
/// not and must never be asked; names go through glibc's resolver and over UDP.
@Suite("HTTP client: rebinding")
struct RebindingTests {
    private static let (open, shut) = ("127.0.0.2", "127.0.0.1")

    private static let outside = route(.get, "/") { _ in .text(.ok, "outside") }

    /// `keeping`: connections can be used again; else each request has to open one.
    private func run(
        _ zone: @escaping NameServer.Zone, lifetime: Duration = .zero, keeping: Bool = false,
        routes: [Route] = [outside],
        _ body: @Sendable (Bench, NameServer) async throws -> Void
    ) async throws {
        var limits = HTTPLimits()
        if !keeping { limits.requestsPerConnection = 1 }
        try await NameServer.run(zone) { [limits] server in
            try await Bench.run(
                routes, at: [Self.open], trap: Self.shut, limits: limits,
                settings: {
                    $0.addresses = AddressPolicy(opening: [Self.open].compactMap { AddressRange($0) })
                    $0.nameLifetime = lifetime
                }, resolver: ServedNames(server: server)
            ) { bench in
                try await body(bench, server)
                #expect(bench.trapped.value == 0)
            }
        }
    }

    private func ask(_ bench: Bench, _ host: String) async -> HTTPClientError.Code? {
        await reason {
            let response = try await bench.get("/", host: host)
            #expect(response.text == "outside")
        }
    }

    @Test("A name that alternates is connected to when its address is open, and refused when it is not")
    func alternating() async throws {
        try await run({ _, index in [index % 2 == 0 ? Self.open : Self.shut] }) { bench, server in
            for index in 0..<20 {
                let code = await ask(bench, "rebind.test")
                #expect(code == (index % 2 == 0 ? nil : .addressRefused))
            }
            // One question a connection: there is no second answer between the check and the connection.
            #expect(server.count("rebind.test") == 20)
            #expect(bench.metric("connections_opened_total") == 10)
        }
    }

    @Test("A name with both addresses at once is connected to at the open one only")
    func both() async throws {
        try await run({ _, index in index % 2 == 0 ? [Self.shut, Self.open] : [Self.open, Self.shut] }) { bench, _ in
            for _ in 0..<4 {
                let code = await ask(bench, "both.test")
                #expect(code == nil)
            }
        }
    }

    @Test("A name that changes while its connection is kept does not change the connection")
    func reused() async throws {
        try await run({ _, index in [index == 0 ? Self.open : Self.shut] }, keeping: true) { bench, server in
            for _ in 0..<5 {
                let code = await ask(bench, "kept.test")
                #expect(code == nil)
            }
            #expect(server.count("kept.test") == 5)
            #expect(bench.metric("connections_opened_total") == 1)
        }
    }

    @Test("A redirect to a name that is forbidden by then is refused")
    func redirected() async throws {
        let redirect = route(.get, "/") { request in
            Response(.init(302), headers: ["location": "http://\(request.head["host"] ?? "")/"])
        }
        try await run({ _, index in [index == 0 ? Self.open : Self.shut] }, routes: [redirect]) { bench, server in
            let request = ClientRequest(.get, bench.url("/", host: "later.test"), redirects: .follow(max: 5))
            let code = await reason { _ = try await bench.client.collect(request) }
            #expect(code == .addressRefused && server.count("later.test") == 2)
        }
    }

    @Test("An answer is remembered for its time only, and never if it is none")
    func remembered() async throws {
        try await run(
            { name, index in name == "late.test" && index == 0 ? [] : [Self.open] }, lifetime: .seconds(60)
        ) { bench, server in
            for _ in 0..<3 {
                let code = await ask(bench, "once.test")
                #expect(code == nil)
            }
            #expect(server.count("once.test") == 1)
            let first = await ask(bench, "late.test")
            let second = await ask(bench, "late.test")
            #expect(first == .resolveFailed && second == nil)
        }
    }

    /// Were a name to reach libcurl unresolved, it would be refused there instead of being looked up by another way.
    @Test("libcurl itself resolves no names")
    func neverByLibcurl() async throws {
        try await run({ _, _ in [Self.open] }) { bench, _ in
            let code = await reason {
                try await bench.loop.run {
                    let engine = try TransferEngine(
                        on: bench.loop, idleConnections: 1, metrics: HTTPClientMetrics(bench.metrics))
                    defer { engine.close() }
                    let request = ClientRequest(.get, bench.url("/", host: "localhost"))
                    let setup = TransferSetup(
                        request, to: try RequestURL(request.url), at: [], settings: .loopback,
                        connect: LoopInterval(.seconds(5)), whole: LoopInterval(.seconds(5)))
                    let transfer = try Transfer(request, setup, on: engine)
                    engine.start(transfer)
                    engine.drain()
                    await engine.run()
                    _ = try await transfer.head()
                }
            }
            #expect(code == .resolveFailed)
        }
    }
}
