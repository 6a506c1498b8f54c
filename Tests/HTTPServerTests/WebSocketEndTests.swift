import EventLoop
import HTTP
import HTTPServer
import Lifecycle
import Synchronization
import TestSupport
import Testing

/// How WebSockets end.
@Suite struct WebSocketEndTests {
    private typealias Client = WebSocketClient

    private struct Broken: Error {}

    /// The error that a handler ended with.
    private final class Outcome: Sendable {
        private let state = Mutex<WebSocketEnd?>(nil)
        let isKnown = Gate()

        func note(_ end: WebSocketEnd?) {
            state.withLock { $0 = end }
            isKnown.open()
        }

        var end: WebSocketEnd? {
            get async {
                await isKnown.passed()
                return state.withLock { $0 }
            }
        }

        var handler: WebSocket.Handler {
            { socket in
                do throws(WebSocketEnd) {
                    while try await socket.receive() != nil {}
                    self.note(nil)
                } catch {
                    self.note(error)
                }
            }
        }
    }

    @Test func theHandlersEndIsNormal() async throws {
        let route = webSocket { try await $0.send(.text("that is all")) }
        try await TestServer.run([route]) { server in
            let socket = try await server.openWebSocket()
            defer { socket.client.close() }
            #expect(try await socket.next() == .text("that is all"))
            #expect(try await socket.next().closeCode == 1000)
            // What comes before the client's own close frame is passed over.
            try await socket.send(Client.text("late"), Client.frame(9, []), Client.close(1000))
            #expect(try await socket.isAtEnd())
        }
    }

    @Test func problemsAreTheLastMessage() async throws {
        let cases: [(ProblemCode, Int)] = [
            (.malformedBody, 1007), (.invalidRequest, 1007), (.payloadTooLarge, 1009), (.conflict, 1008),
            (.forbidden, 1008), (.lagging, 1013), (.overloaded, 1013), (.internalError, 1011), (.queryTimeout, 1011),
            (.shuttingDown, 1001),
        ]
        for (code, expected) in cases {
            let route = webSocket { _ in throw Problem(code, "so it is", retryAfter: .seconds(3)) }
            try await TestServer.run([route]) { server in
                let socket = try await server.openWebSocket()
                defer { socket.client.close() }
                let last = try await socket.next().text
                #expect(last.contains(#""code":"\#(code.name)""#) && last.contains(#""retry_after":3"#))
                let close = try await socket.next()
                #expect(close.closeCode == expected, "\(code.name)")
                #expect(String(decoding: close.payload.dropFirst(2), as: UTF8.self) == code.name)
                try await socket.send(Client.close(expected))
                #expect(try await socket.isAtEnd())
            }
        }
    }

    @Test func otherErrorsAreNotTold() async throws {
        try await TestServer.run([webSocket { _ in throw Broken() }]) { server in
            let socket = try await server.openWebSocket()
            defer { socket.client.close() }
            let last = try await socket.next().text
            #expect(last.contains(#""code":"internal""#) && !last.contains("Broken"))
            #expect(try await socket.next().closeCode == 1011)
        }
    }

    @Test func faultsHaveTheirCodes() async throws {
        let cases: [([UInt8], Int)] = [
            ([0x81, 0x01, 0x61], 1002), (Client.frame(3, []), 1002), (Client.frame(0, []), 1002),
            (Client.frame(1, [0xC3, 0x28]), 1007), (Client.frame(2, [UInt8](repeating: 0, count: 2000)), 1009),
            (Client.close(1005), 1002),
        ]
        for (octets, code) in cases {
            let outcome = Outcome()
            let route = webSocket({ $0.limits.message = 1000 }, outcome.handler)
            try await TestServer.run([route]) { server in
                let socket = try await server.openWebSocket()
                defer { socket.client.close() }
                try await socket.send(octets)
                #expect(try await socket.next().closeCode == code)
                #expect(try await socket.isAtEnd())
                guard case .fault(let fault)? = await outcome.end else {
                    Issue.record("no fault")
                    return
                }
                #expect(Int(fault.code.rawValue) == code)
            }
        }
    }

    @Test func aClientThatGoesIsNoticed() async throws {
        let outcome = Outcome()
        try await TestServer.run([webSocket(outcome.handler)]) { server in
            let socket = try await server.openWebSocket()
            try await socket.send(Client.text("half a").dropLast(3) + [])
            socket.client.close()
            #expect(await outcome.end == .gone)
        }
    }

    @Test func drainingClosesWith1001() async throws {
        let outcome = Outcome()
        try await TestServer.run([webSocket(outcome.handler)]) { server in
            let socket = try await server.openWebSocket()
            defer { socket.client.close() }
            server.shutdown.request()
            #expect(try await socket.next().closeCode == 1001)
            try await socket.send(Client.close(1001))
            #expect(try await socket.isAtEnd())
            #expect(await outcome.end == nil)
        }
    }

    /// What a handler still has to say when the server drains goes out before the close frame.
    @Test func drainingLetsTheHandlerFinish() async throws {
        let gate = Gate()
        let route = webSocket { socket in
            while try await socket.receive() != nil {}
            await gate.passed()
            try await socket.send(.text("the last"))
        }
        try await TestServer.run([route]) { server in
            let socket = try await server.openWebSocket()
            defer { socket.client.close() }
            server.shutdown.request()
            await server.settle()
            gate.open()
            #expect(try await socket.next() == .text("the last"))
            #expect(try await socket.next().closeCode == 1001)
        }
    }

    @Test func theDrainsDeadlineCancels() async throws {
        let begun = Gate()
        let route = webSocket { _ in
            begun.open()
            try await Task.sleep(for: .seconds(3600))
        }
        try await TestServer.run([route], limits: { $0.drain = .milliseconds(50) }) { server in
            let socket = try await server.openWebSocket()
            defer { socket.client.close() }
            await begun.passed()
            server.shutdown.request()
            #expect(try await socket.next().text.contains("shutting_down"))
            #expect(try await socket.next().closeCode == 1001)
            #expect(try await socket.isAtEnd())
        }
    }

    @Test func aSilentClientIsAskedAndGivenUp() async throws {
        let outcome = Outcome()
        let route = webSocket(
            {
                $0.pingInterval = .milliseconds(30) * Sanitizer.slowdown
                $0.idleTimeout = .milliseconds(200) * Sanitizer.slowdown
                $0.closeTimeout = .milliseconds(50) * Sanitizer.slowdown
            }, outcome.handler)
        try await TestServer.run([route]) { server in
            let socket = try await server.openWebSocket()
            defer { socket.client.close() }
            // As long as it answers pings it may be silent otherwise.
            for _ in 0..<12 {
                #expect(try await socket.next().opcode == 9)
                try await socket.send(Client.frame(10, []))
            }
            #expect(try await socket.nextButPings().closeCode == 1008)
            #expect(await outcome.end == .timedOut)
            // It does not close either: the connection ends all the same.
            #expect(try await socket.isAtEnd())
        }
    }

    @Test func aMessageThatComesTooSlowlyEndsIt() async throws {
        let outcome = Outcome()
        try await TestServer.run([webSocket(outcome.handler)], limits: { $0.bodyTimeout = .milliseconds(50) }) {
            server in
            let socket = try await server.openWebSocket()
            defer { socket.client.close() }
            try await socket.send(Client.frame(1, [0x61], final: false))
            #expect(try await socket.next().closeCode == 1008)
            #expect(await outcome.end == .timedOut)
        }
    }

    @Test func aClientThatDoesNotCloseIsCutOff() async throws {
        let route = webSocket({ $0.closeTimeout = .milliseconds(50) }) { _ in }
        try await TestServer.run([route]) { server in
            let socket = try await server.openWebSocket()
            defer { socket.client.close() }
            #expect(try await socket.next().closeCode == 1000)
            #expect(try await socket.isAtEnd())
        }
    }
}
