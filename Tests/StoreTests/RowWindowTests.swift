import Catalog
import HTTP
import JSON
import Postgres
import Records
import TestSupport
import Testing

@testable import Store

@Suite("Store: pages of large tables")
struct RowWindowTests {
    private static let rows = 400_000
    /// Batches begin at a million, 200 rows each; a gap as long again is in the middle.
    private static let table: [PostgresQuery] = [
        "insert into millrace.dataset (workspace_id, name, table_created) values (1, 'large', true)",
        """
        insert into millrace.dataset_column (dataset_id, ordinal, name, type, state, since_version)
        select id, 1, 'id', 'int8', 'applied', 1 from millrace.dataset
        union all select id, 2, 'word', 'text', 'applied', 1 from millrace.dataset
        """,
        """
        create table ws_default.large (id int8, word text, _extra jsonb, _batch int8 not null, _row int4 not null,
            _out int4 not null)
        """,
        """
        create index "large.batch" on ws_default.large using brin (_batch)
        with (pages_per_range = 32, autosummarize = on)
        """,
        """
        insert into ws_default.large select i, repeat('x', 150), null,
            1000000 + i / 200 + case when i < \(unsafeText: "\(rows / 2)") then 0 else 1000000 end, i % 200, 0
        from generate_series(0, \(unsafeText: "\(rows - 1)")) i
        """,
        "select setval('millrace.batch_id', 2100000)",
        "vacuum analyze ws_default.large",
    ]

    private func with(_ body: @Sendable (PostgresPool, StoreClient) async throws -> Void) async throws {
        let database = try await StoreDatabase.make()
        try await database.withPool(size: 6) { pool in
            for statement in Self.table { try await pool.run(statement) }
            try await body(pool, StoreClient(pool))
        }
    }

    private func query(_ text: String, _ pool: PostgresPool) async throws -> RowsQuery {
        let found = try await DatasetCatalog(pool: pool).find(ResourceName(checking: "large"), workspaceID: 1)
        return try RowsQuery(QueryFields(query: text), of: found)
    }

    /// A page's ids, and how many blocks of the table were read for it, of all.
    private func page(_ text: String, _ pool: PostgresPool) async throws -> (ids: [Int64], blocks: Int, all: Int) {
        let query = try await query(text, pool)
        return try await pool.withTransaction(isolation: .repeatableRead, readOnly: true) { connection in
            let fetched: PostgresQuery = """
                select pg_stat_get_xact_blocks_fetched('ws_default.large'::regclass),
                    pg_relation_size('ws_default.large') / 8192
                """
            let before = try await connection.query(fetched)[0].int8(0)
            let page = try await RowsPage.read(query, schema: "ws_default", table: "large", on: connection)
            let after = try await connection.query(fetched)[0]
            let lines = String(decoding: page.batch.ndjsonLines(numbers: .plain), as: UTF8.self).split(separator: "\n")
            let ids = try lines.compactMap { try JSONValue.parse(String($0))["id"]?.int.map(Int64.init) }
            return (ids, Int(try after.int8(0) - before), Int(try after.int8(1)))
        }
    }

    /// The cursor behind a row.
    private func cursor(_ id: Int, _ order: String, _ client: StoreClient) async throws -> String {
        let found = try await client.get(
            "/v1/datasets/large/rows",
            query: (order.isEmpty ? [] : [("order", order)]) + [
                ("where", order.hasSuffix(".desc") ? "id <= \(id)" : "id >= \(id)"), ("limit", "1"),
            ])
        return try #require(found.json["next_cursor"]?.string)
    }

    @Test("A page reads a small part of the table, wherever it lies", arguments: ["", "_batch.desc"])
    func blocks(order: String) async throws {
        try await with { pool, client in
            let sort = order.isEmpty ? "" : "order=\(order)&"
            let first = try await page(sort + "limit=100&columns=id", pool)
            #expect(first.ids.count == 100 && first.blocks < first.all / 8, "\(first.blocks) of \(first.all)")
            #expect(first.all > 8000)
            for middle in [1000, Self.rows / 4, Self.rows / 2 - 50, Self.rows / 2 + 50, Self.rows - 1000] {
                let cursor = try await cursor(middle, order, client)
                let found = try await page("\(sort)limit=100&columns=id&cursor=\(cursor)", pool)
                if order.isEmpty {
                    #expect(found.ids == (1...100).map { Int64(middle + $0) })
                } else {
                    // The rows of a batch come in their order.
                    #expect(found.ids.count == 100 && found.ids.allSatisfy { abs(Int($0) - middle) < 400 })
                }
                // Across a gap of a million batches the other side has to be searched for.
                let part = middle == Self.rows / 2 - 50 ? 4 : 12
                #expect(found.blocks < found.all / part, "\(found.blocks) of \(found.all) at \(middle)")
            }
        }
    }

    @Test("The index on the batch is what a page's statements are answered by")
    func plan() async throws {
        try await with { pool, client in
            let cursor = try await cursor(Self.rows / 2 + 50, "", client)
            let query = try await query("limit=100&cursor=\(cursor)", pool)
            let low = Int64(2_000_000 + Self.rows / 400)
            let window = BatchSearch.Window(low: low, high: low + 4)
            for statement in [
                query.statement(schema: "ws_default", table: "large", in: window),
                query.count(schema: "ws_default", table: "large", in: .init(low: low), most: 1000),
            ] {
                let plan = try await pool.withTransaction { connection in
                    _ = try await connection.query(PrepareRowsPage())
                    let explain = "explain (analyze, buffers, format json) " + statement.sql
                    let result = try await connection.query(
                        PostgresQuery(unsafeText: explain, statement.parameters))
                    return try JSONValue.parse(result[0].json(0))
                }
                let root = try #require(plan.array?.first?["Plan"])
                let blocks = (root["Shared Hit Blocks"]?.int ?? 0) + (root["Shared Read Blocks"]?.int ?? 0)
                let all = try await pool.int("select pg_relation_size('ws_default.large') / 8192")
                #expect(blocks > 0 && blocks < all / 20, "\(blocks) of \(all): \(plan)")
                #expect(String(decoding: plan.serialized(), as: UTF8.self).contains(#""large.batch""#))
            }
        }
    }

    @Test("Pages have every row once and in order, where few meet a condition and batches lie far apart")
    func whole() async throws {
        try await with { pool, client in
            try await pool.run(
                """
                insert into ws_default.large (id, _batch, _row, _out)
                select -g, (array[0, 5, 70, 900000, 1500000, 2099999, 9007199254740993])[g], 0, 0
                from generate_series(1, 7) g
                """)
            let condition = "id < 0 or id % 40000 = 7"
            let order = "select id::text from ws_default.large where \(condition) order by _batch, _row, _out"
            let expected = try await pool.texts(PostgresQuery(unsafeText: order))
            for descending in [false, true] {
                var found: [String] = []
                var cursor: String?
                repeat {
                    let page = try await client.get(
                        "/v1/datasets/large/rows",
                        query: [("where", condition), ("columns", "id"), ("limit", "3")]
                            + (descending ? [("order", "_batch.desc")] : []) + (cursor.map { [("cursor", $0)] } ?? []))
                    #expect(page.status == 200, "\(page.text)")
                    found += page.items.compactMap { $0["id"]?.int.map(String.init) }
                    cursor = page.json["next_cursor"]?.string
                } while cursor != nil
                #expect(found == (descending ? expected.reversed() : expected))
            }
        }
    }
}
