import EventLoop
import HTTP
import HTTPServer
import Testing

@Suite struct BodyTests {
    private static let megabyte = [UInt8](repeating: 0x61, count: 1 << 20)

    /// Nothing is read from the client before the handler asks: what is on its way is bounded by the kernel's buffers.
    @Test func anUploadIsHeldUpUntilItsHandlerReads() async throws {
        let gate = Gate()
        let total = 64 << 20
        let upload = route(.post, "/upload", bodyLimit: 1 << 30) { request in
            await gate.passed()
            var count = 0
            var largest = 0
            for try await piece in request.body {
                count += piece.count
                largest = max(largest, piece.count)
            }
            return .text(.ok, "\(count) \(largest <= 65_536)")
        }
        try await TestServer.run([upload]) { server in
            let client = try server.connect()
            defer { client.close() }
            try await client.send("POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: \(total)\r\n\r\n")
            var sent = 0
            // Until the kernel has refused for a while.
            var refusals = 0
            while sent < total, refusals < 50 {
                let count = try client.trySend(BodyTests.megabyte)
                sent += count
                refusals = count == 0 ? refusals + 1 : 0
                await server.settle()
            }
            #expect(sent < 32 << 20, "the server read ahead of its handler")
            gate.open()
            while sent < total {
                let piece = BodyTests.megabyte.prefix(total - sent)
                try await client.send(Array(piece))
                sent += piece.count
            }
            #expect(try await client.answer().body == "\(total) true")
        }
    }

    @Test func aBodyMayBeReadOffTheLoop() async throws {
        let route = route(.post, "/heavy") { request in
            try await withTaskExecutorPreference(globalConcurrentExecutor) {
                var count = 0
                for try await piece in request.body {
                    count += piece.count
                    #expect(EventLoop.current == nil)
                }
                return .text(.ok, "\(count)")
            }
        }
        try await TestServer.run([route]) { server in
            let client = try server.connect()
            defer { client.close() }
            try await client.send("POST /heavy HTTP/1.1\r\nHost: a\r\nContent-Length: \(1 << 20)\r\n\r\n")
            try await client.send(BodyTests.megabyte)
            #expect(try await client.answer().body == "\(1 << 20)")
        }
    }

    @Test func continueIsSentWhenTheBodyIsAskedFor() async throws {
        let gate = Gate()
        let route = route(.post, "/it") { request in
            await gate.passed()
            let body = try await request.body.collect(limit: 100)
            return .text(.ok, String(decoding: body, as: UTF8.self))
        }
        try await TestServer.run([route]) { server in
            let client = try server.connect()
            defer { client.close() }
            let head = "POST /it HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
            try await client.send(head)
            await server.settle()
            gate.open()
            let interim = try await client.answer()
            #expect(interim.status == 100)
            try await client.send("abc")
            #expect(try await client.answer().body == "abc")
            // A client that does not wait needs no 100.
            try await client.send(head + "def")
            #expect(try await client.answer().body == "def")
        }
    }

    @Test func aRefusedBodyIsNotAskedFor() async throws {
        try await TestServer.run([hello, echo], limits: { $0.body = 10 }) { server in
            for (target, length) in [("/nothing", 10), ("/echo/x", 11)] {
                let client = try server.connect()
                defer { client.close() }
                try await client.send(
                    "POST \(target) HTTP/1.1\r\nHost: a\r\nContent-Length: \(length)\r\nExpect: 100-continue\r\n\r\n")
                let answer = try #require(Answer.parse(try await client.receiveAll())?.answer)
                #expect(answer.status == (target == "/nothing" ? 404 : 413))
                #expect(answer.fields["connection"] == "close")
            }
        }
    }

    /// An answer that comes before the body is read: a short rest is thrown away, a long one ends the connection.
    @Test func anEarlyAnswerKeepsTheConnectionIfTheRestIsShort() async throws {
        let early = route(.post, "/early", bodyLimit: 1 << 30) { _ in .text(.ok, "no") }
        try await TestServer.run([early, hello]) { server in
            let client = try server.connect()
            defer { client.close() }
            try await client.send("POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n")
            #expect(try await client.answer().fields["connection"] == nil)
            try await client.send([UInt8](repeating: 0x62, count: 100_000))
            try await client.send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(try await client.answer().body == "hello")

            let other = try server.connect()
            defer { other.close() }
            try await other.send("POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n")
            try await other.send(BodyTests.megabyte)
            let answer = try #require(Answer.parse(try await other.receiveAll())?.answer)
            #expect(answer.body == "no" && answer.fields["connection"] == "close")
        }
    }

    @Test func aClientThatEndsInsideABodyIsIncomplete() async throws {
        let gate = Gate()
        let faults = Tally()
        let route = route(.post, "/it") { request in
            do {
                return .text(.ok, "\(try await request.body.collect(limit: 100).count)")
            } catch let problem as Problem where problem.code == .incompleteBody {
                faults.add(1)
                gate.open()
                throw problem
            }
        }
        try await TestServer.run([route]) { server in
            let client = try server.connect()
            defer { client.close() }
            try await client.send("POST /it HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
            client.shutdownWrite()
            let answer = try #require(Answer.parse(try await client.receiveAll())?.answer)
            #expect(answer.status == 400)
            await gate.passed()
            #expect(faults.value == 1)
        }
    }

    @Test func aHalfClosedClientIsAnswered() async throws {
        try await TestServer.run([hello, echo]) { server in
            let client = try server.connect()
            defer { client.close() }
            try await client.send(
                "POST /echo/a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nzGET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
            client.shutdownWrite()
            var octets = try await client.receiveAll()
            let (first, length) = try #require(Answer.parse(octets))
            octets.removeFirst(length)
            #expect(first.body == "a:z")
            #expect(Answer.parse(octets)?.answer.body == "hello")
        }
    }
}
