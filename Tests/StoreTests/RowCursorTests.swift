import HTTP
import JSON
import Postgres
import TestSupport
import Testing

@testable import Store

@Suite("Store: pages of rows while others write")
struct RowCursorTests {
    /// 600 rows with many ties, NULLs, NaN, and three of one record each; every fifth is a duplicate in all but `id`.
    private static let table: [PostgresQuery] = [
        "insert into millrace.dataset (workspace_id, name, table_created) values (1, 'kinds', true)",
        """
        insert into millrace.dataset_column (dataset_id, ordinal, name, type, state, since_version)
        select d.id, n, c, t, 'applied', 1 from millrace.dataset d,
            unnest(array['id','f','n','t','j'], array['int8','float8','numeric','text','jsonb'])
                with ordinality as x (c, t, n)
        """,
        """
        create table ws_default.kinds (id int8, f float8, n numeric, t text collate "C", j jsonb, _extra jsonb,
            _batch int8 not null, _row int4 not null, _out int4 not null)
        """,
    ]

    private static func insert(_ ids: ClosedRange<Int>) -> PostgresQuery {
        """
        insert into ws_default.kinds
        select i, case when i % 7 = 0 then null when i % 5 = 0 then 'NaN' when i % 11 = 0 then '-Infinity'
                else i % 4 / 3.0 end, case when i % 6 = 0 then null when i % 13 = 0 then 'NaN' else i % 9 / 7.0 end,
            case when i % 4 > 0 then 'tie ' || i % 3 end, to_jsonb(i), null, i / 300, i / 3, 0
        from generate_series(\(.int8(Int64(ids.lowerBound))), \(.int8(Int64(ids.upperBound)))) i
        """
    }

    private func with(_ body: @Sendable (PostgresPool, StoreClient) async throws -> Void) async throws {
        let database = try await StoreDatabase.make()
        try await database.withPool(size: 6) { pool in
            for statement in Self.table { try await pool.run(statement) }
            try await pool.run(Self.insert(1...600))
            try await body(pool, StoreClient(pool))
        }
    }

    static let orders = [
        "", "f", "f.desc", "n.desc,t", "t.desc", "t,f.desc,n", "_row.desc,f", "_batch.desc", "_batch,f",
    ]

    @Test("Rows that were there all along come once each and in order, while others come and go", arguments: orders)
    func steady(order: String) async throws {
        try await with { pool, client in
            var cursor: String?
            var seen: [Int] = []
            var round = 0
            repeat {
                let query =
                    [("columns", "id"), ("limit", "37")] + (order.isEmpty ? [] : [("order", order)])
                    + (cursor.map { [("cursor", $0)] } ?? [])
                let page = try await client.get("/v1/datasets/kinds/rows", query: query)
                #expect(page.status == 200, "\(page.text)")
                seen += page.items.compactMap { $0["id"]?.int }
                cursor = page.json["next_cursor"]?.string
                round += 1
                // Others come among them, before and behind; those of a page that was given go, the last one too.
                if round < 25 { try await pool.run(Self.insert(1000 + round * 60...1050 + round * 60)) }
                if let last = seen.last(where: { $0 <= 600 }) {
                    try await pool.run("delete from ws_default.kinds where id = \(.int8(Int64(last)))")
                }
                try #require(round < 200)
            } while cursor != nil
            let old = seen.filter { $0 <= 600 }
            #expect(Set(old).count == 600 && old.count == 600)
            #expect(Set(seen).count == seen.count)
        }
    }

    @Test("Pages of rows that nobody changes are those of one query", arguments: orders)
    func ordered(order: String) async throws {
        try await with { _, client in
            let sort = order.isEmpty ? [] : [("order", order)]
            let whole = try await client.get(
                "/v1/datasets/kinds/rows", query: [("columns", "id"), ("limit", "10000")] + sort)
            var pages: [JSONValue] = []
            var cursor: String?
            repeat {
                let more = cursor.map { [("cursor", $0)] } ?? []
                let page = try await client.get(
                    "/v1/datasets/kinds/rows", query: [("columns", "id"), ("limit", "7")] + sort + more)
                pages += page.items
                cursor = page.json["next_cursor"]?.string
            } while cursor != nil
            #expect(pages == whole.items && pages.count == 600)
        }
    }

    @Test("A cursor of another list, one that was made up, and one of a dataset that has changed are refused")
    func refused() async throws {
        try await with { pool, client in
            let order = [("order", "f.desc,n"), ("limit", "5")]
            let first = try await client.get("/v1/datasets/kinds/rows", query: order)
            let cursor = try #require(first.json["next_cursor"]?.string)
            let bytes = try #require(Base64URL.decode(cursor))
            guard case .array(let values) = try JSONValue.parse(bytes) else { return }
            var wrong: [String] = [String(cursor.dropLast(3)), "x", Base64URL.encode(Array("[]".utf8))]
            for place in values.indices {
                for value: JSONValue in ["x'; drop table ws_default.kinds; --", 5, [], "1) or (1=1", "", nil] {
                    // NULL is a place in the order, and a NULL's place has no value.
                    if value == nil, place == 1 || place == 2 { continue }
                    var other = values
                    other[place] = value
                    wrong.append(Base64URL.encode(JSONValue.array(other).serialized()))
                }
            }
            for text in wrong {
                let answer = try await client.get("/v1/datasets/kinds/rows", query: order + [("cursor", text)])
                #expect(answer.code == "invalid_cursor", "\(text): \(answer.text)")
            }
            let other = try await client.get(
                "/v1/datasets/kinds/rows", query: [("order", "f,n"), ("cursor", cursor)])
            #expect(other.code == "invalid_cursor")
            #expect(
                try await client.get("/v1/datasets/kinds/rows", query: [("order", "j")]).code == "invalid_parameter")
            try await pool.run("update millrace.dataset_column set type = 'text' where name = 'f'")
            try await pool.run("alter table ws_default.kinds alter f type text")
            let changed = try await client.get("/v1/datasets/kinds/rows", query: order + [("cursor", cursor)])
            #expect(changed.code == "invalid_cursor")
            #expect(try await pool.int("select count(*) from ws_default.kinds") == 600)
        }
    }
}
