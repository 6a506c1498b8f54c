import EventLoop
import HTTP
import HTTPServer
import Testing

@Suite struct LimitTests {
    @Test func aSlowHeadIs408() async throws {
        try await TestServer.run([hello], limits: { $0.headTimeout = .milliseconds(60) }) { server in
            let client = try server.connect()
            defer { client.close() }
            let start = ContinuousClock.now
            try await client.send("GET /hello HTTP/1.1\r\nHo")
            let answer = try #require(Answer.parse(try await client.receiveAll())?.answer)
            #expect(answer.status == 408 && answer.fields["connection"] == "close")
            #expect(ContinuousClock.now - start >= .milliseconds(60))
        }
    }

    /// Each octet comes in time for an idle limit, but the head as a whole does not.
    @Test func aDrippingHeadIs408() async throws {
        try await TestServer.run([hello], limits: { $0.headTimeout = .milliseconds(60) }) { server in
            let client = try server.connect()
            defer { client.close() }
            var answer: [UInt8] = []
            await withTaskGroup(of: [UInt8]?.self) { group in
                group.addTask { try? await client.receiveAll() }
                group.addTask {
                    try? await client.send("GET /hello HTTP/1.1\r\nX: ")
                    while (try? client.trySend([0x61])) != nil, !Task.isCancelled {
                        try? await server.loop.sleep(for: .milliseconds(5))
                    }
                    return nil
                }
                for await octets in group {
                    if let octets { answer = octets }
                    group.cancelAll()
                }
            }
            #expect(Answer.parse(answer)?.answer.status == 408)
        }
    }

    @Test func anIdleConnectionIsClosed() async throws {
        try await TestServer.run([hello], limits: { $0.idleTimeout = .milliseconds(40) }) { server in
            let client = try server.connect()
            defer { client.close() }
            try await client.send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
            _ = try await client.answer()
            #expect(try await client.receiveAll().isEmpty)
        }
    }

    @Test func aConnectionThatNeverSpeaksIsClosed() async throws {
        try await TestServer.run([hello], limits: { $0.headTimeout = .milliseconds(40) }) { server in
            let client = try server.connect()
            defer { client.close() }
            #expect(try await client.receiveAll().isEmpty)
        }
    }

    @Test func aStalledBodyIs408() async throws {
        try await TestServer.run([echo], limits: { $0.bodyTimeout = .milliseconds(40) }) { server in
            let client = try server.connect()
            defer { client.close() }
            try await client.send("POST /echo/x HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
            let answer = try #require(Answer.parse(try await client.receiveAll())?.answer)
            #expect(answer.status == 408 && answer.body.contains("request_timeout"))
        }
    }

    /// Never idle for long, but far below the minimum rate.
    @Test func aDrippingBodyIs408() async throws {
        let limits: (inout HTTPLimits) -> Void = {
            $0.rateGrace = .milliseconds(50)
            $0.bodyRate = 100_000
        }
        try await TestServer.run([echo], limits: limits) { server in
            let answer = try await LimitTests.answerToDrips(server)
            #expect(answer?.status == 408)
        }
    }

    /// Never idle for long, and fast enough, but without an end.
    @Test func aBodyThatTakesTooLongInAllIs408() async throws {
        let limits: (inout HTTPLimits) -> Void = {
            $0.bodyRate = 1
            $0.requestTimeout = .milliseconds(60)
        }
        try await TestServer.run([echo], limits: limits) { server in
            let answer = try await LimitTests.answerToDrips(server)
            #expect(answer?.status == 408)
        }
    }

    /// Sends a body octet by octet until there is an answer.
    private static func answerToDrips(_ server: TestServer) async throws -> Answer? {
        let client = try server.connect()
        defer { client.close() }
        try await client.send("POST /echo/x HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
        return try await withThrowingTaskGroup(of: Answer?.self) { group in
            group.addTask { Answer.parse(try await client.receiveAll())?.answer }
            group.addTask {
                while (try? client.trySend([0x61])) != nil, !Task.isCancelled {
                    try? await server.loop.sleep(for: .milliseconds(5))
                }
                return nil
            }
            let first = try await group.next() ?? nil
            group.cancelAll()
            return first
        }
    }

    /// Something is taken all the time, but far below the minimum rate.
    @Test func aDrippingReaderEndsItsAnswer() async throws {
        let ended = Gate()
        let piece = [UInt8](repeating: 0x61, count: 1 << 20)
        let endless = route(.get, "/endless") { _ in
            .stream(.ok, "text/plain") { writer in
                defer { ended.open() }
                while true { try await writer.write(piece) }
            }
        }
        let limits: (inout HTTPLimits) -> Void = {
            $0.rateGrace = .milliseconds(50)
            $0.writeRate = 1 << 40
        }
        try await TestServer.run([endless], limits: limits) { server in
            let client = try server.connect()
            defer { client.close() }
            try await client.send("GET /endless HTTP/1.1\r\nHost: a\r\n\r\n")
            while !ended.isOpen, !(try await client.receive(limit: 4096)).isEmpty {
                try? await server.loop.sleep(for: .milliseconds(1))
            }
            await ended.passed()
        }
    }

    @Test func connectionsOfAClientOverItsLimitAre503() async throws {
        let limits: (inout HTTPLimits) -> Void = {
            $0.connectionsPerClient = 1
            $0.proxies = []
        }
        try await TestServer.run([hello], limits: limits) { server in
            let first = try server.connect()
            try await first.send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(try await first.answer().status == 200)
            let second = try server.connect()
            let refused = try #require(Answer.parse(try await second.receiveAll())?.answer)
            #expect(refused.status == 503 && refused.body.contains("the client has too many connections"))
            first.close()
            second.close()
            await server.settle()
            let third = try server.connect()
            defer { third.close() }
            try await third.send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(try await third.answer().status == 200)
        }
    }

    @Test func connectionsOverTheLimitAre503() async throws {
        try await TestServer.run([hello], limits: { $0.connections = 2 }) { server in
            let first = try server.connect()
            let second = try server.connect()
            for client in [first, second] {
                try await client.send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
                #expect(try await client.answer().status == 200)
            }
            let third = try server.connect()
            let refused = try #require(Answer.parse(try await third.receiveAll())?.answer)
            #expect(refused.status == 503 && refused.fields["retry-after"] != nil)
            third.close()
            second.close()
            await server.settle()
            let fourth = try server.connect()
            try await fourth.send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(try await fourth.answer().status == 200)
            first.close()
            fourth.close()
        }
    }

    @Test func aConnectionServesSoManyRequests() async throws {
        try await TestServer.run([hello], limits: { $0.requestsPerConnection = 2 }) { server in
            let client = try server.connect()
            defer { client.close() }
            try await client.send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(try await client.answer().fields["connection"] == nil)
            try await client.send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
            let last = try #require(Answer.parse(try await client.receiveAll())?.answer)
            #expect(last.fields["connection"] == "close")
        }
    }
}
