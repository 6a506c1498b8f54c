import CLinux
import EventLoop
import HTTP
import HTTPServer
import Observability
import Synchronization
import TestSupport
import Testing

/// What the server's loops owe to all their connections: requests that stay where they are, heavy work elsewhere, turns
/// for everybody, and rest.
@Suite struct LoopQualityTests {
    /// Notes the thread of everything that a request's code does.
    private final class Threads: Middleware {
        private let noted = Mutex<Set<CInt>>([])
        var all: Set<CInt> { noted.withLock { $0 } }

        func note() { noted.withLock { _ = $0.insert(clinux_thread_id()) } }

        nonisolated(nonsending) func admit(_ request: inout Request) async throws {
            note()
            await Task.yield()
            note()
        }
    }

    /// From the socket through middleware, body and stream, and back to the socket: one thread, and no other one ever
    /// has to wake it, as it would if a task came back from elsewhere.
    @Test func aRequestStaysOnItsThread() async throws {
        let threads = Threads()
        let routes = [
            route(.post, "/whole") { request in
                threads.note()
                let body = try await request.body.collect(limit: 1 << 20)
                threads.note()
                return .bytes(.ok, "application/octet-stream", body)
            },
            route(.get, "/stream") { _ in
                .stream(.ok, "text/plain") { writer in
                    for _ in 0..<3 {
                        threads.note()
                        try await writer.write("piece")
                    }
                    threads.note()
                }
            },
        ]
        try await TestServer.run(routes, middleware: [threads]) { server in
            let thread = clinux_thread_id()
            let client = try server.connect()
            defer { client.close() }
            let body = String(repeating: "x", count: 300_000)
            let head = "POST /whole HTTP/1.1\r\nHost: a\r\nContent-Length: \(body.utf8.count)\r\n\r\n"
            try await client.send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(try await client.answer().body == "piecepiecepiece")
            let before = server.loop.statistics.wakeups
            for _ in 0..<20 {
                async let sent: Void = client.send(head + body)
                #expect(try await client.answer().body.utf8.count == body.utf8.count)
                try await sent
                try await client.send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
                #expect(try await client.answer().body == "piecepiecepiece")
            }
            #expect(server.loop.statistics.wakeups == before)
            #expect(threads.all == [thread])
        }
    }

    /// While a large answer is compressed, the loop goes on: a task that only takes turns gets many of them.
    @Test(arguments: ["gzip", "zstd"])
    func largeAnswersAreCompressedOffTheLoop(_ coding: String) async throws {
        let block = (0..<65_536).map { UInt8(truncatingIfNeeded: $0 &* $0 >> 7) & 0x3F | 0x40 }
        // Piece by piece: element by element takes a minute where the thread sanitizer watches each.
        var octets: [UInt8] = []
        for _ in 0..<256 { octets += block }
        let body = octets
        let application = Fixture.application([route(.get, "/") { _ in .bytes(.ok, "text/plain", body) }])
        let request = try Fixture.request(.get, "/", headers: ["Accept-Encoding": coding])
        let loops = try EventLoopGroup(count: 1, name: "compress")
        defer { loops.shutdown() }
        let loop = loops.loops[0]
        await loop.run {
            let isDone = Gate()
            let turns = Tally()
            await withTaskGroup(of: Void.self) { group in
                group.addTask {
                    while !isDone.isOpen {
                        turns.add(1)
                        await Task.yield()
                    }
                }
                let response = await application.respond(to: request)
                isDone.open()
                #expect(response.headers["content-encoding"] == coding && loop.isCurrent)
            }
            #expect(turns.value > 200 / Sanitizer.slowdown, "the loop made \(turns.value) turns meanwhile")
        }
    }

    /// One that has its requests there always, without end, gets no more turns than one that asks now and then.
    @Test func aFloodWithoutEndLeavesTurnsToOthers() async throws {
        let flood = Tally()
        let isDone = Gate()
        let routes = [
            route(.get, "/flood") { _ in
                flood.add(1)
                return .noContent()
            },
            route(.get, "/other") { _ in .text(.ok, "\(flood.value)") },
        ]
        try await TestServer.run(routes) { server in
            let clients = try (0..<2).map { _ in try server.connect() }
            let requests = String(repeating: "GET /flood HTTP/1.1\r\nHost: a\r\n\r\n", count: 200)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    while !isDone.isOpen { try await clients[0].send(requests) }
                    clients[0].shutdownWrite()
                }
                group.addTask { while !(try await clients[0].receive().isEmpty) {} }
                while flood.value == 0 { await Task.yield() }
                var before = flood.value
                for _ in 0..<50 {
                    try await clients[1].send("GET /other HTTP/1.1\r\nHost: a\r\n\r\n")
                    let seen = try #require(Int(try await clients[1].answer().body))
                    #expect(seen - before < 1000, "\(seen - before) of the flood came first")
                    before = seen
                }
                isDone.open()
                try await group.waitForAll()
            }
            #expect(flood.value > 50)
            for client in clients { client.close() }
        }
    }

    /// Connections that wait for their clients cost nothing: a server's loops do not turn.
    @Test func idleConnectionsCostNoTurns() async throws {
        let loops = try EventLoopGroup(count: 1, name: "elsewhere")
        defer { loops.shutdown() }
        try await TestServer.run([hello], loops: 2) { server in
            let clients = try (0..<20).map { _ in try server.connect() }
            for client in clients {
                try await client.send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
                #expect(try await client.answer().body == "hello")
            }
            await server.settle()
            let before = server.loops.loops.map(\.statistics)
            try await loops.loops[0].run { try await EventLoop.current?.sleep(for: .milliseconds(500)) }
            for (loop, before) in zip(server.loops.loops, before) {
                let after = loop.statistics
                #expect(after.polls - before.polls <= 5, "\(loop.name) made \(after.polls - before.polls) turns")
            }
            for client in clients { client.close() }
        }
    }
}
