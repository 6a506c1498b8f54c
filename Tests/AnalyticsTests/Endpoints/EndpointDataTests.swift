import JSON
import TestSupport
import Testing

@testable import Analytics

extension QueryServiceTests {
    /// What calls of endpoints answer.
    @Suite struct EndpointDataTests {
        private static let everyType = """
            select {{t:text}} as t, {{i:int8}} as i, {{f:float8}} as f, {{n:numeric}} as n, {{b:bool}} as b,
                {{z:timestamptz}} as z, {{d:date}} as d, {{u:uuid}} as u, {{j:jsonb}} as j
            """
        private static let everyValue =
            "?t=a%26b&i=9007199254740993&f=1e2&n=1.50&b=true&z=2026-03-01T12:00:00%2B02:00&d=2026-03-01"
            + "&u=A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11&j=%7B%22a%22:%5B1%5D%7D"

        @Test func valuesOfEveryTypeGoInAndComeOut() async throws {
            try await QueryServer.run { server in
                let answer = try await server.call(Self.everyType, Self.everyValue)
                #expect(answer.contentType == "application/json", "\(answer.text)")
                #expect(
                    answer.text == #"{"items":[{"t":"a&b","i":9007199254740993,"f":100,"n":1.50,"b":true,"#
                        + #""z":"2026-03-01T10:00:00Z","d":"2026-03-01","u":"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11","#
                        + #""j":{"a": [1]}}],"row_count":1,"truncated":false}"#)
                let columns = try await server.send("GET", "/v1/endpoints/one").json["columns"]?.array ?? []
                #expect(
                    columns.map { $0["type"]?.string } == [
                        "text", "int8", "float8", "numeric", "bool", "timestamptz", "date", "uuid", "jsonb",
                    ])
                let strings = try await server.data("one", Self.everyValue + "&numbers=string")
                #expect(strings.text.contains(#""i":"9007199254740993","f":100,"n":"1.50""#))
            }
        }

        @Test func formatsAreAskedForByAcceptOrByName() async throws {
            try await QueryServer.run { server in
                _ = try await server.put("one", "select id, null as x from web order by id limit {{n:int8=2}}")
                let csv = try await server.data("one", "?n=1", headers: ["Accept: text/csv"])
                #expect(csv.contentType == "text/csv; charset=utf-8" && csv.text == "id,x\n1,\n")
                let lines = try await server.data("one", headers: ["Accept: application/x-ndjson"])
                #expect(lines.contentType == "application/x-ndjson")
                #expect(lines.text == "{\"id\":1,\"x\":null}\n{\"id\":2,\"x\":null}\n")
                let named = try await server.data("one", "?format=csv", headers: ["Accept: application/json"])
                #expect(named.text == "id,x\n1,\n2,\n")
                #expect(try await server.data("one", headers: ["Accept: image/png"]).code == "not_acceptable")
                #expect(try await server.data("one", headers: ["Accept: */*"]).contentType == "application/json")
                #expect(named.headers["vary"]?.contains("Accept") == true)
            }
        }

        @Test func everythingWrongWithTheParametersIsSaidAtOnce() async throws {
            try await QueryServer.run { server in
                _ = try await server.put("one", "select {{a:int8}}, {{b:date}}, {{c:bool=false}}, {{d:uuid}}")
                let answer = try await server.data("one", "?b=2026-02-30&c=maybe&a=1&a=2&limit=3&format=xml")
                #expect(answer.status == 400 && answer.code == "invalid_parameter")
                #expect(
                    answer.faults == [
                        #"format: expected one of "json", "csv", "ndjson""#, "a: given more than once",
                        #"b: date/time field value out of range: "2026-02-30""#,
                        #"c: invalid input syntax for type boolean: "maybe""#,
                        "d: missing; expected a value of type uuid", "limit: unknown parameter",
                    ])
            }
        }

        @Test func parametersMayBeLeftOut() async throws {
            try await QueryServer.run { server in
                let sql = """
                    select count(*) as n from web
                    where ({{status:int8=null}} is null or status = {{status}}) and line like {{like:text='line 1%'}}
                    """
                let all = try await server.call(sql)
                #expect(all.items == #"[{"n":12}]"#, "\(all.text)")
                #expect(try await server.data("one", "?status=100").items == #"[{"n":3}]"#)
                #expect(try await server.data("one", "?like=").items == #"[{"n":0}]"#)
                #expect(try await server.data("one", "?like=%25&status=200").items == #"[{"n":20}]"#)
            }
        }

        /// A value is a value, whatever it looks like.
        @Test func hostileTextsAreTexts() async throws {
            try await QueryServer.run { server in
                _ = try await server.put(
                    "one", "select {{x:text}} as x, count(*) as n from web where line = {{x}}", [("cache_ttl", "1m")])
                for text in [
                    "'; drop table web; --", "' or '1'='1", "$1", "{{x:text}}", "\\", "\"", "a\nb", "%", "\u{1F600}",
                    "\u{202E}x", "E'\\x41'", "/* */", "NULL", "$$;$$", String(repeating: "x", count: 2000),
                ] + AttackStatements.refused {
                    let encoded = text.utf8.map { "%" + String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }
                    let answer = try await server.data("one", "?x=\(encoded.joined())")
                    #expect(answer.json["items"] == [["x": .string(text), "n": 0]], "\(answer.text)")
                }
                #expect(try await server.query("select count(*) from web").rowsText == "[[100]]")
            }
        }

        @Test func whatIsNoQueryIsRefused() async throws {
            try await QueryServer.run { server in
                _ = try await server.put("one", "select {{x:text}} as x")
                for query in [
                    "?x=%00", "?x=a%00b", "?x=%", "?x=%zz", "?x=%ff", "?x=%c3%28", "?%00=1", "?x=a&x=b", "?x[]=a",
                    "?X=a",
                ] {
                    let answer = try await server.data("one", query)
                    #expect(answer.status == 400 && answer.code == "invalid_parameter", "\(query): \(answer.text)")
                }
                let long = try await server.data("one", "?x=" + String(repeating: "a", count: 1 << 20))
                #expect([414, 431].contains(long.status))
                #expect(try await server.data("one", "?x=ok").status == 200)
            }
        }

        @Test func faultsOfTheDataHaveAPlaceInTheText() async throws {
            try await QueryServer.run { server in
                let divided = try await server.call("select 1 / {{x:int8}} as x", "?x=0")
                #expect(divided.status == 422 && divided.code == "query_failed" && divided.json["sqlstate"] == "22012")
                _ = try await server.put("gone", "select {{a:text='x'}} as a, extra.word from own_secret extra")
                try await server.database.administer("drop table ws_default.own_secret")
                let gone = try await server.data("gone")
                #expect(gone.code == "invalid_query" && gone.json["position"] == 45, "\(gone.text)")
            }
        }

        @Test func limitsAreThoseOfTheDefinition() async throws {
            try await QueryServer.run { server in
                let sql = "select generate_series(1, {{n:int8}}) as i"
                _ = try await server.put("one", sql, [("limit", 3)])
                let some = try await server.data("one", "?n=5")
                #expect(some.items == #"[{"i":1},{"i":2},{"i":3}]"# && some.json["truncated"] == true)
                #expect(some.json["row_count"] == 3)
                #expect(try await server.data("one", "?n=3").json["truncated"] == false)
                #expect(try await server.data("one", "?n=5&format=csv").text == "i\n1\n2\n3\n4\n5\n")
                _ = try await server.put(
                    "slow", "select count(*) as n from generate_series(1, {{n:int8}})", [("timeout", "300ms")])
                let slow = try await server.data("slow", "?n=1000000000000")
                #expect(slow.status == 504 && slow.code == "query_timeout")
                try await server.awaitQuiet()
            }
        }

        @Test func longAnswersAreStreamed() async throws {
            try await QueryServer.run { server in
                let sql = "select i, 1 / (400000 - i) as x, repeat('x', 50) as y from generate_series(1, {{n:int8}}) i"
                let whole = try await server.call(sql, "?n=200000&format=csv")
                #expect(whole.isComplete && whole.text.utf8.count { $0 == 10 } == 200_001)
                #expect(whole.headers["etag"] == nil && whole.headers["cache-control"] == "private, no-cache")
                let broken = try await server.data("one", "?n=500000&format=ndjson")
                let last = broken.text.split(separator: "\n").last.map(String.init) ?? ""
                #expect(broken.status == 200 && !broken.isComplete && last.contains(#""code":"query_failed""#))
            }
        }
    }
}
