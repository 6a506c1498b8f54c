import EventLoop
import HTTP
import HTTPServer
import Lifecycle
import Testing

@Suite struct EventStreamTests {
    /// The body of a chunked answer as far as it has come, and whether it has ended.
    private static func body(_ octets: [UInt8]) -> (text: String, isComplete: Bool) {
        let text = String(decoding: octets, as: UTF8.self)
        let parts = text.split(separator: "\r\n\r\n", maxSplits: 1, omittingEmptySubsequences: false)
        let chunks = parts.count > 1 ? parts[1] : ""
        var lines = chunks.split(separator: "\r\n", omittingEmptySubsequences: false)[...]
        var body = ""
        while let size = lines.popFirst(), let data = lines.popFirst() {
            if size == "0" { return (body, true) }
            body += data
        }
        return (body, false)
    }

    /// Reads on until the body holds `text`.
    private func read(_ client: TestClient, _ octets: inout [UInt8], until text: String) async throws -> String {
        while !Self.body(octets).text.contains(text) {
            let piece = try await client.receive()
            if piece.isEmpty { throw TestClient.Gone() }
            octets += piece
        }
        return Self.body(octets).text
    }

    @Test func eventsGoOut() async throws {
        let route = route(.get, "/events") { request in
            let last = request.lastEventID
            return .events(request) { events in
                try await events.send(ServerSentEvent(id: "8", event: "row", data: "after \(last ?? "nothing")"))
                try await events.send(ServerSentEvent(data: "two\nlines", retry: .seconds(2)))
            }
        }
        try await TestServer.run([route]) { server in
            let client = try server.connect()
            defer { client.close() }
            for (field, last) in [("", "nothing"), ("Last-Event-ID: 7\r\n", "7"), ("Last-Event-ID:\r\n", "nothing")] {
                try await client.send("GET /events HTTP/1.1\r\nHost: a\r\n\(field)\r\n")
                let answer = try await client.answer()
                #expect(answer.fields["content-type"] == "text/event-stream")
                #expect(answer.fields["cache-control"] == "no-store")
                #expect(
                    answer.body == ":\n\nid: 8\nevent: row\ndata: after \(last)\n\n"
                        + "retry: 2000\ndata: two\ndata: lines\n\n")
            }
        }
    }

    @Test func theHeadGoesOutAtOnceAndCommentsKeepItAlive() async throws {
        let gate = Gate()
        let route = route(.get, "/events") { request in
            .events(request, keepAlive: .milliseconds(20)) { events in
                await gate.passed()
                try await events.send(ServerSentEvent(data: "at last"))
            }
        }
        try await TestServer.run([route]) { server in
            let client = try server.connect()
            defer { client.close() }
            try await client.send("GET /events HTTP/1.1\r\nHost: a\r\n\r\n")
            var octets: [UInt8] = []
            #expect(try await read(client, &octets, until: ":\n\n:\n\n:\n\n").hasPrefix(":\n\n"))
            gate.open()
            #expect(try await read(client, &octets, until: "data: at last\n\n").hasSuffix("data: at last\n\n"))
        }
    }

    @Test func eventsOfSeveralTasksStayWhole() async throws {
        let route = route(.get, "/events") { request in
            .events(request) { events in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for task in 0..<6 {
                        group.addTask {
                            for number in 0..<100 {
                                let data = String(repeating: "\(task)-\(number)\n", count: 200)
                                try await events.send(ServerSentEvent(data: data))
                            }
                        }
                    }
                    try await group.waitForAll()
                }
            }
        }
        try await TestServer.run([route]) { server in
            let client = try server.connect()
            defer { client.close() }
            try await client.send("GET /events HTTP/1.1\r\nHost: a\r\n\r\n")
            let events = try await client.answer().body.split(separator: "\n\n").dropFirst()
            #expect(events.count == 600)
            #expect(events.allSatisfy { Set($0.split(separator: "\n").dropLast()).count == 1 })
        }
    }

    @Test func aClientThatGoesEndsTheProducer() async throws {
        let ended = Gate()
        let begun = Gate()
        let route = route(.get, "/events") { request in
            .events(request) { _ in
                defer { ended.open() }
                begun.open()
                try await Task.sleep(for: .seconds(3600))
            }
        }
        try await TestServer.run([route]) { server in
            let client = try server.connect()
            try await client.send("GET /events HTTP/1.1\r\nHost: a\r\n\r\n")
            await begun.passed()
            client.close()
            await ended.passed()
        }
    }

    /// A stream has no end of its own: the server's drain ends it, in order, and the client comes back elsewhere.
    @Test func drainingEndsTheStream() async throws {
        let route = route(.get, "/events") { request in
            .events(request) { _ in try await Task.sleep(for: .seconds(3600)) }
        }
        try await TestServer.run([route]) { server in
            let client = try server.connect()
            defer { client.close() }
            try await client.send("GET /events HTTP/1.1\r\nHost: a\r\n\r\n")
            let head = try await client.receive()
            server.shutdown.request()
            let (text, isComplete) = Self.body(head + (try await client.receiveAll()))
            #expect(text == ":\n\n" && isComplete)
        }
    }

    @Test func aSlowReaderHoldsUpTheProducer() async throws {
        let sent = Tally()
        let route = route(.get, "/events") { request in
            .events(request) { events in
                let event = ServerSentEvent(data: String(repeating: "x", count: 1 << 16))
                while true {
                    try await events.send(event)
                    sent.add(1)
                }
            }
        }
        try await TestServer.run([route]) { server in
            let client = try server.connect()
            defer { client.close() }
            try await client.send("GET /events HTTP/1.1\r\nHost: a\r\n\r\n")
            var last = -1
            while sent.value != last {
                last = sent.value
                for _ in 0..<20 { await server.settle() }
            }
            #expect(last < 500, "the producer was not held up")
        }
    }
}
