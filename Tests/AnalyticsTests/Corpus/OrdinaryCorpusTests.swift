import Foundation
import JSON
import TestSupport
import Testing

extension QueryServiceTests {
    /// Ordinary statements pass, asked at once and published, and answer what a superuser gets in psql.
    @Suite struct OrdinaryCorpusTests {
        private static let orders: [(name: String, type: String)] = [
            ("id", "int8"), ("customer", "text"), ("region", "text"), ("amount", "numeric"), ("qty", "int8"),
            ("at", "timestamptz"), ("day", "date"), ("paid", "bool"), ("ratio", "float8"), ("doc", "jsonb"),
            ("note", "text"),
        ]
        private static let orderRows = """
            select g, (array['ada', 'bob', 'cyd', 'eve'])[1 + g % 4], (array['north', 'south', 'east'])[1 + g % 3],
                case when g % 19 = 0 then null else (g * 37 % 1009)::numeric / 4 end, 1 + g * 7 % 11,
                timestamptz '2026-01-01Z' + g * interval '97 minutes', date '2026-01-01' + (g * 97 / 1440), g % 5 <> 0,
                sqrt(g), jsonb_build_object('kind', (array['box', 'bag'])[1 + g % 2],
                    'tags', jsonb_build_array((array['red', 'rust', 'blue'])[1 + g % 3], 't' || g % 7),
                    'size', jsonb_build_object('w', g % 9, 'h', g * 0.5)),
                case when g % 3 = 0 then null else (array['fragile item', 'plain', 'very Fragile'])[1 + g % 3] end
            from generate_series(1, 200) g
            """

        @Test func theyAnswerAsPostgreSQLDoes() async throws {
            #expect(Set(OrdinaryStatements.all).count == OrdinaryStatements.all.count)
            #expect(OrdinaryStatements.all.count >= 130)
            try await QueryServer.run { server in
                try await server.makeDataset("orders", Self.orders, filledBy: Self.orderRows)
                try await server.makeDataset(
                    "customers", [("name", "text"), ("city", "text"), ("since", "date")],
                    filledBy: "values ('ada', 'London', date '2020-01-01'), ('bob', 'Lagos', '2021-06-30'), "
                        + "('cyd', 'Oslo', null), ('dan', 'Lima', '2024-02-29')")
                for sql in OrdinaryStatements.all { try await Self.compare(sql, server) }
            }
        }

        private static func compare(_ sql: String, _ server: QueryServer) async throws {
            let expected = try await server.database.administer(
                """
                set statement_timeout = '20s'; set search_path = ws_default; set timezone = 'UTC';
                select coalesce(json_agg(to_json(answered)), '[]') from (\(sql)\n) answered
                """)
            let rows = try JSONValue.parse(expected.replacingOccurrences(of: "+00:00\"", with: "Z\""))
            let asked = try await server.post(["sql": .string(sql), "format": "ndjson"])
            #expect(asked.status == 200, "\(sql): \(asked.text)")
            #expect(try lines(asked) == rows, "\(sql)")
            let put = try await server.put("ordinary", sql)
            #expect([200, 201].contains(put.status), "\(sql): \(put.text)")
            let published = try await server.data("ordinary", "?format=ndjson")
            #expect(published.body == asked.body, "\(sql): \(published.text.prefix(300))")
        }

        private static func lines(_ answer: QueryClient.Answer) throws -> JSONValue {
            .array(try answer.text.split(separator: "\n").map { try JSONValue.parse(String($0)) })
        }
    }
}
