import JSON
import TestSupport
import Testing

extension QueryServiceTests {
    /// Endpoints as a resource: put, shown, listed, deleted.
    @Suite struct EndpointServiceTests {
        @Test func anEndpointIsPutShownAndDeleted() async throws {
            try await QueryServer.run { server in
                let sql = "select status, count(*) as hits from web where status >= {{least:int8=0}} group by status"
                let created = try await server.put("hits", sql, [("cache_ttl", "60s"), ("description", "Hits")])
                #expect(created.status == 201 && created.headers["etag"] == "\"v1\"", "\(created.text)")
                #expect(created.json["cache_ttl"] == "1m" && created.json["timeout"] == "30s")
                #expect(
                    created.json["parameters"] == [
                        ["name": "least", "type": "int8", "required": false, "default": 0]
                    ])
                #expect(
                    created.json["columns"] == [
                        ["name": "status", "type": "int8"], ["name": "hits", "type": "int8"],
                    ])
                let shown = try await server.send("GET", "/v1/endpoints/hits")
                #expect(shown.status == 200 && shown.json == created.json && shown.json["sql"]?.string == sql)
                let same = try await server.put("hits", sql, [("cache_ttl", "1m"), ("description", "Hits")])
                #expect(same.status == 200 && same.json == created.json)
                let changed = try await server.put("hits", sql)
                #expect(changed.status == 200 && changed.json["version"] == 2 && changed.json["description"] == .null)
                #expect(try await server.send("DELETE", "/v1/endpoints/hits").status == 204)
                #expect(try await server.send("GET", "/v1/endpoints/hits").code == "not_found")
                #expect(try await server.send("DELETE", "/v1/endpoints/hits").code == "not_found")
                #expect(try await server.data("hits").code == "not_found")
            }
        }

        @Test func aNewColumnIsANewVersionOfTheSameText() async throws {
            try await QueryServer.run { server in
                _ = try await server.put("all_rows", "select * from web")
                try await server.database.administer("alter table ws_default.web add column extra date")
                let again = try await server.put("all_rows", "select * from web")
                #expect(again.json["version"] == 2 && again.json["columns"]?.array?.count == 4)
                #expect(try await server.put("all_rows", "select * from web").json["version"] == 2)
            }
        }

        @Test func conditionsGuardChanges() async throws {
            try await QueryServer.run { server in
                func put(_ sql: String, _ condition: String) async throws -> Int {
                    let body: JSONValue = ["sql": .string(sql)]
                    return try await server.send("PUT", "/v1/endpoints/one", body, headers: [condition]).status
                }
                let early = try await put("select 1", "If-Match: \"v1\"")
                #expect(early == 412)
                #expect(try await put("select 1", "If-None-Match: *") == 201)
                #expect(try await put("select 2", "If-None-Match: *") == 412)
                #expect(try await put("select 2", "If-Match: \"v1\"") == 200)
                #expect(try await put("select 3", "If-Match: \"v1\"") == 412)
                let stale = ["If-Match: \"v1\""]
                #expect(try await server.send("DELETE", "/v1/endpoints/one", headers: stale).status == 412)
                #expect(try await server.send("DELETE", "/v1/endpoints/one", headers: ["If-Match: *"]).status == 204)
            }
        }

        @Test func endpointsAreListedByName() async throws {
            try await QueryServer.run { server in
                for name in ["c", "a", "b"] { _ = try await server.put(name, "select 1 as \(name)") }
                let first = try await server.send("GET", "/v1/endpoints?limit=2")
                #expect(first.json["items"]?.array?.map { $0["name"] } == ["a", "b"])
                let cursor = try #require(first.json["next_cursor"]?.string)
                let last = try await server.send("GET", "/v1/endpoints?limit=2&cursor=\(cursor)")
                #expect(last.json["items"]?.array?.map { $0["name"] } == ["c"] && last.json["next_cursor"] == .null)
                let other = try await server.makeKey(["endpoints:*"], workspace: "other")
                #expect(try await server.send("GET", "/v1/endpoints", key: other).items == "[]")
                #expect(try await server.send("GET", "/v1/endpoints?limit=0").code == "invalid_parameter")
            }
        }

        @Test func mistakesAreNamedWithTheirPlace() async throws {
            try await QueryServer.run { server in
                // The place is the one in the text that was put, behind a parameter that is sent longer than it was.
                for (sql, position, state) in [
                    ("select {{a:int8}}, 'ä', nonsense from web", 25, "42703"),
                    ("select {{a:int8}} frm web", 23, "42601"),
                    ("select {{a:int8}} || pg_sleep(1)", 22, nil), ("select * from {{a:text}}", 15, "42601"),
                    ("select {{a:int8}} from absent", 24, "42P01"), ("select 1 + {{a:text}} from web", 10, "42883"),
                ] as [(String, Int, String?)] {
                    let answer = try await server.put("one", sql)
                    #expect(answer.status == 422 && answer.code == "invalid_endpoint", "\(sql): \(answer.text)")
                    #expect(answer.json["position"]?.int == position, "\(sql): \(answer.text)")
                    #expect(answer.json["sqlstate"]?.string == state && answer.faults.first?.hasPrefix("sql: ") == true)
                }
                let several = try await server.put("one", "select $1, {{x}}", [("cache_ttl", "1s")])
                #expect(several.faults.count == 2 && several.json["position"] == 8)
                let fields = try await server.put(
                    "one", "select 1", [("cache_ttl", "25h"), ("timeout", "2m"), ("limit", 0)])
                #expect(fields.faults.map { $0.prefix { $0 != ":" } } == ["cache_ttl", "timeout", "limit"])
                #expect(try await server.put("one", "select 1", [("ttl", 1)]).code == "unknown_field")
                #expect(try await server.put("one", "select 1 as a, 2 as a").code == "invalid_endpoint")
                #expect(try await server.put("One", "select 1").code == "invalid_name")
                #expect(try await server.put("openapi.json", "select 1").status == 405)
                #expect(try await server.send("GET", "/v1/endpoints/one").status == 404)
            }
        }

        @Test func scopesAreTheirOwn() async throws {
            try await QueryServer.run { server in
                _ = try await server.put("one", "select 1 as a")
                let reader = try await server.makeKey(["endpoints:read"])
                #expect(try await server.data("one", key: reader).status == 200)
                #expect(try await server.send("GET", "/v1/endpoints/openapi.json", key: reader).status == 200)
                let body: JSONValue = ["sql": "select 2 as a"]
                let refused = try await server.send("PUT", "/v1/endpoints/one", body, key: reader)
                #expect(refused.status == 403 && refused.json["scope"] == "endpoints:write")
                #expect(try await server.send("DELETE", "/v1/endpoints/one", key: reader).status == 403)
                #expect(try await server.post(["sql": "select 1"], key: reader).status == 403)
                let asker = try await server.makeKey(["query", "datasets:*"])
                #expect(try await server.data("one", key: asker).json["scope"] == "endpoints:read")
                #expect(try await server.data("one", key: "none").status == 401)
            }
        }

        @Test func anotherWorkspacesEndpointIsNotThere() async throws {
            try await QueryServer.run { server in
                _ = try await server.put("one", "select word from own_secret", [("cache_ttl", "1m")])
                let other = try await server.makeKey(["endpoints:*"], workspace: "other")
                #expect(try await server.data("one").items == #"[{"word":"secret of default"}]"#)
                #expect(try await server.data("one", key: other).status == 404)
                #expect(try await server.send("GET", "/v1/endpoints/one", key: other).status == 404)
                #expect(try await server.send("DELETE", "/v1/endpoints/one", key: other).status == 404)
                let body: JSONValue = ["sql": "select word from own_secret", "cache_ttl": "1m"]
                #expect(try await server.send("PUT", "/v1/endpoints/one", body, key: other).status == 201)
                #expect(try await server.data("one", key: other).items == #"[{"word":"secret of other"}]"#)
                #expect(try await server.data("one").items == #"[{"word":"secret of default"}]"#)
            }
        }

        @Test func nothingThatIsForbiddenIsPublished() async throws {
            try await QueryServer.run { server in
                let before = try await server.database.administer(AttackTests.state)
                for sql in AttackStatements.refused {
                    let answer = try await server.put("bad", sql)
                    #expect(answer.status == 422 && answer.code == "invalid_endpoint", "\(sql): \(answer.text)")
                }
                #expect(try await server.data("bad").status == 404)
                #expect(try await server.database.administer(AttackTests.state) == before)
            }
        }
    }
}
