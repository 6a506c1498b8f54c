import Foundation
import JSON
import TestSupport
import Testing

@testable import Analytics

extension QueryServiceTests {
    /// Profiles through the real server, beside what PostgreSQL computes.
    @Suite struct ProfileRouteTests {
        private static let mixed: [(name: String, type: String)] = [
            ("id", "int8"), ("status", "int8"), ("ratio", "float8"), ("price", "numeric"), ("flag", "bool"),
            ("seen", "timestamptz"), ("day", "date"), ("ident", "uuid"), ("line", "text"), ("doc", "jsonb"),
            ("empty", "text"),
        ]
        private static let rows = """
            select g, case when g % 7 = 0 then null else (g % 5) * 100 end,
                case when g % 11 = 0 then null else sin(g) * exp((g % 40)::float8 / 2) end,
                (g * 1.1)::numeric(12, 2), g % 3 = 0,
                timestamptz '2026-01-01Z' + g * interval '37 seconds', date '2020-02-29' + g % 900,
                ('00000000-0000-0000-0000-' || lpad(to_hex(g % 50), 12, '0'))::uuid,
                case when g % 13 = 0 then null else repeat('é', g % 4) || (g % 17) end,
                jsonb_build_object('k', g % 6), null::text
            from generate_series(1, 20000) g
            """

        private static func number(_ text: String) -> Double { Double(text) ?? .nan }

        private static func isNear(_ left: Double, _ right: Double, _ tolerance: Double = 1e-9) -> Bool {
            abs(left - right) <= tolerance * max(1, abs(left), abs(right))
        }

        @Test func figuresAreThoseThatPostgreSQLComputes() async throws {
            try await QueryServer.run { server in
                try await server.makeDataset("mixed", Self.mixed, filledBy: Self.rows)
                let answer = try await server.profile("mixed")
                #expect(answer.status == 200, "\(answer.text)")
                let profile = answer.json
                #expect(profile["rows"] == 20_000 && profile["rows_scanned"] == 20_000)
                #expect(profile["sampled"] == false && profile["rows_estimated"] == false && profile["fraction"] == 1)
                for (place, column) in Self.mixed.enumerated() {
                    let found = profile[path: "columns/\(place)"]
                    #expect(found["name"]?.string == column.name && found["type"]?.string == column.type)
                    let exact = try await server.database.administer(
                        "select count(*) - count(\(column.name)) || ' ' || count(distinct \(column.name)) "
                            + "from ws_default.mixed")
                    let parts = exact.split(separator: " ").compactMap { Double($0) }
                    #expect(found["nulls"]?.double == parts[0], "\(column.name)")
                    let distinct = found[path: "distinct/count"].double ?? -1
                    if found[path: "distinct/exact"].bool == true {
                        #expect(distinct == parts[1], "\(column.name)")
                    } else {
                        // Four standard errors.
                        #expect(parts[1] > 1024 && abs(distinct - parts[1]) < 0.033 * parts[1], "\(column.name)")
                    }
                }
                for name in ["id", "status", "ratio", "price"] {
                    try await Self.compareNumbers(name, profile, server)
                }
                try await Self.compareOthers(profile, server)
            }
        }

        private static func compareNumbers(_ name: String, _ profile: JSONValue, _ server: QueryServer) async throws {
            let place = mixed.firstIndex { $0.name == name } ?? 0
            let found = profile[path: "columns/\(place)"]
            let shares = "0.01,0.05,0.25,0.5,0.75,0.95,0.99"
            let exact = try await server.database.administer(
                """
                select concat_ws(' ', min(\(name)), max(\(name)), avg(\(name)::float8), stddev(\(name)::float8),
                    array_to_string(percentile_disc('{\(shares)}'::float8[]) within group (order by \(name)), ' '))
                from ws_default.mixed
                """
            ).split(separator: " ").map { number(String($0)) }
            #expect(found["min"]?.double == exact[0] && found["max"]?.double == exact[1], "\(name): \(found.text)")
            #expect(isNear(found["mean"]?.double ?? .nan, exact[2]), "\(name): \(found.text)")
            #expect(isNear(found["stddev"]?.double ?? .nan, exact[3]), "\(name): \(found.text)")
            let error = found[path: "quantiles/relative_error"].double ?? .nan
            for (index, key) in ["p01", "p05", "p25", "p50", "p75", "p95", "p99"].enumerated() {
                let value = found[path: "quantiles/\(key)"].double ?? .nan
                let (least, most) = (exact[4 + index] * (1 - error), exact[4 + index] * (1 + error))
                // An integer is the one below.
                #expect(value >= min(least, most) - 1 && value <= max(least, most) + 1e-9, "\(name) \(key): \(value)")
            }
            let bins = found["histogram"]?.array ?? []
            #expect(bins.count > 1 && bins.count <= 40)
            try await compare(bins, name, server)
        }

        /// Each bin has what lies in it.
        private static func compare(_ bins: [JSONValue], _ name: String, _ server: QueryServer) async throws {
            let ranges = bins.map { bin in
                let borders = [bin["from"], bin["to"]].map { ($0 ?? .null).string ?? ($0 ?? .null).text }
                return "\(name) >= '\(borders[0])' and \(name) < '\(borders[1])'"
            }
            let counts = try await server.database.administer(
                "select concat_ws(' ', \(ranges.map { "count(*) filter (where \($0))" }.joined(separator: ", "))) "
                    + "from ws_default.mixed")
            #expect(bins.map { $0["count"]?.text ?? "" }.joined(separator: " ") == counts, "\(name)")
        }

        private static func compareOthers(_ profile: JSONValue, _ server: QueryServer) async throws {
            let seen = profile[path: "columns/5"]
            #expect(seen["min"]?.string == "2026-01-01T00:00:37Z" && seen["max"]?.string == "2026-01-09T13:33:20Z")
            #expect(seen["mean"] == .null && seen[path: "quantiles/relative_error"] == .null)
            let error = seen[path: "quantiles/error_seconds"].double ?? .infinity
            let late = try await server.database.administer(
                """
                select abs(extract(epoch from percentile_disc(0.75) within group (order by seen)
                    - '\(seen[path: "quantiles/p75"].string ?? "")')) from ws_default.mixed
                """)
            #expect(number(late) <= error && error <= 300, "\(late) \(error)")
            let bins = seen["histogram"]?.array ?? []
            #expect(bins.count > 10 && bins.count <= 40)
            try await compare(bins, "seen", server)
            #expect(profile[path: "columns/6/quantiles/error_seconds"] == 0)
            let median = try await server.database.administer(
                "select percentile_disc(0.5) within group (order by day) from ws_default.mixed")
            #expect(profile[path: "columns/6/quantiles/p50"].string == median)
            let top = try await server.database.administer(
                """
                select json_agg(json_build_object('value', line, 'count', n, 'truncated', false)) from
                    (select line, count(*) n from ws_default.mixed where line is not null group by line
                    order by n desc, line collate "C" limit 10) t
                """)
            #expect(profile[path: "columns/8/top/items"] == (try JSONValue.parse(top)))
            #expect(profile[path: "columns/8/top/count_error"] == 0)
            let lengths = try await server.database.administer(
                "select min(length(line)) || ' ' || max(length(line)) || ' ' || avg(length(line)) "
                    + "|| ' ' || min(line collate \"C\") || ' ' || max(line collate \"C\") from ws_default.mixed"
            ).split(separator: " ").map(String.init)
            let line = profile[path: "columns/8"]
            #expect(line[path: "length/min"].int == Int(lengths[0]) && line[path: "length/max"].int == Int(lengths[1]))
            #expect(isNear(line[path: "length/mean"].double ?? 0, number(lengths[2])))
            #expect(line["min"]?.string == lengths[3] && line["max"]?.string == lengths[4])
            #expect(
                profile[path: "columns/4/top/items"].text == #"[{"value":false,"count":13334,"truncated":false},"#
                    + #"{"value":true,"count":6666,"truncated":false}]"#)
            #expect(profile[path: "columns/9/top/items/0/value"]["k"] != nil)
            #expect(profile[path: "columns/10"].text.contains(#""nulls":20000,"distinct":{"count":0,"exact":true}"#))
            for pair in profile[path: "correlations/pairs"].array ?? [] {
                let (x, y) = (pair["x"]?.string ?? "", pair["y"]?.string ?? "")
                let exact = try await server.database.administer(
                    "select corr(\(x)::float8, \(y)::float8) || ' ' || regr_count(\(x)::float8, \(y)::float8) "
                        + "from ws_default.mixed"
                ).split(separator: " ").map(String.init)
                #expect(isNear(pair["r"]?.double ?? .nan, number(exact[0])), "\(pair.text) \(exact)")
                #expect(pair["rows"]?.int == Int(exact[1]), "\(pair.text)")
            }
            #expect(profile[path: "correlations/pairs"].array?.count == 6)
        }

        @Test func valuesAtTheEdgesDoNoHarm() async throws {
            try await QueryServer.run { server in
                let long = String(repeating: "9", count: 100)
                try await server.makeDataset(
                    "edges",
                    [
                        ("f", "float8"), ("n", "numeric"), ("huge", "numeric"), ("t", "timestamptz"), ("i", "int8"),
                        ("s", "text"), ("constant", "float8"),
                    ],
                    filledBy: """
                        values ('NaN', \(long), '1e400'::numeric, 'infinity', 9223372036854775807, repeat('ä', 300),
                                0.1),
                            ('-0', \(long).5, 2, '-infinity', -9223372036854775808, null, 0.1),
                            ('0', 'NaN', 3, '2026-01-01Z', 0, '', 0.1),
                            ('-Infinity', '-Infinity', null, null, null, E'a\\n"b', 0.1),
                            ('1.7e308', 1.50, null, null, null, null, 0.1),
                            ('-1.7e308', 1.5, null, null, null, null, 0.1),
                            ('5e-324', null, null, null, null, null, 0.1)
                        """)
                let answer = try await server.profile("edges", "numbers=string")
                #expect(answer.status == 200, "\(answer.text)")
                let profile = answer.json
                #expect(profile[path: "columns/0/not_finite"].text == #"{"nan":1,"infinity":0,"negative_infinity":1}"#)
                #expect(profile[path: "columns/0/distinct/count"] == 6)
                #expect(profile[path: "columns/0/min"].double == -1.7e308)
                #expect(profile[path: "columns/0/quantiles/p50"].double == 0)
                #expect(profile[path: "columns/1/max"].string == long + ".5")
                #expect(profile[path: "columns/1/min"].string == "1.5")
                #expect(profile[path: "columns/1/distinct/count"] == 5)
                #expect(profile[path: "columns/1/top/items/0"].text.hasPrefix(#"{"value":"1.5","count":2"#))
                #expect(profile[path: "columns/2/max"].string?.count == 401)
                #expect(profile[path: "columns/2/mean"] == .null && profile[path: "columns/2/histogram"] == .null)
                #expect(profile[path: "columns/3/not_finite/infinity"] == 1)
                #expect(profile[path: "columns/3/min"].string == "2026-01-01T00:00:00Z")
                #expect(profile[path: "columns/3/histogram"].array?.count == 1)
                #expect(profile[path: "columns/4/max"].string == "9223372036854775807")
                #expect(profile[path: "columns/4/quantiles/p99"].string == "9223372036854775807")
                #expect(profile[path: "columns/5/length/max"] == 300)
                let cut = profile[path: "columns/5/top/items"].array?.first { $0["truncated"] == true }
                #expect(cut?["value"]?.string == String(repeating: "ä", count: 128))
                #expect(profile[path: "columns/6/stddev"] == 0 && profile[path: "columns/6/mean"] == 0.1)
                let constant = profile[path: "correlations/pairs"].array?.filter { $0["y"]?.string == "constant" } ?? []
                #expect(!constant.isEmpty && constant.allSatisfy { $0["r"] == .null })
            }
        }

        @Test func datasetsWithoutRowsOrColumnsAndHostileNames() async throws {
            try await QueryServer.run { server in
                try await server.makeDataset("no_table", [("a", "int8")], filledBy: nil)
                try await server.makeDataset("no_rows", Self.mixed, filledBy: Self.rows + " where false")
                try await server.makeDataset("no_columns", [], filledBy: "select from generate_series(1, 3)")
                let hostile = [
                    #"a"; drop table web; --"#, "it's", "ä ö", "select", "A", "a", String(repeating: "x", count: 63),
                ]
                try await server.makeDataset(
                    "hostile", hostile.map { ($0, "int8") }, filledBy: "select 1, 2, 3, 4, 5, 6, 7")
                let wide = (1...400).map { (name: "c\($0)", type: ["int8", "text", "float8", "numeric"][$0 % 4]) }
                try await server.makeDataset(
                    "wide", wide,
                    filledBy:
                        "select "
                        + (1...400).map { "(g * \($0))" + ($0 % 4 == 1 ? "::text" : "") }.joined(separator: ",")
                        + " from generate_series(1, 2000) g")
                for name in ["no_table", "no_rows", "no_columns", "hostile", "wide"] {
                    let answer = try await server.profile(name)
                    #expect(answer.status == 200, "\(name): \(answer.text.prefix(500))")
                }
                #expect(try await server.profile("no_table").json[path: "columns/0/nulls"] == 0)
                #expect(try await server.profile("no_rows").json["rows"] == 0)
                #expect(try await server.profile("no_columns").json["rows"] == 3)
                let names = try await server.profile("hostile").json["columns"]?.array?.map { $0["name"]?.string ?? "" }
                #expect(names == hostile)
                let many = try await server.profile("wide").json
                #expect(many["columns"]?.array?.count == 400)
                #expect(many[path: "correlations/columns"].array?.count == 16)
                #expect(many[path: "correlations/left_out"].array?.count == 284)
                #expect(many[path: "columns/399/max"].double == 800_000)
                #expect(try await server.query("select count(*) from web").rowsText == "[[100]]")
            }
        }

        @Test func aSampleSaysSo() async throws {
            try await QueryServer.run { server in
                try await server.makeDataset(
                    "many", [("id", "int8"), ("x", "float8")],
                    // Each page has values of all sizes: pages are what is sampled.
                    filledBy: "select g, g * 37 % 1000 from generate_series(1, 300000) g")
                let answer = try await server.profile("many", "sample=20000&columns=x&correlations=false&top=3")
                #expect(answer.status == 200, "\(answer.text)")
                let profile = answer.json
                #expect(profile["sampled"] == true && profile["rows_estimated"] == true)
                let scanned = profile["rows_scanned"]?.double ?? 0
                let rows = profile["rows"]?.double ?? 0
                #expect(scanned > 5_000 && scanned < 80_000 && rows > 100_000 && rows < 900_000, "\(answer.text)")
                #expect(Self.isNear(profile["fraction"]?.double ?? 0, scanned / rows))
                #expect(profile["correlations"] == .null && profile["columns"]?.array?.count == 1)
                #expect(profile[path: "columns/0/top/items"].array?.count == 3)
                #expect(abs((profile[path: "columns/0/mean"].double ?? 0) - 499.5) < 60)
                let all = try await server.profile("many", "sample=all")
                #expect(all.json["rows_scanned"] == 300_000 && all.json["sampled"] == false)
                #expect(ProfileEngine.sample(.usual, of: 1_000_000) == nil)
                #expect(ProfileEngine.sample(.usual, of: 1_000_001) == 100_000)
                #expect(ProfileEngine.sample(.sample(5000), of: 4000) == nil)
            }
        }

        @Test func requestsAreReadStrictly() async throws {
            try await QueryServer.run { server in
                let columns = [(name: "id", type: "int8")]
                try await server.makeDataset("few", columns, filledBy: "select generate_series(1, 10)")
                for query in [
                    "sample=5", "sample=x", "columns=nothing", "columns=", "columns=id,id", "top=101", "timeout=61s",
                    "correlations=maybe", "colums=id", "timeout=0s",
                ] {
                    let answer = try await server.profile("few", query)
                    #expect(answer.status == 400 && answer.code == "invalid_parameter", "\(query): \(answer.text)")
                }
                #expect(try await server.profile("nothing").code == "not_found")
                #expect(try await server.profile("No").code == "invalid_name")
                #expect(try await server.profile("few", key: QueryServer.ingestKey).status == 401)
                // Known in another workspace only: nobody's here.
                _ = try await server.database.administer(
                    """
                    insert into millrace.dataset (workspace_id, name, table_created)
                    select id, 'theirs', true from millrace.workspace where name = 'other'
                    """)
                #expect(try await server.profile("theirs").code == "not_found")
            }
        }

        @Test func aTimeoutAndAClientThatLeavesEndTheScan() async throws {
            try await QueryServer.run { server in
                try await server.makeDataset("held", [("a", "int8")], filledBy: "select generate_series(1, 10)")
                // The scan waits for this lock.
                let url = server.database.cluster.url(of: server.database.name, as: TemporaryPostgres.role)
                try await RoleSession.holding("lock table ws_default.held in access exclusive mode", url: url) {
                    let answer = try await server.profile("held", "timeout=500ms")
                    #expect(answer.status == 504 && answer.code == "query_timeout", "\(answer.text)")
                    try await server.awaitQuiet()
                    let client = try QueryClient(port: server.port)
                    try await client.send(
                        "GET /v1/profiles/held?timeout=60s HTTP/1.1\r\nHost: t\r\n"
                            + "Authorization: Bearer \(QueryServer.key)\r\n\r\n")
                    while try await server.running() == 0 { try await Task.sleep(for: .milliseconds(20)) }
                    client.leave()
                    try await server.awaitQuiet()
                }
                #expect(try await server.profile("held").json["rows"] == 10)
            }
        }
    }
}
