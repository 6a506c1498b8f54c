import HTTP
import HTTPServer
import JSON
import Observability
import Testing

private final class Somebody: RequestPrincipal {
    var logged: (workspace: String, key: String) { ("default", "7") }
}

private struct Recognising: Middleware {
    func admitAtOnce(_ request: inout Request) throws -> Bool {
        if request.head.contains("authorization") { request.context.principal = Somebody() }
        return true
    }

    nonisolated(nonsending) func admit(_ request: inout Request) async throws {}
}

@Suite struct AccessLogTests {
    private static let routes = [
        route(.post, "/v1/things/{name}") { request in
            .text(.ok, String(repeating: "x", count: try await request.body.collect(limit: 1 << 20).count))
        },
        route(.get, "/stream") { _ in
            .stream(.ok, "text/plain") { writer in
                for _ in 0..<3 { try await writer.write(Array("12345".utf8)) }
            }
        },
        route(.get, "/broken") { _ in throw Problem(.internalError, "secret-detail") },
    ]

    /// The lines of requests that were answered, in order, each parsed.
    private func lines(
        of requests: [String], trusting: TrustedProxies = .none
    ) async throws -> [JSONValue] {
        let sink = LogSink.memory(capacity: 4 << 20)
        let logger = Logger(service: "test", level: .debug, sink: sink)
        var edge = EdgePolicy()
        edge.trustedProxies = trusting
        try await TestServer.run(Self.routes, middleware: [Recognising()], logger: logger, edge: edge) { server in
            for request in requests {
                let client = try server.connect()
                try await client.send(request)
                _ = try await client.receiveAll()
                client.close()
            }
        }
        let text = sink.takeText()
        let parsed = try text.split(separator: "\n", omittingEmptySubsequences: false).dropLast().map {
            try JSONValue.parse(Array($0.utf8))
        }
        return parsed.filter { $0["message"] == "request.answered" }
    }

    @Test func aLineSaysWhoAskedForWhatAndWhatCameOfIt() async throws {
        let body = "hello"
        let lines = try await lines(of: [
            """
            POST /v1/things/a?token=query-secret HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Request-Id: r-1\r
            Authorization: Bearer mr_key-secret\r
            traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00\r
            Content-Length: \(body.utf8.count)\r\n\r\n\(body)
            """
        ])
        let line = try #require(lines.first?.object)
        #expect(
            line.keys == [
                "ts", "level", "service", "message", "request.id", "trace.id", "http.method", "http.path", "http.route",
                "http.status", "http.seconds", "http.received", "http.sent", "client.address", "workspace", "key.id",
            ])
        #expect(line["request.id"] == "r-1" && line["trace.id"] == "0af7651916cd43dd8448eb211c80319c")
        #expect(line["http.path"] == "/v1/things/a" && line["http.route"] == "/v1/things/{name}")
        #expect(line["http.received"] == 5 && line["http.sent"] == 5 && line["http.status"] == 200)
        #expect(line["workspace"] == "default" && line["key.id"] == "7")
        let text = JSONValue.object(line).serialized()
        #expect(!String(decoding: text, as: UTF8.self).contains("secret"))
    }

    @Test func streamsAndFaultsAndStrangersHaveTheirLines() async throws {
        let lines = try await lines(of: [
            "GET /stream HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            "GET /broken HTTP/1.1\r\nHost: a\r\nAuthorization: x\r\nConnection: close\r\n\r\n",
            "GET /nothing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            "HEAD /stream HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        ])
        #expect(lines.map { $0["http.status"]?.int } == [200, 500, 404, 200])
        #expect(lines[0]["http.sent"] == 15 && lines[0]["key.id"] == nil)
        #expect(lines[1]["level"] == "warning" && lines[1]["key.id"] == "7")
        #expect(lines[2]["http.route"] == "unmatched" && lines[2]["http.path"] == "/nothing")
        #expect(lines[3]["http.sent"] == 0)
        #expect(!lines.contains { String(decoding: $0.serialized(), as: UTF8.self).contains("secret-detail") })
    }

    /// Whatever a client sends, its request is one line, and says nothing in another field than its own.
    @Test func nothingThatAClientSendsBecomesALineOrAField() async throws {
        let forged = #"","http.status":999,"x":""#
        let hostile = [
            "GET /a%0a%7B%22message%22%3A%22forged%22%7D HTTP/1.1\r\nHost: a",
            "GET /a\(forged) HTTP/1.1\r\nHost: a",
            "GET /a\u{1b}[31m HTTP/1.1\r\nHost: a",
            "GET /é\u{2028} HTTP/1.1\r\nHost: a",
            "GET /ok HTTP/1.1\r\nHost: a\r\nX-Request-Id: \(forged)",
            "GET /ok HTTP/1.1\r\nHost: a\r\nX-Request-Id: a\\u000a",
            "GET /ok HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.2.3.4\(forged)",
            "GET /ok HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: \(forged)",
            "GET /ok HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: [::1\(forged)]",
            "GET /ok HTTP/1.1\r\nHost: a\r\ntraceparent: 00-\(forged)",
            "GET /ok HTTP/1.1\r\nHost: a\r\nUser-Agent: \(forged)",
            "G|~`^!#$%&'*+-. /ok HTTP/1.1\r\nHost: a",
            "GET /\(String(repeating: "a\\", count: 3000)) HTTP/1.1\r\nHost: a",
        ].map { $0 + "\r\nConnection: close\r\n\r\n" }
        let lines = try await lines(of: hostile, trusting: .loopback)
        #expect(!lines.isEmpty && lines.count <= hostile.count)
        let known: Set = [
            "ts", "level", "service", "message", "request.id", "trace.id", "http.method", "http.path", "http.route",
            "http.status", "http.seconds", "http.received", "http.sent", "client.address",
        ]
        for line in lines {
            #expect(Set(line.object?.keys ?? []) == known && line["http.status"] != 999, "\(line)")
            #expect(line.object?.members.count == known.count, "no name twice")
            #expect(["127.0.0.1", "1.2.3.4"].contains(line["client.address"]?.string), "\(line)")
        }
    }
}
