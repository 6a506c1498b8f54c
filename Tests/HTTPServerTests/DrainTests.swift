import EventLoop
import HTTP
import HTTPServer
import Lifecycle
import Observability
import Testing

@Suite struct DrainTests {
    @Test func whatIsUnderWayIsAnsweredAndIdleOnesEnd() async throws {
        let gate = Gate()
        let begun = Gate()
        let slow = route(.get, "/slow") { _ in
            begun.open()
            await gate.passed()
            return .text(.ok, "slow")
        }
        try await TestServer.run([slow, hello]) { server in
            let idle = try server.connect()
            try await idle.send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
            _ = try await idle.answer()
            let busy = try server.connect()
            try await busy.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
            await begun.passed()
            server.shutdown.request()
            #expect(try await idle.receiveAll().isEmpty)
            #expect(throws: TestClient.Gone.self) { try server.connect() }
            gate.open()
            let answer = try #require(Answer.parse(try await busy.receiveAll())?.answer)
            #expect(answer.body == "slow" && answer.fields["connection"] == "close")
            idle.close()
            busy.close()
        }
    }

    /// Connections that wait in the accept queue when the server is asked to stop were promised service.
    @Test func theAcceptQueueIsServed() async throws {
        let loops = try EventLoopGroup(count: 2, name: "drain")
        let server = HTTPServer(
            name: "test", port: 0, router: Router(routes: [hello]), loops: loops, logger: .silent,
            metrics: MetricsRegistry())
        let port = try server.bind()
        let shutdown = ShutdownSignal()
        let other = try EventLoopGroup(count: 1, name: "client")
        let answers = try await other.loops[0].run {
            // All are in the queue before the server runs, and the server is asked to stop before it runs.
            let clients = try (0..<40).map { _ in try TestClient(port: port, loop: other.loops[0]) }
            for client in clients { try await client.send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n") }
            shutdown.request()
            async let running: Void = server.run(until: shutdown)
            var answers: [Answer?] = []
            for client in clients {
                answers.append(Answer.parse(try await client.receiveAll())?.answer)
                client.close()
            }
            try await running
            return answers.map { $0?.status }
        }
        #expect(answers == [Int?](repeating: 200, count: 40))
        loops.shutdown()
        other.shutdown()
    }

    @Test func theDeadlineCancelsWhatDoesNotEnd() async throws {
        let begun = Gate()
        let hanging = route(.get, "/hang") { _ in
            begun.open()
            try await Task.sleep(for: .seconds(3600))
            return .text(.ok, "never")
        }
        try await TestServer.run([hanging], limits: { $0.drain = .milliseconds(50) }) { server in
            let client = try server.connect()
            defer { client.close() }
            try await client.send("GET /hang HTTP/1.1\r\nHost: a\r\n\r\n")
            await begun.passed()
            server.shutdown.request()
            let answer = Answer.parse(try await client.receiveAll())?.answer
            #expect(answer?.status == 503)
        }
    }

    @Test func theSamePortCannotBeBoundTwice() async throws {
        try await TestServer.run([hello]) { server in
            let second = HTTPServer(
                name: "second", port: server.port, router: Router(routes: []), loops: server.loops, logger: .silent,
                metrics: server.metrics)
            #expect(throws: HTTPServerError.bind(address: "127.0.0.1", port: server.port, errno: 98)) {
                try second.bind()
            }
        }
    }
}
