import HTTP
import HTTPServer
import JSON
import Postgres
import TestSupport
import Testing

@testable import Store

@Suite("Store: exports")
struct ExportTests {
    private func with(_ body: @Sendable (PostgresPool, StoreClient) async throws -> Void) async throws {
        let database = try await StoreDatabase.make()
        try await database.withPool(size: 6) { pool in
            try await pool.run(
                "insert into millrace.dataset (workspace_id, name, table_created) values (1, 'kinds', true)")
            try await pool.run(
                """
                insert into millrace.dataset_column (dataset_id, ordinal, name, type, state, since_version)
                select d.id, n, c, t, 'applied', 1 from millrace.dataset d,
                    unnest(array['i','f','n','b','t','ts','d','u','j'],
                        array['int8','float8','numeric','bool','text','timestamptz','date','uuid','jsonb'])
                        with ordinality as x (c, t, n)
                """)
            try await pool.run(
                """
                create table ws_default.kinds (i int8, f float8, n numeric, b bool, t text collate "C", ts timestamptz,
                    d date, u uuid, j jsonb, _extra jsonb, _batch int8 not null, _row int4 not null, _out int4 not null)
                """)
            try await pool.run(
                """
                insert into ws_default.kinds
                select case when i % 9 > 0 then i end, case i % 5 when 0 then 'NaN' when 1 then null else i / 7.0 end,
                    i * 1.10, i % 3 = 0, case i % 4 when 0 then '' when 1 then null else e'a,"b"\\n' || i end,
                    '2026-01-01 00:00:00.5+00'::timestamptz + i * '1 h'::interval, date '2026-01-01' + i, null,
                    jsonb_build_object('k', i), null, 1, i, 0
                from generate_series(0, 20000) i
                """)
            try await body(pool, StoreClient(pool))
        }
    }

    @Test("An export has the rows that the pages have, value for value", arguments: ["csv", "ndjson"])
    func formats(_ format: String) async throws {
        try await with { _, client in
            let type = format == "csv" ? "text/csv" : "application/x-ndjson"
            for query in [[], [("columns", "t,i,_row"), ("where", "t <> 'it''s \\ $1' and i % 2 = 1")]] {
                let export = try await client.get(
                    "/v1/datasets/kinds/export", query: query + [("format", format)])
                #expect(export.status == 200, "\(export.text.prefix(200))")
                let accepted = try await client.get(
                    "/v1/datasets/kinds/export", query: query, headers: ["accept": type])
                #expect(accepted.text == export.text)
                var pages = ""
                var cursor: String?
                repeat {
                    let page = try await client.get(
                        "/v1/datasets/kinds/rows",
                        query: query + [("limit", "10000")] + (cursor.map { [("cursor", $0)] } ?? []),
                        headers: ["accept": type])
                    let header = format == "csv" && cursor != nil ? page.text.firstIndex(of: "\r\n") : nil
                    pages += header.map { String(page.text[page.text.index(after: $0)...]) } ?? page.text
                    cursor = page.headers["x-next-cursor"]
                } while cursor != nil
                #expect(export.text.utf8.count == pages.utf8.count && export.text == pages)
            }
        }
    }

    @Test("What is wrong is said before anything is sent; what goes wrong later breaks the stream off")
    func faults() async throws {
        try await with { pool, client in
            let path = "/v1/datasets/kinds/export"
            // Whatever else the client takes: there is no library for it in Debian 12.
            for accept in ["*/*", "application/json", "application/vnd.apache.parquet"] {
                let parquet = try await client.get(path, query: [("format", "parquet")], headers: ["accept": accept])
                #expect(parquet.status == 400 && parquet.code == "invalid_parameter")
                #expect(parquet.text.contains(#"expected one of \"csv\", \"ndjson\""#), "\(parquet.text)")
            }
            #expect(try await client.get(path, headers: ["accept": "application/json"]).code == "not_acceptable")
            #expect(
                try await client.get(path, query: [("format", "csv"), ("limit", "5")]).code == "invalid_parameter")
            #expect(
                try await client.get(path, query: [("format", "csv"), ("where", "x = 1")]).code == "invalid_expression")
            #expect(try await client.get("/v1/datasets/none/export", query: [("format", "csv")]).code == "not_found")
            let late = try await client.get(
                path, query: [("format", "ndjson"), ("columns", "_row"), ("where", "1 / (_row - 15000) < 2")])
            #expect(late.text.hasPrefix("{\"_row\":0}\n"))
            #expect(late.text.hasSuffix("}\n<broken off>"))
            let last = try JSONValue.parse(String(late.text.split(separator: "\n").dropLast().last ?? ""))
            #expect(last["error"]?["code"] == "query_failed")
            try await pool.run("update millrace.dataset set table_created = false")
            let empty = try await client.get(path, query: [("format", "csv")])
            #expect(empty.text.hasPrefix("i,") && empty.text.hasSuffix(",_extra,_batch,_row,_out\r\n"))
            let one = try await client.get(
                path, query: [("format", "csv"), ("columns", "i"), ("where", "i > 1")])
            #expect(one.status == 200 && one.text == "i\r\n")
            let page = try await client.get("/v1/datasets/kinds/rows", query: [("columns", "i"), ("order", "i")])
            #expect(page.status == 200 && page.items.isEmpty)
        }
    }

    @Test("One workspace leaves exports to the others, and who gets a head gets its rows")
    func shares() async throws {
        try await with { pool, client in
            #expect(try await client.put("/v1/workspaces/neighbour", [:]).status == 201)
            let made = try await client.post(
                "/v1/keys", ["name": "export", "scopes": ["datasets:read"], "workspace": "neighbour"])
            let other = client.with(key: try #require(made.json["key"]?.string))
            try await pool.run(
                """
                insert into millrace.dataset (workspace_id, name, table_created)
                select id, 'kinds', true from millrace.workspace where name = 'neighbour'
                """)
            try await pool.run("create table ws_neighbour.kinds (like ws_default.kinds)")
            let path = "/v1/datasets/kinds/export?format=csv"
            // Heads are there, and nothing is read yet.
            var open = [try await client.open(path), try await client.open(path)]
            #expect(open.map(\.status) == [.ok, .ok])
            let third = try await StoreClient.answer(client.open(path))
            #expect(third.status == 429 && third.code == "rate_limited" && third.headers["retry-after"] == "10")
            open += [try await other.open(path), try await other.open(path)]
            #expect(open.map(\.status) == [.ok, .ok, .ok, .ok])
            #expect(try await StoreClient.answer(other.open(path)).code == "rate_limited")
            for response in open.prefix(2) {
                let answer = try await StoreClient.answer(response)
                #expect(!answer.text.contains("<broken off>") && answer.text.utf8.count > 1 << 20)
            }
            #expect(try await StoreClient.answer(client.open(path)).status == 200, "an answer's end is enough")
            #expect(try await other.open(path).status == .tooManyRequests)
            // Clients that have left before their answer began.
            open.removeAll()
            #expect(try await StoreClient.answer(other.open(path)).status == 200)
        }
    }

    @Test("All workspaces together have so many exports")
    func total() throws {
        let gate = ExportGate(total: 4)
        var permits = try [gate.enter(1), gate.enter(1), gate.enter(2), gate.enter(3)]
        #expect(throws: Problem.self) { try gate.enter(1) }
        do throws(Problem) {
            _ = try gate.enter(4)
            Issue.record("a fifth was let in")
        } catch {
            #expect(error.code == .tooManyConnections && error.retryAfter == .seconds(10))
        }
        permits.removeLast()
        permits.append(try gate.enter(4))
        #expect(ExportGate(total: 1).perWorkspace == 1)
    }

    @Test("Sizes of a list and of a large dataset are estimates, partitions added up, and say so")
    func sizes() async throws {
        try await with { pool, client in
            let exact = try await client.get("/v1/datasets/kinds").json
            #expect(exact["rows"] == 20001 && exact["rows_exact"] == true)
            try await pool.run("insert into ws_default.kinds select k.* from ws_default.kinds k, generate_series(1, 4)")
            try await pool.run("analyze ws_default.kinds")
            let large = try await client.get("/v1/datasets/kinds").json
            #expect(large["rows_exact"] == false && large["time_span"] == .null)
            #expect(abs((large["rows"]?.int ?? 0) - 100_005) < 2_000)
            let item = try #require(try await client.get("/v1/datasets").items.first)
            #expect(item["rows"] == large["rows"] && item["rows_exact"] == false && item["bytes"] == large["bytes"])
            try await pool.run("create table ws_default.parts (like ws_default.kinds) partition by range (_row)")
            for (name, low, high) in [("parts_1", 0, 10_000), ("parts_2", 10_000, 30_000)] {
                try await pool.run(
                    """
                    create table \(identifier: "ws_default", name) partition of ws_default.parts
                    for values from (\(unsafeText: String(low))) to (\(unsafeText: String(high)))
                    """)
            }
            try await pool.run("insert into ws_default.parts select * from ws_default.kinds")
            try await pool.run("analyze ws_default.parts")
            try await pool.run(
                "insert into millrace.dataset (workspace_id, name, table_created) values (1, 'parts', true)")
            let parts = try await client.get("/v1/datasets/parts").json
            #expect(abs((parts["rows"]?.int ?? 0) - 100_005) < 2_000)
            #expect((parts["bytes"]?.int ?? 0) > (8 << 20))
        }
    }
}
