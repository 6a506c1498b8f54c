import EventLoop
import HTTP
import HTTPServer
import Observability
import Testing

@Suite struct PlacementTests {
    /// Each connection is handled on one loop throughout, and the loops have as many each.
    @Test func connectionsAreSpreadAndStay() async throws {
        let route = route(.get, "/where") { request in
            let name = EventLoop.current?.name ?? "none"
            await Task.yield()
            guard EventLoop.current?.name == name else { return .text(.ok, "moved") }
            return .text(.ok, name)
        }
        try await TestServer.run([route], loops: 3) { server in
            var places: [String: Int] = [:]
            let clients = try (0..<30).map { _ in try server.connect() }
            for client in clients {
                var seen: Set<String> = []
                for _ in 0..<5 {
                    try await client.send("GET /where HTTP/1.1\r\nHost: a\r\n\r\n")
                    seen.insert(try await client.answer().body)
                }
                #expect(seen.count == 1)
                places[seen.first ?? "", default: 0] += 1
            }
            #expect(places == ["http-test-0": 10, "http-test-1": 10, "http-test-2": 10])
            let open = "http_connections 30"
            #expect(String(decoding: server.metrics.render(), as: UTF8.self).contains(open))
            for client in clients { client.close() }
        }
    }

    /// A client whose requests are all there already never makes its task wait; others must be served meanwhile.
    @Test func aFloodDoesNotStarveItsNeighbours() async throws {
        let flood = Tally()
        let seen = Tally()
        let routes = [
            route(.get, "/flood") { _ in
                flood.add(1)
                return .noContent()
            },
            route(.get, "/other") { _ in
                seen.add(flood.value)
                return .noContent()
            },
        ]
        try await TestServer.run(routes) { server in
            let clients = try (0..<2).map { _ in try server.connect() }
            await server.settle()
            let request = "GET /flood HTTP/1.1\r\nHost: a\r\n\r\n"
            try await clients[0].send(String(repeating: request, count: 1000))
            try await clients[1].send("GET /other HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(try await clients[1].answer().status == 204)
            #expect(seen.value < 200, "the other request came after \(seen.value) of the flood")
            #expect(try await clients[0].answers(1000).count == 1000)
            for client in clients { client.close() }
        }
    }

    @Test func manyConnectionsAtOnce() async throws {
        try await TestServer.run([hello, echo], loops: 2) { server in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for index in 0..<200 {
                    group.addTask {
                        let client = try server.connect()
                        defer { client.close() }
                        for round in 0..<5 {
                            let body = "\(index)-\(round)"
                            try await client.send(
                                "POST /echo/a HTTP/1.1\r\nHost: a\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
                            #expect(try await client.answer().body == "a:\(body)")
                        }
                    }
                }
                try await group.waitForAll()
            }
        }
    }
}
