import JSON
import Synchronization
import TestSupport
import Testing

@testable import Analytics

extension QueryServiceTests {
    /// Answers that are given again.
    @Suite struct EndpointCacheServiceTests {
        private static let count = "select count(*) as n from web where status >= {{least:int8=0}}"

        @Test func anAnswerIsGivenAgainUntilTheEndpointChanges() async throws {
            try await QueryServer.run { server in
                _ = try await server.put("one", Self.count, [("cache_ttl", "1h")])
                let first = try await server.data("one")
                #expect(first.headers["cache-control"] == "private, max-age=3600" && first.headers["age"] == "0")
                try await server.database.administer("insert into ws_default.web values (101, 0, 'x')")
                // The same question, however it is written.
                for query in ["", "?least=0", "?least=%2B00", "?numbers=number&format=json"] {
                    #expect(try await server.data("one", query).items == #"[{"n":100}]"#, "\(query)")
                }
                #expect(try await server.data("one", "?least=-1").items == #"[{"n":101}]"#)
                #expect(try await server.data("one", "?format=csv").text == "n\n101\n")
                _ = try await server.put("one", Self.count + " and true", [("cache_ttl", "1h")])
                #expect(try await server.data("one").items == #"[{"n":101}]"#)
                try await server.database.administer("delete from ws_default.web where id = 101")
                #expect(try await server.data("one").items == #"[{"n":101}]"#)
                // A new one of the old name is another one.
                _ = try await server.send("DELETE", "/v1/endpoints/one")
                #expect(try await server.data("one").status == 404)
                _ = try await server.put("one", Self.count, [("cache_ttl", "1h")])
                #expect(try await server.data("one").items == #"[{"n":100}]"#)
            }
        }

        @Test func withoutATimeToLiveEveryCallAsks() async throws {
            try await QueryServer.run { server in
                _ = try await server.put("one", Self.count)
                let first = try await server.data("one")
                #expect(first.headers["cache-control"] == "private, no-cache" && first.headers["age"] == nil)
                let tag = try #require(first.headers["etag"])
                let same = try await server.data("one", headers: ["If-None-Match: \(tag)"])
                #expect(same.status == 304 && same.body.isEmpty && same.headers["etag"] == tag)
                try await server.database.administer("insert into ws_default.web values (101, 0, 'x')")
                let other = try await server.data("one", headers: ["If-None-Match: \(tag)"])
                #expect(other.status == 200 && other.items == #"[{"n":101}]"# && other.headers["etag"] != tag)
            }
        }

        @Test func tagsAreOfTheOctets() async throws {
            try await QueryServer.run { server in
                _ = try await server.put("one", Self.count, [("cache_ttl", "1h")])
                let first = try await server.data("one")
                let tag = try #require(first.headers["etag"])
                #expect(tag.hasPrefix("\"") && tag.utf8.count == 34)
                #expect(try await server.data("one").headers["etag"] == tag)
                #expect(try await server.data("one", "?format=csv").headers["etag"] != tag)
                for known in [tag, "W/\(tag)", "\"x\", \(tag)", "*"] {
                    let again = try await server.data("one", headers: ["If-None-Match: \(known)"])
                    #expect(again.status == 304 && again.headers["cache-control"] == "private, max-age=3600")
                    #expect(again.headers["age"] != nil && again.headers["vary"]?.contains("Accept") == true)
                }
                #expect(try await server.data("one", headers: ["If-None-Match: \"x\""]).status == 200)
            }
        }

        @Test func callsAtTheSameTimeRunOneQuery() async throws {
            try await QueryServer.run(settings: ["MILLRACE_QUERY_SLOTS": "2", "MILLRACE_QUERY_WAITING": "0"]) {
                server in
                let sql = "select count(*) as n from generate_series(1, {{n:int8}})"
                _ = try await server.put("one", sql, [("cache_ttl", "1h")])
                let answers = try await withThrowingTaskGroup(of: String.self) { group in
                    for _ in 0..<24 { group.addTask { try await server.data("one", "?n=3000000").items } }
                    return try await group.reduce(into: []) { $0.append($1) }
                }
                #expect(answers == Array(repeating: #"[{"n":3000000}]"#, count: 24))
                #expect(try await server.metric(#"millrace_endpoint_cache_total{result="miss"}"#) == 1)
                #expect(try await server.metric(#"millrace_queries_total{outcome="answered"}"#) == 1)
                let hits = try await server.metric(#"millrace_endpoint_cache_total{result="hit"}"#) ?? 0
                let shared = try await server.metric(#"millrace_endpoint_cache_total{result="shared"}"#) ?? 0
                #expect(hits + shared == 23)
            }
        }

        @Test func whoWaitsIsAnsweredThoughTheOneThatAskedFirstLeaves() async throws {
            try await QueryServer.run { server in
                let sql = "select count(*) as n from generate_series(1, {{n:int8}}) a, generate_series(1, 1000) b"
                try #require(await server.put("one", sql, [("cache_ttl", "1h"), ("timeout", "60s")]).status == 201)
                let leader = try QueryClient(port: server.port)
                let head = "GET /v1/endpoints/one/data?n=30000 HTTP/1.1\r\nHost: test\r\n"
                try await leader.send(head + "Authorization: Bearer \(QueryServer.key)\r\n\r\n")
                try await Self.eventually { try await server.running() > 0 }
                async let follower = server.data("one", "?n=30000")
                try await Self.eventually { try await server.metric("millrace_endpoint_waiting") == 1 }
                leader.leave()
                #expect(try await follower.items == #"[{"n":30000000}]"#)
                #expect(try await server.metric(#"millrace_endpoint_cache_total{result="miss"}"#) == 2)
                try await server.awaitQuiet()
            }
        }

        private static func eventually(_ condition: () async throws -> Bool) async throws {
            for _ in 0..<1000 {
                if try await condition() { return }
                try await Task.sleep(for: .milliseconds(10))
            }
            throw TestSupportError("it did not come to that")
        }

        @Test func whatIsTooLongOrWrongIsNotKept() async throws {
            try await QueryServer.run(settings: ["MILLRACE_ENDPOINT_CACHE": "1MiB"]) { server in
                let sql =
                    "select i, 1 / (5 - i) as x, (select count(*) from web) as n from generate_series(1, {{n:int8}}) i"
                _ = try await server.put("one", sql, [("cache_ttl", "1h"), ("limit", 1_000_000)])
                #expect(try await server.data("one", "?n=4").status == 200)
                #expect(try await server.metric("millrace_endpoint_cache_answers") == 1)
                #expect(try await server.data("one", "?n=5").code == "query_failed")
                _ = try await server.put("long", "select repeat('x', {{n:int8}}::int) as x", [("cache_ttl", "1h")])
                let long = try await server.data("long", "?n=100000")
                #expect(long.isComplete && long.items.utf8.count > 100_000 && long.headers["etag"] == nil)
                #expect(try await server.metric("millrace_endpoint_cache_answers") == 1)
                // More than it holds: the oldest leave.
                for n in 0..<60 { _ = try await server.data("long", "?n=\(50_000 + n)") }
                let bytes = try await server.metric("millrace_endpoint_cache_bytes") ?? 0
                #expect(bytes > 900_000 && bytes <= 1_048_576)
                let misses = try await server.metric(#"millrace_endpoint_cache_total{result="miss"}"#)
                #expect(try await server.data("long", "?n=50059").headers["age"] != nil)
                #expect(try await server.metric(#"millrace_endpoint_cache_total{result="miss"}"#) == misses)
            }
        }

        @Test func callsAreCounted() async throws {
            try await QueryServer.run { server in
                _ = try await server.put("one", Self.count, [("cache_ttl", "1h")])
                let tag = try #require(try await server.data("one").headers["etag"])
                _ = try await server.data("one", headers: ["If-None-Match: \(tag)"])
                _ = try await server.data("one", "?least=x")
                _ = try await server.data("two")
                func calls(_ status: String) async throws -> Double? {
                    try await server.metric(
                        #"millrace_endpoint_calls_total{workspace="default",endpoint="one",status="\#(status)"}"#)
                }
                var counts: [Double?] = []
                for status in ["200", "304", "4xx", "5xx"] { counts.append(try await calls(status)) }
                #expect(counts == [1, 1, 1, 0])
                let seconds = #"millrace_endpoint_seconds_count{workspace="default",endpoint="one"}"#
                #expect(try await server.metric(seconds) == 3)
                let metrics = try await server.get("/metrics").text
                #expect(!metrics.contains("endpoint=\"two\""))
            }
        }
    }
}
