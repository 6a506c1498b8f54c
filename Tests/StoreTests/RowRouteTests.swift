import Access
import Expressions
import HTTP
import JSON
import Postgres
import TestSupport
import Testing

@testable import Store

@Suite("Store: rows, quarantine, lineage")
struct RowRouteTests {
    /// A dataset of every type, with NULLs and awkward values.
    private static let table: [PostgresQuery] = [
        """
        insert into millrace.dataset (workspace_id, name, definition, table_created)
        values (1, 'kinds', '{"time_column": "ts"}', true)
        """,
        """
        insert into millrace.dataset_column (dataset_id, ordinal, name, type, state, since_version)
        select d.id, n, c, t, 'applied', 1 from millrace.dataset d,
            unnest(array['i','f','n','b','t','ts','d','u','j'],
                array['int8','float8','numeric','bool','text','timestamptz','date','uuid','jsonb'])
                with ordinality as x (c, t, n)
        """,
        """
        create table ws_default.kinds (i int8, f float8, n numeric, b bool, t text collate "C", ts timestamptz, d date,
            u uuid, j jsonb, _extra jsonb, _batch int8 not null, _row int4 not null, _out int4 not null)
        """,
        """
        insert into ws_default.kinds values
        (9007199254740993, 0.1, 1.50, true, 'a,"b"', '2026-01-02 03:04:05.5+00', '2026-01-02',
            '00112233-4455-6677-8899-aabbccddeeff', '{"k": [1, null]}', null, 1, 0, 0),
        (-1, 'NaN', 12345678901234567890.5, false, '', 'infinity', '1999-12-31', null, '"s"', '{"x": 1}', 1, 1, 0),
        (null, null, null, null, null, null, null, null, null, null, 1, 2, 0),
        (3, '-Infinity', 'NaN', null, 'zoë', '2000-01-01', null, null, 'null', null, 2, 0, 0)
        """,
    ]

    private func with(_ body: @Sendable (PostgresPool, StoreClient) async throws -> Void) async throws {
        let database = try await StoreDatabase.make()
        try await database.withPool(size: 6) { pool in
            for statement in Self.table { try await pool.run(statement) }
            try await body(pool, StoreClient(pool))
        }
    }

    @Test("Values come out as the contract says, in JSON, NDJSON and CSV")
    func formats() async throws {
        try await with { _, client in
            let rows = try await client.get("/v1/datasets/kinds/rows", query: [("limit", "2")])
            #expect(
                rows.text.hasPrefix(
                    #"{"items":[{"i":9007199254740993,"f":0.1,"n":1.50,"b":true,"t":"a,\"b\"","#
                        + #""ts":"2026-01-02T03:04:05.5Z","d":"2026-01-02","#
                        + #""u":"00112233-4455-6677-8899-aabbccddeeff","j":{"k": [1, null]},"_extra":null,"#
                        + #""_batch":1,"_row":0,"_out":0},{"i":-1,"f":"NaN","n":12345678901234567890.5,"b":false,"#))
            let quoted = try await client.get(
                "/v1/datasets/kinds/rows", query: [("columns", "n,i"), ("numbers", "string"), ("limit", "1")])
            #expect(quoted.text.hasPrefix(#"{"items":[{"n":"1.50","i":"9007199254740993"}]"#))
            let lines = try await client.get(
                "/v1/datasets/kinds/rows", query: [("columns", "i,j")], headers: ["accept": "application/x-ndjson"])
            #expect(
                lines.text == #"{"i":9007199254740993,"j":{"k": [1, null]}}"# + "\n" + #"{"i":-1,"j":"s"}"# + "\n"
                    + #"{"i":null,"j":null}"# + "\n" + #"{"i":3,"j":null}"# + "\n")
            let csv = try await client.get(
                "/v1/datasets/kinds/rows", query: [("columns", "t,b,f")], headers: ["accept": "text/csv"])
            #expect(csv.text == "t,b,f\r\n\"a,\"\"b\"\"\",true,0.1\r\n\"\",false,NaN\r\n,,\r\nzoë,,-Infinity\r\n")
            #expect(
                try await client.get("/v1/datasets/kinds/rows", headers: ["accept": "image/png"]).code
                    == "not_acceptable")
        }
    }

    @Test(
        "Pages join without gap or repetition, by any order, with NULLs",
        arguments: [
            "", "i", "i.desc", "t.desc,i", "b,ts.desc", "n.asc,f.desc", "d", "_row,_batch.desc",
        ])
    func pages(order: String) async throws {
        try await with { pool, client in
            try await pool.run(
                """
                insert into ws_default.kinds (i, b, ts, d, _batch, _row, _out)
                select nullif(g % 7, 0), nullif(g % 3, 0) = 1, timestamptz '2026-01-01' + g % 4 * interval '1 hour',
                    nullif(date '2026-01-01' + g % 5, date '2026-01-03'), 3, g, 0
                from generate_series(0, 40) g
                """)
            let ordering = order.isEmpty ? [] : [("order", order)]
            let whole = try await client.get("/v1/datasets/kinds/rows", query: ordering + [("limit", "1000")])
            #expect(whole.items.count == 45)
            #expect(whole.json["next_cursor"] == .null)
            var found: [JSONValue] = []
            var cursor: String?
            for _ in 0..<100 {
                let query = ordering + [("limit", "4")] + (cursor.map { [("cursor", $0)] } ?? [])
                let page = try await client.get("/v1/datasets/kinds/rows", query: query)
                #expect(page.status == 200, "\(page.text)")
                found += page.items
                cursor = page.json["next_cursor"]?.string
                if cursor == nil { break }
            }
            #expect(found == whole.items)
        }
    }

    @Test("A condition means what it does for records, and its text never becomes SQL")
    func conditions() async throws {
        try await with { _, client in
            let cases: [(String, [String])] = [
                ("i > 0", ["0", "0"]), ("t = 'a,\"b\"'", ["0"]), ("t = '''; drop table kinds; --'", []),
                ("i in (3, -1) or b", ["0", "1", "0"]), ("j->>'k' is not null", ["0"]),
                ("ts >= '2026-01-01'", ["0", "1"]),
                ("d + 1 = date '2000-01-01'", ["1"]), ("left(t, 1) = 'z' and length(t) = 3", ["0"]),
                ("case when b then n < 2 else f = 'NaN' end", ["0", "1"]),
                ("i is distinct from null and not (i = 3)", ["0", "1"]),
                ("86400 * 365 * 1000 > i", ["1", "0"]), ("t like 'zo%' escape '!'", ["0"]), ("_batch = 2", ["0"]),
                ("coalesce(t, 'x') = 'x'", ["2"]), ("n between 1 and 2.5", ["0"]), ("i::text ~ '^-'", ["1"]),
                ("concat(t, '!') = '!'", ["1", "2"]), ("extract(year from ts) = 2026", ["0"]),
                ("f <> 'NaN'", ["0", "0"]),
            ]
            for (condition, expected) in cases {
                let answer = try await client.get(
                    "/v1/datasets/kinds/rows", query: [("where", condition), ("columns", "_row")])
                let rows = answer.items.compactMap { $0["_row"]?.int.map(String.init) }
                #expect(rows == expected, "\(condition): \(answer.text)")
            }
            let mistakes: [(String, String, Int)] = [
                ("nope = 1", "invalid_expression", 1), ("i = 'x'", "invalid_expression", 5),
                ("pg_sleep(9) is null", "invalid_expression", 1), ("1 / (i - 3) = 0", "query_failed", 0),
                ("i = 1; select 1", "invalid_expression", 6), ("i", "invalid_expression", 1),
            ]
            for (condition, code, position) in mistakes {
                let answer = try await client.get("/v1/datasets/kinds/rows", query: [("where", condition)])
                #expect(answer.status == 422)
                #expect(answer.code == code, "\(condition): \(answer.text)")
                #expect(answer.json["position"]?.int ?? 0 == position, "\(condition): \(answer.text)")
            }
        }
    }

    @Test("Wrong parameters are named; a cursor serves its own list only")
    func parameters() async throws {
        try await with { _, client in
            let wrong = try await client.get(
                "/v1/datasets/kinds/rows",
                query: [("columns", "i,zz"), ("order", "j,qq.desc"), ("limit", "0"), ("colour", "red")])
            #expect(wrong.code == "invalid_parameter")
            let paths = Set((wrong.json["errors"]?.array ?? []).compactMap { $0["path"]?.string })
            #expect(paths == ["columns", "order", "limit", "colour"])
            let page = try await client.get("/v1/datasets/kinds/rows", query: [("order", "i"), ("limit", "1")])
            let cursor = page.json["next_cursor"]?.string ?? ""
            let other = try await client.get("/v1/datasets/kinds/rows", query: [("order", "t"), ("cursor", cursor)])
            #expect(other.code == "invalid_cursor")
        }
    }

    @Test("Quarantine pages through what was refused; lineage leads from a row to its request and its raw record")
    func quarantineAndLineage() async throws {
        try await with { pool, client in
            try await pool.run(
                """
                insert into millrace.dataset (workspace_id, name, definition, declared)
                values (1, 'orders', '{"primary_key": ["id"]}', true)
                """)
            try await pool.handOver(HandedOver(ids: [7, 8, 7, 9, 7, 7], requests: [2, 4]))
            try await LoadWorker().run(pool) {
                try await pool.wait(until: "select count(*) from millrace.application where state = 'stored'", is: 1)
            }
            let batch = String(try await pool.int("select max(id) from millrace.batch"))
            var rows: [Int] = []
            var cursor: String?
            repeat {
                let query = [("limit", "2"), ("stage", "store")] + (cursor.map { [("cursor", $0)] } ?? [])
                let page = try await client.get("/v1/datasets/orders/quarantine", query: query)
                rows += page.items.compactMap { $0["row"]?.int }
                #expect(page.items.allSatisfy { $0["raw"] == #"{"id": 7}"# && $0["batch"]?.string == batch })
                #expect(page.items.allSatisfy { $0["errors"]?[0]?["code"] == "duplicate_key" })
                cursor = page.json["next_cursor"]?.string
            } while cursor != nil
            #expect(rows == [2, 4, 5])
            #expect(try await client.get("/v1/datasets/orders/quarantine?stage=decode").items.isEmpty)

            let lineage = try await client.get("/v1/datasets/orders/lineage?batch=\(batch)&row=3").items
            #expect(lineage.count == 1)
            #expect(lineage.first?["raw"] == #"{"id": 9}"#)
            #expect(lineage.first?["request"] == "request-1")
            #expect(lineage.first?["pipeline"] == "orders")
            #expect(try await client.get("/v1/datasets/orders/lineage?batch=\(batch)&row=6").status == 404)
            #expect(try await client.get("/v1/datasets/kinds/lineage?batch=\(batch)&row=0").status == 404)
            #expect(try await client.get("/v1/datasets/orders/lineage?row=0").code == "invalid_parameter")
        }
    }

    @Test("The reasons of a quarantine are counted, without the records or what their messages quote of them")
    func quarantineReasons() async throws {
        try await with { pool, client in
            let target = "/v1/datasets/orders/quarantine/reasons"
            #expect(try await client.get(target).code == "not_found")
            try await pool.run("insert into millrace.dataset (workspace_id, name) values (1, 'orders')")
            try await pool.handOver(HandedOver(ids: [1], requests: [1]))
            #expect(
                try await client.get(target).json == ["items": [], "records": 0, "truncated": false])
            try await pool.run(
                """
                insert into landing.quarantine
                    (batch_id, row, pipeline_id, output, version, dataset_id, stage, errors, raw)
                select (select max(id) from millrace.batch), r, (select max(id) from millrace.pipeline), 0, 1, d.id,
                    'transform', case when r < 3 then '[{"code": "invalid_cast", "step": "s", "column": "total",
                        "message": "a secret"}, {"code": "invalid_cast", "step": "s", "column": "total",
                        "message": "again"}]'::jsonb else '[{"code": "not_an_object"}]' end, 'secret'
                from millrace.dataset d, generate_series(0, 3) r where d.name = 'orders'
                """)
            let found = try await client.get(target)
            #expect(found.json["records"] == 4 && found.json["truncated"] == false && !found.text.contains("secret"))
            let reasons = found.items.map { "\($0["code"]?.string ?? "") \($0["column"]?.string ?? "-")" }
            try await pool.run("insert into millrace.dataset (workspace_id, name) values (1, 'clean')")
            let counted = try await client.get("/v1/datasets?quarantined=true").items
            #expect(counted.map { $0["name"] } == ["clean", "kinds", "orders"])
            #expect(counted.map { $0["quarantined"] } == [0, 0, 4])
            #expect(try await client.get("/v1/datasets").items.map { $0["quarantined"] } == [nil, nil, nil])
            try await pool.run(
                "insert into millrace.dataset (workspace_id, name) select 1, 'z' || n from generate_series(1, 99) n")
            let page = try await client.get("/v1/datasets?quarantined=true&limit=1000")
            #expect(page.items.count == 100 && page.json["next_cursor"]?.string != nil)
            #expect(reasons == ["invalid_cast total", "not_an_object -"], "\(found.text)")
            #expect(found.items.map { $0["records"] } == [3, 1])
            #expect(found.items[0]["pipeline"] == "orders" && found.items[0]["stage"] == "transform")
        }
    }
}
