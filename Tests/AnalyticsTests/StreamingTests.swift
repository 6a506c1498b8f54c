import Foundation
import JSON
import TestSupport
import Testing

@testable import Analytics

extension QueryServiceTests {
    /// Long answers, slow readers, timeouts, and clients that leave.
    @Suite struct StreamingTests {
        private static let endless = "select count(*) from generate_series(1, 1000000000000)"

        @Test func aMillionRowsStreamInBoundedMemoryWithBoundParameters() async throws {
            try await QueryServer.run { server in
                let before = Self.residentBytes()
                let client = try QueryClient(port: server.port)
                let rows = 1_000_000 / Sanitizer.slowdown
                let body = #"{"sql": "select i, $2 as x from generate_series(1, $1) i", "params": [\#(rows), "#
                let value = #""it's ; drop table web"], "format": "ndjson", "timeout": "60s"}"#
                try await client.send(QueryServer.request(body + value))
                var lines = 0
                var bytes = 0
                var tail: [UInt8] = []
                while true {
                    let piece = try await client.receive(1 << 18)
                    if piece.isEmpty { break }
                    lines += piece.count { $0 == 10 }
                    bytes += piece.count
                    tail = Array((tail + piece.suffix(200)).suffix(200))
                }
                #expect(bytes > 40 * rows)
                // Each chunk has two lines of its own.
                #expect(lines > rows && lines < rows + rows / 50)
                let last = String(decoding: tail, as: UTF8.self)
                #expect(last.contains(#"{"i":\#(rows),"x":"it's ; drop table web"}"#), "\(last)")
                #expect(last.hasSuffix("0\r\n\r\n"))
                #expect(Self.residentBytes() - before < 64 << 20)
            }
        }

        @Test func aTimeoutIsAnsweredAndEndsTheStatement() async throws {
            try await QueryServer.run { server in
                let start = ContinuousClock.now
                let answer = try await server.post(["sql": .string(Self.endless), "timeout": "500ms"])
                #expect(answer.status == 504 && answer.code == "query_timeout", "\(answer.text)")
                #expect(start.duration(to: .now) < .seconds(5))
                try await server.awaitQuiet()
                #expect(try await server.query("select 1").status == 200)
            }
        }

        @Test func aClientThatLeavesTakesItsStatementWithIt() async throws {
            try await QueryServer.run { server in
                let client = try QueryClient(port: server.port)
                try await client.send(QueryServer.request(#"{"sql": "\#(Self.endless)", "timeout": "60s"}"#))
                while try await server.running() == 0 { try await Task.sleep(for: .milliseconds(20)) }
                client.leave()
                let start = ContinuousClock.now
                try await server.awaitQuiet()
                #expect(start.duration(to: .now) < .seconds(5))
                #expect(try await server.query("select 1").status == 200)
            }
        }

        @Test func aReaderThatStopsIsCutOffByTheTimeout() async throws {
            try await QueryServer.run { server in
                let client = try QueryClient(port: server.port)
                let body = #"{"sql": "select repeat('x', 1000) from generate_series(1, 10000000)", "format": "csv", "#
                try await client.send(QueryServer.request(body + #""timeout": "2s"}"#))
                #expect(try await !client.receive(1000).isEmpty)
                try await server.awaitQuiet()
                let answer = try await Self.rest(of: client)
                #expect(answer.suffix(5) != Array("0\r\n\r\n".utf8)[...])
            }
        }

        @Test func aStreamThatFailsSaysSoAndIsNotTerminated() async throws {
            try await QueryServer.run { server in
                let sql: JSONValue = "select 1 / (400000 - i) as x, repeat('x', 50) from generate_series(1, 500000) i"
                let lines = try await server.post(["sql": sql, "format": "ndjson"])
                #expect(lines.status == 200 && !lines.isComplete)
                let last = lines.text.split(separator: "\n").last.map(String.init) ?? ""
                let error = try JSONValue.parse(last)["error"]
                #expect(error?["code"]?.string == "query_failed" && error?["sqlstate"]?.string == "22012", "\(last)")
                let csv = try await server.post(["sql": sql, "format": "csv"])
                #expect(csv.status == 200 && !csv.isComplete)
                let early = try await server.post([
                    "sql": "select 1 / (5 - i) from generate_series(1, 9) i",
                    "format": "csv",
                ])
                #expect(early.status == 422 && early.code == "query_failed")
            }
        }

        @Test func aWorkspaceRunsSoManyQueriesAtATime() async throws {
            let settings = [
                "MILLRACE_QUERY_SLOTS": "2", "MILLRACE_QUERY_WAITING": "1", "MILLRACE_QUERY_PATIENCE": "200ms",
            ]
            try await QueryServer.run(settings: settings) { server in
                var clients: [QueryClient] = []
                for count in 1...2 {
                    let client = try QueryClient(port: server.port)
                    try await client.send(QueryServer.request(#"{"sql": "\#(Self.endless)", "timeout": "60s"}"#))
                    clients.append(client)
                    while try await server.running() < count { try await Task.sleep(for: .milliseconds(20)) }
                }
                let refused = try await server.query("select 1")
                #expect(refused.status == 429 && refused.code == "rate_limited")
                clients.forEach { $0.leave() }
                try await server.awaitQuiet()
                #expect(try await server.query("select 1").status == 200)
            }
        }

        private static func rest(of client: QueryClient) async throws -> [UInt8] {
            var tail: [UInt8] = []
            while true {
                let piece = try await client.receive()
                if piece.isEmpty { return tail }
                tail = Array((tail + piece).suffix(100))
            }
        }

        private static func residentBytes() -> Int {
            let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
            let line = status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") } ?? ""
            return (line.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0) << 10
        }
    }
}
