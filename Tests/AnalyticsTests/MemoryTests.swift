import JSON
import Postgres
import TestSupport
import Testing

@testable import Analytics

extension QueryServiceTests {
    /// What a statement gathers, where the server's processes have a limit of memory as `deploy/local/run` and
    /// `deploy/postgres/start` set it.
    @Suite struct MemoryTests {
        /// Each would take some GB: a limit of sorts and hashes is about none of them.
        private static let greedy = [
            """
            select cardinality(array_agg(repeat('x', 10000 + g % 2)))
            from (select generate_series(1, 100000) g) s
            """,
            "select jsonb_array_length(jsonb_agg(repeat('x', 2000 + g % 2))) from generate_series(1, 400000) g",
            "select octet_length(string_agg(repeat('x', 10000 + g % 2), '')) from generate_series(1, 100000) g",
            """
            select octet_length(a) + octet_length(b) + octet_length(c) from (
                select repeat('x', 150000000 + g) as a, repeat('y', 150000000 + g) as b,
                    repeat('z', 150000000 + g) as c
                from generate_series(1, 1) g offset 0) s
            """,
        ]

        @Test func aQueryThatGathersTooMuchFailsAloneAndSaysWhy() async throws {
            let cluster = try await TemporaryPostgres.start(.init(processMemory: 256))
            try await QueryServer.run(cluster: cluster) { server in
                try await server.database.withPool(size: 1) { pool in
                    try await pool.withConnection { neighbour in
                        for sql in Self.greedy {
                            let answer = try await server.post(["sql": .string(sql), "timeout": "60s"])
                            #expect(answer.status == 422 && answer.code == "query_too_large", "\(answer.text)")
                            #expect(answer.json["sqlstate"] == "53200")
                            #expect(answer.json["detail"]?.string?.contains("more memory") == true)
                            // Had a process been killed, the server would have ended all sessions.
                            #expect(try await neighbour.query("select 7::int8")[0].int8(0) == 7)
                        }
                    }
                }
                try await server.awaitQuiet()
                #expect(try await server.query("select count(*) from web").rowsText == "[[100]]")
                let late = try await server.post([
                    "sql": """
                    select g, case when g = 300000 then cardinality((select array_agg(repeat('x', 10000 + i % 2))
                        from (select generate_series(1, 100000 + g * 0) i) s)) end from generate_series(1, 300000) g
                    """, "format": "ndjson", "timeout": "60s",
                ])
                #expect(late.status == 200 && !late.isComplete)
                let last = late.text.split(separator: "\n").last.map(String.init) ?? ""
                #expect(try JSONValue.parse(last)["error"]?["code"] == "query_too_large", "\(last)")
            }
        }

        @Test func whereTheServersMemoryCanBeSeenAQueryThatTakesTooMuchIsEnded() async throws {
            try await QueryServer.run(settings: ["MILLRACE_QUERY_MEMORY": "64MiB"]) { server in
                for sql in [Self.greedy[0], Self.greedy[1]] {
                    let answer = try await server.post(["sql": .string(sql), "timeout": "60s"])
                    #expect(answer.status == 422 && answer.code == "query_too_large", "\(answer.text)")
                    #expect(answer.json["sqlstate"] == "53200")
                }
                try await server.awaitQuiet()
                #expect(try await server.query("select count(*) from web").rowsText == "[[100]]")
            }
        }

        @Test func whoIsEndedIsWhoTakesTooMuchOrTheMostOfWhatIsLeft() {
            func found(_ process: Int32, _ megabytes: Int64, left: Int64? = 8000) -> ReadProcessMemory.Found {
                .init(process: process, bytes: megabytes << 20, available: left.map { $0 << 20 }, total: 16000 << 20)
            }
            func ended(_ found: [ReadProcessMemory.Found]) -> Set<Int32> {
                QueryMemory.tooLarge(found, limit: 1024 << 20)
            }
            #expect(ended([found(1, 10), found(2, 1024)]) == [])
            #expect(ended([found(1, 10), found(2, 1025), found(3, 2000)]) == [2, 3])
            #expect(ended([found(1, 600, left: 1001), found(2, 700, left: 1001)]) == [])
            #expect(ended([found(1, 600, left: 999), found(2, 700, left: 999)]) == [2])
            #expect(ended([found(1, 20, left: 0), found(2, 30, left: 0)]) == [], "that would help nobody")
            #expect(ended([found(1, 600, left: nil)]) == [])
        }

        /// A hash table in memory that processes share would be bounded by nothing: not by a limit of their own.
        @Test func processesOfAQueryShareNoHashTable() async throws {
            try await QueryServer.run { server in
                let shown = try await server.database.administer(
                    """
                    \(SessionScript.begin(schema: "ws_default", timeout: .seconds(60)))
                    show enable_parallel_hash;
                    """)
                #expect(shown.hasSuffix("off"))
            }
        }
    }
}
