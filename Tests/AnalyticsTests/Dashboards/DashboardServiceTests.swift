import JSON
import TestSupport
import Testing

@testable import Analytics

extension QueryServiceTests {
    /// Dashboards as a resource, and what a definition may hold.
    @Suite struct DashboardServiceTests {
        private static let chart: JSONValue = ["type": "bar", "query": "select status, count(*) from web group by 1"]

        private static func put(
            _ server: QueryServer, _ body: JSONValue, name: String = "web", _ headers: [String] = [],
            key: String = QueryServer.key
        ) async throws -> QueryClient.Answer {
            try await server.send("PUT", "/v1/dashboards/\(name)", body, headers: headers, key: key)
        }

        @Test func aDashboardIsPutShownListedAndDeleted() async throws {
            try await QueryServer.run { server in
                let body: JSONValue = [
                    "title": "Web", "refresh": "60s",
                    "charts": [
                        Self.chart,
                        [
                            "type": "table", "title": "Top", "width": 12, "height": 1,
                            "endpoint": ["name": "top", "parameters": ["n": "5", "b": "x"]],
                        ],
                        [
                            "type": "line", "x": "time", "y": ["hits"],
                            "rollup": [
                                "name": "hits", "range": "36h", "grain": "hour", "group_by": "", "fill": "zero",
                            ],
                        ],
                    ],
                ]
                let created = try await Self.put(server, body)
                #expect(created.status == 201 && created.headers["etag"] == "\"v1\"", "\(created.text)")
                #expect(created.json["refresh"] == "1m" && created.json["description"] == .null)
                let charts = created.json["charts"]?.array ?? []
                #expect(charts.count == 3 && charts[0]["width"] == 6 && charts[0]["height"] == 2)
                #expect(charts[1]["endpoint"] == ["name": "top", "parameters": ["b": "x", "n": "5"]])
                #expect(
                    charts[2]["rollup"] == [
                        "name": "hits", "range": "36h", "grain": "hour", "group_by": "", "fill": "zero",
                    ])
                let shown = try await server.send("GET", "/v1/dashboards/web")
                #expect(shown.status == 200 && shown.json == created.json)
                let same = try await Self.put(server, body)
                #expect(same.status == 200 && same.json == created.json)
                let stored: JSONValue = [
                    "title": "Web", "description": nil, "refresh": "1m", "charts": created.json["charts"] ?? .null,
                ]
                #expect(try await Self.put(server, stored).json == created.json, "what is shown can be put again")
                let changed = try await Self.put(server, ["charts": []])
                #expect(changed.status == 200 && changed.json["version"] == 2 && changed.json["title"] == .null)
                let list = try await server.send("GET", "/v1/dashboards")
                #expect(list.json["items"]?.array?.map { $0["name"] } == ["web"])
                #expect(list.json["items"]?.array?.first?["charts"] == 0 && list.json["next_cursor"] == .null)
                #expect(try await server.send("DELETE", "/v1/dashboards/web").status == 204)
                #expect(try await server.send("GET", "/v1/dashboards/web").code == "not_found")
                #expect(try await server.send("DELETE", "/v1/dashboards/web").code == "not_found")
            }
        }

        @Test func conditionsGuardChanges() async throws {
            try await QueryServer.run { server in
                let (empty, full): (JSONValue, JSONValue) = (["charts": []], ["charts": [Self.chart]])
                let early = try await Self.put(server, empty, ["If-Match: \"v1\""])
                #expect(early.status == 412)
                #expect(try await Self.put(server, empty, ["If-None-Match: *"]).status == 201)
                #expect(try await Self.put(server, full, ["If-None-Match: *"]).status == 412)
                #expect(try await Self.put(server, full, ["If-Match: \"v1\""]).status == 200)
                #expect(try await Self.put(server, empty, ["If-Match: \"v1\""]).code == "precondition_failed")
                let stale = ["If-Match: \"v1\""]
                #expect(try await server.send("DELETE", "/v1/dashboards/web", headers: stale).status == 412)
                #expect(try await server.send("DELETE", "/v1/dashboards/web", headers: ["If-Match: *"]).status == 204)
            }
        }

        @Test func whatIsWrongIsNamedWithItsPlace() async throws {
            try await QueryServer.run { server in
                let cases: [(JSONValue, String)] = [
                    (["type": "bar"], "charts[0]: needs exactly one of query, endpoint and rollup"),
                    (
                        ["type": "bar", "query": "select 1", "endpoint": ["name": "a"]],
                        "charts[0]: needs exactly one of query, endpoint and rollup"
                    ),
                    (["type": "bar", "query": ""], "charts[0].query: must have 1 to 65536 bytes"),
                    (["type": "bar", "query": "delete from web"], "charts[0].query: only SELECT, VALUES and WITH … "),
                    (["type": "donut", "query": "select 1"], "charts[0].type: expected one of"),
                    (["type": "bar", "endpoint": ["name": "A-b"]], "charts[0].endpoint.name: is no name"),
                    (
                        ["type": "bar", "endpoint": ["name": "a", "parameters": ["n": 5]]],
                        "charts[0].endpoint.parameters.n: expected a string"
                    ),
                    (["type": "bar", "rollup": ["name": "a", "range": "0s"]], "charts[0].rollup.range: must be 1ms"),
                    (["type": "bar", "query": "select 1", "width": 13], "charts[0].width: must be 1 to 12"),
                    (["type": "bar", "query": "select 1", "height": 0], "charts[0].height: must be 1 to 6"),
                    (["type": "bar", "query": "select 1", "y": []], "charts[0].y: must have 1 to 16 names"),
                    (["type": "bar", "query": "select 1", "y": [""]], "charts[0].y: must have 1 to 16 names"),
                ]
                for (chart, fault) in cases {
                    let answer = try await Self.put(server, ["charts": [chart]])
                    #expect(answer.status == 422 && answer.code == "invalid_dashboard", "\(answer.text)")
                    #expect(answer.faults.contains { $0.hasPrefix(fault) }, "\(fault): \(answer.text)")
                }
                let syntax = try await Self.put(server, ["charts": [["type": "bar", "query": "select 1 frm web x"]]])
                #expect(syntax.code == "invalid_dashboard" && syntax.json["position"] == 14, "\(syntax.text)")
                let unknown = try await Self.put(server, ["charts": [["type": "bar", "query": "select 1", "z": 1]]])
                #expect(unknown.code == "unknown_field" && unknown.faults == ["charts[0].z: unknown field"])
                let many = try await Self.put(
                    server, ["charts": .array(Array(repeating: Self.chart, count: 49)), "refresh": "1s"])
                #expect(many.faults == ["refresh: must be 5s to 1d", "charts: must have at most 48"])
                #expect(try await Self.put(server, ["charts": []], name: "A").code == "invalid_name")
                #expect(try await server.send("GET", "/v1/dashboards").json["items"] == [])
            }
        }

        @Test func eachWorkspaceHasItsOwnAndScopesAreKept() async throws {
            try await QueryServer.run { server in
                let body: JSONValue = ["charts": []]
                let (other, reader) = (
                    try await server.makeKey(["admin"], workspace: "other"),
                    try await server.makeKey(["dashboards:read"])
                )
                #expect(try await Self.put(server, body).status == 201)
                #expect(try await server.send("GET", "/v1/dashboards/web", key: other).status == 404)
                #expect(try await server.send("DELETE", "/v1/dashboards/web", key: other).status == 404)
                #expect(try await Self.put(server, ["charts": [Self.chart]], key: other).json["version"] == 1)
                #expect(try await server.send("GET", "/v1/dashboards/web", key: reader).json["charts"] == [])
                let refused = try await Self.put(server, body, key: reader)
                #expect(refused.status == 403 && refused.json["scope"] == "dashboards:write")
            }
        }

        @Test func pagesGoOnByName() async throws {
            try await QueryServer.run { server in
                for name in ["b", "a", "c"] { _ = try await Self.put(server, ["charts": []], name: name) }
                let first = try await server.send("GET", "/v1/dashboards?limit=2")
                #expect(first.json["items"]?.array?.map { $0["name"] } == ["a", "b"])
                let cursor = try #require(first.json["next_cursor"]?.string)
                let rest = try await server.send("GET", "/v1/dashboards?limit=2&cursor=\(cursor)")
                #expect(rest.json["items"]?.array?.map { $0["name"] } == ["c"] && rest.json["next_cursor"] == .null)
            }
        }
    }
}
