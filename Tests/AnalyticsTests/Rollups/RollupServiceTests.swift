import JSON
import TestSupport
import Testing

@testable import Analytics

extension QueryServiceTests {
    /// Rollups as a resource, their data, and who may see them. That they are right is for the end-to-end tests.
    @Suite struct RollupServiceTests {
        private static func put(
            _ server: QueryServer, _ body: JSONValue = QueryServer.hits, headers: [String] = [],
            key: String = QueryServer.key
        ) async throws -> QueryClient.Answer {
            try await server.send("PUT", "/v1/rollups/by_minute", body, headers: headers, key: key)
        }

        private static func changed(_ name: String, _ value: JSONValue) -> JSONValue {
            guard case .object(var object) = QueryServer.hits else { return .null }
            object[name] = value
            return .object(object)
        }

        @Test func aRollupIsPutFilledShownListedAndDeleted() async throws {
            try await QueryServer.run { server in
                try await server.makeHits()
                let created = try await Self.put(server)
                #expect(created.status == 201 && created.headers["etag"] == "\"v1\"", "\(created.text)")
                let settled = try await server.settledRollup()
                #expect(settled["progress"] == 1 && settled["reason"] == .null && settled["version"] == 1)
                let data = try await server.send("GET", "/v1/rollups/by_minute/data?limit=2")
                #expect(
                    data.items == #"[{"time":"2026-01-01T00:00:00Z","who":"a","hits":1,"total":0},"#
                        + #"{"time":"2026-01-01T00:01:00Z","who":"a","hits":1,"total":1}]"#)
                #expect(data.json["truncated"] == true)
                let csv = ["Accept: text/csv"]
                let lines = try await server.send(
                    "GET", "/v1/rollups/by_minute/data?grain=day&group_by=", headers: csv)
                #expect(lines.text == "time,hits,total\n2026-01-01T00:00:00Z,4,6\n")
                #expect(try await Self.put(server).json["version"] == 1, "the same again")
                let other = Self.changed("measures", ["hits": "count()"])
                let second = try await Self.put(server, other)
                #expect(second.status == 200 && second.json["version"] == 2 && second.json["state"] == "preparing")
                _ = try await server.settledRollup()
                let again = try await server.send("GET", "/v1/rollups/by_minute/data?grain=day")
                #expect(again.items == #"[{"time":"2026-01-01T00:00:00Z","who":"a","hits":4}]"#)
                let list = try await server.send("GET", "/v1/rollups").json
                #expect(list["items"]?.array?.map { $0["name"] } == ["by_minute"])
                #expect(try await server.send("DELETE", "/v1/rollups/by_minute").status == 204)
                #expect(try await server.send("GET", "/v1/rollups/by_minute/data").code == "not_found")
                let left = "select count(*) from pg_class where relnamespace = 'rollups'::regnamespace"
                #expect(try await server.database.administer(left) == "0")
            }
        }

        @Test func conditionsGuardChanges() async throws {
            try await QueryServer.run { server in
                try await server.makeHits()
                let other = Self.changed("dimensions", [])
                #expect(try await Self.put(server, headers: ["If-Match: \"v1\""]).status == 412)
                #expect(try await Self.put(server, headers: ["If-None-Match: *"]).status == 201)
                #expect(try await Self.put(server, other, headers: ["If-None-Match: *"]).status == 412)
                #expect(try await Self.put(server, other, headers: ["If-Match: \"v1\""]).status == 200)
                #expect(try await Self.put(server, headers: ["If-Match: \"v1\""]).code == "precondition_failed")
                let stale = ["If-Match: \"v1\""]
                #expect(try await server.send("DELETE", "/v1/rollups/by_minute", headers: stale).status == 412)
                let current = ["If-Match: \"v2\""]
                #expect(try await server.send("DELETE", "/v1/rollups/by_minute", headers: current).status == 204)
            }
        }

        @Test func eachWorkspaceHasItsOwnAndScopesAreKept() async throws {
            try await QueryServer.run { server in
                try await server.makeHits()
                let other = try await server.makeKey(["admin"], workspace: "other")
                let (reader, nobody) = (
                    try await server.makeKey(["rollups:read"]), try await server.makeKey(["query", "datasets:read"])
                )
                #expect(try await Self.put(server).status == 201)
                _ = try await server.settledRollup()
                for path in ["", "/data", "/live"] {
                    let target = "/v1/rollups/by_minute\(path)"
                    #expect(try await server.send("GET", target, key: other).code == "not_found")
                    let refused = try await server.send("GET", target, key: nobody)
                    #expect(refused.status == 403 && refused.json["scope"] == "rollups:read")
                }
                #expect(try await server.send("GET", "/v1/rollups", key: other).json["items"] == [])
                #expect(try await server.send("DELETE", "/v1/rollups/by_minute", key: other).status == 404)
                // Another workspace cannot have a rollup of this one's dataset.
                #expect(try await Self.put(server, key: other).faults == ["dataset: there is no dataset hits"])
                #expect(try await server.send("GET", "/v1/rollups/by_minute/data", key: reader).status == 200)
                let refused = try await Self.put(server, Self.changed("dimensions", []), key: reader)
                #expect(refused.status == 403 && refused.json["scope"] == "rollups:write")
                let query = try await server.query("select * from rollups.facts_1_2")
                #expect(query.code == "query_not_allowed", "\(query.text)")
                let readable = try await server.database.administer(
                    """
                    select count(*) from pg_roles r, pg_class c
                    where r.rolname like 'millrace_ws%' and c.relnamespace = 'rollups'::regnamespace
                        and (has_schema_privilege(r.oid, 'rollups', 'usage') or
                            has_table_privilege(r.oid, c.oid, 'select'))
                    """)
                #expect(readable == "0")
            }
        }

        @Test func whatIsWrongIsNamedWithItsPlace() async throws {
            try await QueryServer.run { server in
                try await server.makeHits()
                let cases: [(String, JSONValue, String)] = [
                    ("dataset", "nothing", "dataset: there is no dataset nothing"),
                    (
                        "time", ["column": "who", "grain": "minute"],
                        "time.column: is text; must be timestamptz or date"
                    ),
                    ("dimensions", ["nobody"], #"dimensions[0]: there is no column "nobody" in the dataset hits"#),
                    ("measures", ["a": "sum(who)"], "measures.a: is sum of text; must be of a number"),
                    ("measures", ["a": "total(n)"], "measures.a: has no function total; there are count, sum"),
                ]
                for (name, value, fault) in cases {
                    let answer = try await Self.put(server, Self.changed(name, value))
                    #expect(answer.status == 422 && answer.code == "invalid_rollup", "\(answer.text)")
                    #expect(answer.faults.contains { $0.hasPrefix(fault) }, "\(fault): \(answer.text)")
                }
                #expect(try await Self.put(server, Self.changed("more", 1)).code == "unknown_field")
                #expect(try await Self.put(server).status == 201)
                _ = try await server.settledRollup()
                for query in ["grain=second", "group_by=n", "order=nothing", "fill=zero", "limit=0", "from=now", "x=1"]
                {
                    let answer = try await server.send("GET", "/v1/rollups/by_minute/data?\(query)")
                    #expect(answer.code == "invalid_parameter", "\(query)")
                }
                let condition = try await server.send("GET", "/v1/rollups/by_minute/data?where=who%20=%201")
                #expect(condition.code == "invalid_expression")
                let head = try await server.send(
                    "GET", "/v1/rollups/by_minute/live", headers: ["Accept: application/json"])
                #expect(head.code == "not_acceptable")
            }
        }

        @Test func listenersAreToldWhatChangesAndGoOnWhereTheyWere() async throws {
            try await QueryServer.run { server in
                try await server.makeHits()
                #expect(try await Self.put(server).status == 201)
                _ = try await server.settledRollup()
                let first = try await server.listen()
                let started = try #require(await first.next())
                #expect(started.hasSuffix(#"reset {"reason":"started"}"#))
                let start = try #require(started.split(separator: " ").first)
                let (rollup, number) = (
                    start.split(separator: ".")[0], try #require(Int(start.split(separator: ".")[1]))
                )
                var told: [String] = []
                for batch in 2...4 {
                    try await server.append(batch: batch, minute: 7)
                    told.append(try #require(await first.next()))
                    #expect(
                        told.last == "\(rollup).\(number + batch - 1) {\"replaced\":[],\"items\":[{\"time\":"
                            + "\"2026-01-01T00:07:00Z\",\"who\":\"b\",\"hits\":\(batch - 1),\"total\":\(batch - 1)}],"
                            + "\"row_count\":1,\"truncated\":false}")
                }
                // What is kept in memory is told as it was, and what is read again as it is by then.
                let second = try await server.listen(after: "\(rollup).\(number + 1)")
                #expect(try await second.next() == told[1])
                #expect(try await second.next() == told[2])
                // All rows of a bucket are deleted, as by an erasure.
                _ = try await server.database.administer(
                    """
                    set role \(TemporaryPostgres.role); delete from ws_default.hits where who = 'b';
                    notify millrace_queue, 'analytics';
                    """)
                let replaced =
                    "\(rollup).\(number + 4) {\"replaced\":[\"2026-01-01T00:07:00Z\"],\"items\":[],"
                    + "\"row_count\":0,\"truncated\":false}"
                #expect(try await first.next() == replaced)
                #expect(try await second.next() == replaced)
                let unknown = try await server.listen(after: "\(rollup).\(number + 99)")
                #expect(try await unknown.next() == "\(rollup).\(number + 4) reset {\"reason\":\"unknown\"}")
                _ = try await server.database.administer(
                    "delete from millrace.rollup_event where id <= \(number + 2)")
                let expired = try await server.listen(after: "\(rollup).\(number - 1)")
                #expect(try await expired.next() == "\(rollup).\(number + 4) reset {\"reason\":\"expired\"}")
                let kept = try await server.listen(after: "\(rollup).\(number + 2)")
                #expect(try await kept.next()?.hasPrefix("\(rollup).\(number + 3) ") == true)
                #expect(try await server.metric("millrace_rollup_listeners") == 5)
                let other = Self.changed("measures", ["hits": "count()"])
                #expect(try await Self.put(server, other).status == 200)
                #expect(
                    try await first.next() == "\(rollup).\(number + 5) reset {\"reason\":\"changed\"}",
                    "a new definition is told once it is filled")
                #expect(try await server.send("DELETE", "/v1/rollups/by_minute").status == 204)
                // Who follows learns of it by the next look.
                #expect(try await first.next() == nil)
                for stream in [first, second, unknown, expired, kept] { stream.leave() }
            }
        }
    }
}
