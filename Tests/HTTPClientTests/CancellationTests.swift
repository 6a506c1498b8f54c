import EventLoop
import HTTP
import HTTPServer
import Lifecycle
import Observability
import Testing

@testable import HTTPClient

@Suite("HTTP client: cancellation")
struct CancellationTests {
    /// Cancels a request once `begun`; returns what it failed with, when its server has seen the connection end.
    private func cancelled(
        _ bench: Bench, _ request: ClientRequest, once begun: Gate
    ) async throws -> HTTPClientError.Code? {
        try await withThrowingTaskGroup(of: HTTPClientError.Code?.self) { group in
            group.addTask {
                await reason {
                    try await bench.client.withResponse(to: request) { response in
                        for try await _ in response.body { begun.open() }
                    }
                }
            }
            await begun.passed()
            group.cancelAll()
            return try await group.next() ?? nil
        }
    }

    @Test("While the answer is awaited the connection is closed at once")
    func awaitingHead() async throws {
        let (begun, ended) = (Gate(), Gate())
        try await RawServer.run({ peer in
            _ = try await peer.receiveHead()
            begun.open()
            try await peer.end()
            ended.open()
        }) { server in
            try await Bench.run { bench in
                let code = try await cancelled(bench, ClientRequest(.get, server.url), once: begun)
                #expect(code == .cancelled)
                await ended.passed()
                #expect(bench.metric("transfers") == 0)
            }
        }
    }

    @Test("While the body is read")
    func readingBody() async throws {
        let (begun, ended) = (Gate(), Gate())
        try await RawServer.run({ peer in
            _ = try await peer.receiveHead()
            try await peer.send("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nabc")
            try await peer.end()
            ended.open()
        }) { server in
            try await Bench.run { bench in
                let code = try await cancelled(bench, ClientRequest(.get, server.url), once: begun)
                #expect(code == .cancelled)
                await ended.passed()
            }
        }
    }

    @Test("While the request's body is written")
    func writingBody() async throws {
        let (begun, ended, stopped) = (Gate(), Gate(), Gate())
        try await RawServer.run({ peer in
            _ = try await peer.receiveHead()
            begun.open()
            try await peer.end()
            ended.open()
        }) { server in
            try await Bench.run { bench in
                let body = ClientRequest.Body.stream(length: nil) { writer in
                    defer { stopped.open() }
                    while true { try await writer.write([UInt8](repeating: 0, count: 10_000)) }
                }
                let request = ClientRequest(.post, server.url, body: body)
                let code = try await cancelled(bench, request, once: begun)
                #expect(code == .cancelled)
                await stopped.passed()
                await ended.passed()
            }
        }
    }

    @Test("While a name is resolved, and while a place is awaited")
    func beforeTheConnection() async throws {
        let names = HeldNames()
        try await Bench.run(settings: { $0.transfers = 1 }, resolver: names) { bench in
            // On the client's loop, so that both are cancelled before either goes on.
            try await bench.loop.run {
                try await withThrowingTaskGroup(of: HTTPClientError.Code?.self) { group in
                    for host in ["a.test", "b.test"] {
                        group.addTask { await reason { _ = try await bench.get("/", host: host) } }
                    }
                    await names.asked(1)
                    group.cancelAll()
                    for try await code in group { #expect(code == .cancelled) }
                }
            }
            #expect(names.names.count == 1)
        }
    }

    @Test("A task that is cancelled already makes no request")
    func already() async throws {
        let asked = Tally()
        let note = route(.get, "/note") { _ in
            asked.add()
            return .noContent()
        }
        try await Bench.run([note]) { bench in
            let result = await withTaskGroup(of: HTTPClientError.Code?.self) { group in
                group.cancelAll()
                group.addTask { await reason { _ = try await bench.get("/note") } }
                return await group.next() ?? nil
            }
            #expect(result == .cancelled)
        }
        #expect(asked.value == 0)
    }

    @Test("The connections of others are not touched, and the place is free again")
    func neighbours() async throws {
        let (begun, never) = (Gate(), Gate())
        let wait = route(.get, "/wait") { _ in
            begun.open()
            await never.passed()
            return .noContent()
        }
        try await Bench.run([wait, hello], settings: { $0.transfers = 2 }) { bench in
            _ = try await bench.get("/hello")
            let code = try await cancelled(bench, ClientRequest(.get, bench.url("/wait")), once: begun)
            #expect(code == .cancelled)
            never.open()
            for _ in 0..<5 {
                let response = try await bench.get("/hello")
                #expect(response.text == "hello")
            }
        }
    }

    @Test("A client that is asked to stop finishes what is under way")
    func stopping() async throws {
        let (begun, gate) = (Gate(), Gate())
        let wait = route(.get, "/wait") { _ in
            begun.open()
            await gate.passed()
            return .text(.ok, "done")
        }
        try await Bench.run([wait, hello]) { bench in
            try await withThrowingTaskGroup(of: String.self) { group in
                group.addTask { try await bench.get("/wait").text }
                await begun.passed()
                bench.shutdown.request()
                while await reason({ _ = try await bench.get("/hello") }) != .closed { await Task.yield() }
                gate.open()
                let text = try await group.next()
                #expect(text == "done")
            }
        }
    }

    @Test("A client whose task is cancelled cuts off what is under way")
    func cutOff() async throws {
        let (begun, never) = (Gate(), Gate())
        let wait = route(.get, "/wait") { _ in
            begun.open()
            await never.passed()
            return .noContent()
        }
        try await Bench.run([wait]) { bench in
            let other = HTTPClient(on: bench.loop, settings: .loopback, logger: .silent, metrics: bench.metrics)
            let url = bench.url("/wait")
            try await withThrowingTaskGroup(of: HTTPClientError.Code?.self) { group in
                group.addTask { await reason { _ = try await other.collect(ClientRequest(.get, url)) } }
                try await withThrowingTaskGroup(of: Void.self) { running in
                    running.addTask { try await other.run(until: ShutdownSignal()) }
                    await begun.passed()
                    running.cancelAll()
                    try await running.waitForAll()
                }
                let code = try await group.next()
                #expect(code == .closed)
            }
            never.open()
        }
    }
}
