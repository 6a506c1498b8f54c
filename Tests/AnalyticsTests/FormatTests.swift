import JSON
import Testing

extension QueryServiceTests {
    /// Formats, limits, and what is wrong with requests.
    @Suite struct FormatTests {
        @Test func csvTellsNullFromEmpty() async throws {
            try await QueryServer.run { server in
                let answer = try await server.post([
                    "sql":
                        #"select 1 as a, null as "b,c", '' as d, 'x"y,z' as e, true as f, array[1,2] as g, 1 > 2 as h"#,
                    "format": "csv",
                ])
                #expect(answer.contentType == "text/csv; charset=utf-8")
                #expect(answer.text == "a,\"b,c\",d,e,f,g,h\n1,,\"\",\"x\"\"y,z\",true,\"[1,2]\",false\n")
            }
        }

        @Test func ndjsonHasAnObjectALine() async throws {
            try await QueryServer.run { server in
                let answer = try await server.post([
                    "sql": "select id, E'{\"a\":\\n1}'::json as j from web order by id limit 2", "format": "ndjson",
                ])
                #expect(answer.contentType == "application/x-ndjson")
                #expect(answer.text == "{\"id\":1,\"j\":{\"a\": 1}}\n{\"id\":2,\"j\":{\"a\": 1}}\n")
                let twice = try await server.post(["sql": "select 1 as a, 2 as a", "format": "ndjson"])
                #expect(twice.code == "invalid_query" && twice.json["sqlstate"]?.string == "42701")
            }
        }

        @Test func limitsTruncateAndSaySo() async throws {
            try await QueryServer.run { server in
                let some = try await server.post(["sql": "select id from web order by id", "limit": 3])
                #expect(some.rowsText == "[[1],[2],[3]]")
                #expect(some.json["truncated"] == true && some.json["row_count"] == 3)
                let exact = try await server.post(["sql": "select id from web", "limit": 100])
                #expect(exact.json["truncated"] == false && exact.json["row_count"] == 100)
                let none = try await server.post(["sql": "select id from web", "limit": 0])
                #expect(none.rowsText == "[]" && none.json["truncated"] == true)
                let usual = try await server.query("select generate_series(1, 20000)")
                #expect(usual.json["row_count"] == 10_000 && usual.json["truncated"] == true)
                let csv = try await server.post(["sql": "select generate_series(1, 20000)", "format": "csv"])
                #expect(csv.text.utf8.count { $0 == 10 } == 20_001)
                let few = try await server.post(["sql": "select generate_series(1, 9)", "format": "csv", "limit": 2])
                #expect(few.text == "generate_series\n1\n2\n")
            }
        }

        @Test func answersInJSONAreBoundedInBytes() async throws {
            try await QueryServer.run(settings: ["MILLRACE_QUERY_MAX_BYTES": "64KiB"]) { server in
                let answer = try await server.query("select repeat('x', 1000) from generate_series(1, 1000)")
                #expect(answer.json["truncated"] == true)
                #expect(answer.body.count > 60_000 && answer.body.count < 70_000)
            }
        }

        @Test func requestsAreReadStrictly() async throws {
            try await QueryServer.run { server in
                let cases: [(JSONValue, Int, String)] = [
                    (["sql": "select 1", "sq": 1], 422, "unknown_field"), (["params": []], 422, "invalid_request"),
                    (["sql": 5], 422, "invalid_request"),
                    (
                        [
                            "sql": "select 1",
                            "format": "xml",
                        ], 422, "invalid_request"
                    ),
                    (["sql": "select 1", "timeout": "61s"], 422, "invalid_request"),
                    (["sql": "select 1", "timeout": 0], 422, "invalid_request"),
                    (["sql": "select 1", "limit": 10_000_001], 422, "invalid_request"),
                    (["sql": "select 1", "limit": -1], 422, "invalid_request"),
                    (["sql": "select 1", "params": ["a\u{0}b"]], 422, "invalid_request"),
                    (["sql": "select 1", "params": [[[1]]]], 422, "invalid_request"), ([], 422, "invalid_request"),
                    (["sql": ""], 422, "invalid_query"), (["sql": "selct 1"], 422, "invalid_query"),
                    (["sql": "select nothing from web"], 422, "invalid_query"),
                    (["sql": "select 1/0"], 422, "query_failed"),
                    (["sql": "select id / 0 from web"], 422, "query_failed"),
                    (["sql": .string("select '" + String(repeating: "x", count: 70_000) + "'")], 422, "invalid_query"),
                ]
                for (body, status, code) in cases {
                    let answer = try await server.post(body)
                    #expect(answer.status == status && answer.code == code, "\(body): \(answer.text.prefix(300))")
                    #expect(answer.contentType == "application/problem+json")
                }
                let query = try await server.query("select 1", target: "/v1/query?number=string")
                #expect(query.status == 400 && query.code == "invalid_parameter")
            }
        }

        @Test func positionsCountCharactersOfTheText() async throws {
            try await QueryServer.run { server in
                let unknown = try await server.query("select 'äö', nothing from web")
                #expect(
                    unknown.json["position"] == 14 && unknown.json["sqlstate"]?.string == "42703",
                    "\(unknown.text)")
                let syntax = try await server.query("select 'äö', from from web")
                #expect(syntax.json["position"] == 14 && syntax.json["sqlstate"]?.string == "42601", "\(syntax.text)")
                let refused = try await server.query("select 'äö', pg_sleep(1)")
                #expect(refused.status == 403 && refused.json["position"] == 14, "\(refused.text)")
            }
        }

        @Test func onlyKeysWithTheScopeAsk() async throws {
            try await QueryServer.run { server in
                #expect(try await server.post(["sql": "select 1"], key: QueryServer.ingestKey).status == 401)
                let document = try await server.get("/openapi.json")
                let paths = document.json["paths"]?.object?.keys.sorted() ?? []
                #expect(
                    paths == [
                        "/healthz", "/metrics", "/openapi.json", "/readyz", "/v1/dashboards",
                        "/v1/dashboards/{name}", "/v1/endpoints", "/v1/endpoints/openapi.json",
                        "/v1/endpoints/{name}", "/v1/endpoints/{name}/data", "/v1/profiles/{dataset}", "/v1/query",
                        "/v1/rollups", "/v1/rollups/{name}", "/v1/rollups/{name}/data",
                        "/v1/rollups/{name}/live", "/v1/session",
                    ])
                #expect(try await server.get("/v1/query").status == 405)
            }
        }
    }
}
