import EventLoop
import HTTP
import HTTPServer
import Testing

@Suite struct StreamTests {
    private struct Failed: Error {}

    @Test func aStreamIsChunkedAndKeepsTheConnection() async throws {
        let route = route(.get, "/stream") { _ in
            .stream(.ok, "text/plain") { writer in
                try await writer.write("one ")
                try await writer.write("")
                await Task.yield()
                try await writer.write("two")
            }
        }
        try await TestServer.run([route]) { server in
            let client = try server.connect()
            defer { client.close() }
            for _ in 0..<3 {
                try await client.send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
                let answer = try await client.answer()
                #expect(answer.body == "one two" && answer.fields["transfer-encoding"] == "chunked")
            }
            try await client.send("GET /stream HTTP/1.0\r\n\r\n")
            let old = String(decoding: try await client.receiveAll(), as: UTF8.self)
            #expect(old.hasSuffix("\r\n\r\none two") && !old.contains("chunked"))
        }
    }

    @Test func aStreamMayBeWrittenOffTheLoop() async throws {
        let piece = String(repeating: "x", count: 40_000)
        let route = route(.get, "/stream") { _ in
            .stream(.ok, "text/plain") { writer in
                try await withTaskExecutorPreference(globalConcurrentExecutor) {
                    for _ in 0..<50 { try await writer.write(piece) }
                }
            }
        }
        try await TestServer.run([route]) { server in
            let client = try server.connect()
            defer { client.close() }
            try await client.send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(try await client.answer().body.utf8.count == 2_000_000)
        }
    }

    @Test func aStreamThatFailsIsLeftUnterminated() async throws {
        let route = route(.get, "/stream") { _ in
            .stream(.ok, "text/plain") { writer in
                try await writer.write("begun")
                throw Failed()
            }
        }
        try await TestServer.run([route]) { server in
            let client = try server.connect()
            defer { client.close() }
            try await client.send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
            let text = String(decoding: try await client.receiveAll(), as: UTF8.self)
            #expect(text.hasPrefix("HTTP/1.1 200 OK\r\n") && text.hasSuffix("\r\n\r\n5\r\nbegun\r\n"))
        }
    }

    @Test func aStreamThatFailsBeforeItWritesIsAProblem() async throws {
        let route = route(.get, "/stream") { _ in
            .stream(.ok, "text/plain") { _ in throw Problem(.overloaded, "not now") }
        }
        try await TestServer.run([route]) { server in
            let client = try server.connect()
            defer { client.close() }
            for _ in 0..<2 {
                try await client.send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
                let answer = try await client.answer()
                #expect(answer.status == 503 && answer.body.contains("overloaded"))
            }
        }
    }

    @Test func anAnnouncedLengthIsKept() async throws {
        let route = route(.get, "/stream/{count}") { request in
            let count = Int(request.parameter("count")) ?? 0
            return .stream(.ok, "text/plain", headers: ["content-length": "4"]) { writer in
                for _ in 0..<count { try await writer.write("ab") }
            }
        }
        try await TestServer.run([route]) { server in
            let client = try server.connect()
            defer { client.close() }
            try await client.send("GET /stream/2 HTTP/1.1\r\nHost: a\r\n\r\n")
            let exact = try await client.answer()
            #expect(exact.body == "abab" && exact.fields["transfer-encoding"] == nil)
            try await client.send("GET /stream/1 HTTP/1.1\r\nHost: a\r\n\r\n")
            let short = String(decoding: try await client.receiveAll(), as: UTF8.self)
            #expect(short.contains("content-length: 4") && short.hasSuffix("\r\n\r\nab"))
        }
    }

    /// A writer waits while its client does not read: what is on its way is bounded by the kernel's buffers.
    @Test func aSlowReaderHoldsUpTheWriter() async throws {
        let written = Tally()
        let piece = [UInt8](repeating: 0x61, count: 1 << 18)
        let route = route(.get, "/stream") { _ in
            .stream(.ok, "text/plain") { writer in
                for _ in 0..<256 {
                    try await writer.write(piece)
                    written.add(piece.count)
                }
            }
        }
        try await TestServer.run([route]) { server in
            let client = try server.connect()
            defer { client.close() }
            try await client.send("GET /stream HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            var last = -1
            while written.value != last {
                last = written.value
                for _ in 0..<20 { await server.settle() }
            }
            #expect(last < 32 << 20, "the writer was not held up")
            var octets = 0
            while case let piece = try await client.receive(), !piece.isEmpty { octets += piece.count }
            #expect(octets > 64 << 20 && octets < 65 << 20)
        }
    }

    @Test func aReaderThatStopsEndsTheStream() async throws {
        let ended = Gate()
        let piece = [UInt8](repeating: 0x61, count: 1 << 18)
        let route = route(.get, "/stream") { _ in
            .stream(.ok, "text/plain") { writer in
                defer { ended.open() }
                while true { try await writer.write(piece) }
            }
        }
        try await TestServer.run([route], limits: { $0.writeTimeout = .milliseconds(50) }) { server in
            let client = try server.connect()
            defer { client.close() }
            try await client.send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
            await ended.passed()
        }
    }

    @Test func aLargeAnswerArrivesWhole() async throws {
        let body = (0..<3_000_000).map { UInt8(0x30 + $0 % 10) }
        let route = route(.get, "/large") { _ in .bytes(.ok, "text/plain", body) }
        try await TestServer.run([route]) { server in
            let client = try server.connect()
            defer { client.close() }
            for _ in 0..<2 {
                try await client.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
                #expect(Array(try await client.answer().body.utf8) == body)
            }
        }
    }
}
