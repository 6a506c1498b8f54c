import Access
import HTTP
import JSON
import Postgres
import TestSupport
import Testing

@testable import Store

@Suite("Store: /v1/datasets")
struct DatasetRouteTests {
    private let definition: JSONValue = [
        "columns": [
            ["name": "id", "type": "int8"], ["name": "name", "type": "text", "collation": "und-x-icu"],
            ["name": "at", "type": "timestamptz"],
        ],
        "primary_key": ["id"], "time_column": "at",
    ]

    private func with(_ body: @Sendable (PostgresPool, StoreClient) async throws -> Void) async throws {
        let database = try await StoreDatabase.make()
        try await database.withPool(size: 6) { pool in try await body(pool, StoreClient(pool)) }
    }

    @Test("Put makes it once; the same again changes nothing; a change makes a version; If-Match guards")
    func puts() async throws {
        try await with { _, client in
            let first = try await client.put("/v1/datasets/orders", definition)
            #expect(first.status == 201)
            #expect(first.headers["etag"] == "\"v1\"")
            #expect(first.json["columns"]?[0]?["nullable"] == false, "a column of the key takes no NULL")
            let again = try await client.put("/v1/datasets/orders", definition)
            #expect(again.status == 200)
            #expect(again.json["version"] == 1)
            var wider = definition
            if case .object(var object) = wider {
                object["on_new_column"] = "extra"
                wider = .object(object)
            }
            let refused = try await client.put("/v1/datasets/orders", wider, headers: ["if-match": "\"v7\""])
            #expect(refused.status == 412)
            let changed = try await client.put("/v1/datasets/orders", wider, headers: ["if-match": "\"v1\""])
            #expect(changed.status == 200)
            #expect(changed.json["version"] == 2)
            #expect(try await client.get("/v1/datasets/orders").json["on_new_column"] == "extra")
            #expect(try await client.get("/v1/datasets").items.map { $0["name"] } == ["orders"])
            #expect(try await client.get("/v1/datasets/none").code == "not_found")
        }
    }

    @Test("Every mistake of a definition is named with its path")
    func refusesMistakes() async throws {
        try await with { _, client in
            let wrong: JSONValue = [
                "columns": [
                    ["name": "_a", "type": "text"], ["name": "b", "type": "int4"], ["name": "c", "type": "jsonb"],
                    ["name": "c", "type": "bool", "collation": "C"], ["name": "", "type": "text"],
                ],
                "primary_key": ["c", "z"], "time_column": "c", "partition": "week",
            ]
            let answer = try await client.put("/v1/datasets/orders", wrong)
            #expect(answer.status == 422)
            #expect(answer.code == "invalid_dataset")
            let paths = Set((answer.json["errors"]?.array ?? []).compactMap { $0["path"]?.string })
            #expect(
                paths == [
                    "columns[0].name", "columns[1].type", "columns[3].collation", "columns[3].name", "columns[4].name",
                    "primary_key", "time_column", "partition",
                ])
            let unknown = try await client.put("/v1/datasets/orders", ["colums": []])
            #expect(unknown.code == "unknown_field")
            #expect(try await client.put("/v1/datasets/Orders", [:]).code == "invalid_name")
        }
    }

    @Test("What rows forbid is 409 with the paths; without rows any change is taken, and loads go on")
    func guardsRows() async throws {
        try await with { pool, client in
            _ = try await client.put("/v1/datasets/orders", definition)
            let changed: JSONValue = [
                "columns": [["name": "id", "type": "text"], ["name": "must", "type": "int8", "nullable": false]]
            ]
            try await LoadWorker().run(pool) {
                try await pool.handOver(HandedOver(ids: [1, 2], names: ["a", "b"]))
                try await pool.wait(until: "select count(*) from millrace.application where state = 'stored'", is: 1)
                let refused = try await client.put("/v1/datasets/orders", changed)
                #expect(refused.status == 409)
                #expect(refused.code == "incompatible_change")
                let paths = (refused.json["errors"]?.array ?? []).compactMap { $0["path"]?.string }
                #expect(paths == ["columns[0].type", "columns[1].nullable", "primary_key"])
                #expect(try await client.get("/v1/datasets/orders").json["version"] == 1)

                try await pool.run("delete from ws_default.orders")
                let taken = try await client.put("/v1/datasets/orders", ["columns": [["name": "id", "type": "int8"]]])
                #expect(taken.status == 200)
                // The key is gone: the table is made anew under the worker, which remembers the old one.
                try await pool.handOver(HandedOver(ids: [5, 5], names: ["c", "d"]))
                try await pool.wait(until: "select count(*) from millrace.application where state = 'stored'", is: 2)
                #expect(try await pool.int("select count(*) from ws_default.orders") == 2)
            }
        }
    }

    @Test("Delete wants its name twice, and no pipeline that writes into it")
    func deletes() async throws {
        try await with { pool, client in
            try await pool.handOver(HandedOver(ids: [1]))
            try await LoadWorker().run(pool) {
                try await pool.wait(until: "select count(*) from millrace.application where state = 'stored'", is: 1)
            }
            #expect(try await client.delete("/v1/datasets/orders").code == "confirmation_required")
            try await pool.run(
                """
                with p as (insert into millrace.pipeline (workspace_id, name, source_id, version)
                    select 1, 'feed', id, 1 from millrace.source returning id)
                insert into millrace.pipeline_version (pipeline_id, version, definition, fingerprint)
                select id, 1, '{"target": {"dataset": "orders"}}', '' from p
                """)
            #expect(try await client.delete("/v1/datasets/orders?confirm=orders").code == "in_use")
            try await pool.run("update millrace.pipeline set active = false where name = 'feed'")
            #expect(try await client.delete("/v1/datasets/orders?confirm=orders").status == 204)
            #expect(try await client.get("/v1/datasets/orders").status == 404)
            #expect(try await pool.int("select count(*) from pg_tables where schemaname = 'ws_default'") == 0)
        }
    }

    @Test("A key of another workspace sees nothing; one without the scope is refused")
    func separates() async throws {
        try await with { pool, client in
            _ = try await client.put("/v1/datasets/orders", definition)
            let stranger = try APIKey.generate()
            let reader = try APIKey.generate()
            try await pool.run(
                """
                with w as (insert into millrace.workspace (name, schema_name, query_role)
                    values ('other', 'ws_other', 'millrace_ws_other') returning id)
                insert into millrace.api_key (workspace_id, name, prefix, hash, scopes)
                select id, 'stranger', '', \(.bytes(stranger.hash.bytes)), '{admin}'::text[] from w
                union all select 1, 'reader', '', \(.bytes(reader.hash.bytes)), '{datasets:read}'
                """)
            let other = try StoreClient(pool, key: stranger.reveal())
            for path in ["", "/rows", "/quarantine", "/lineage?batch=1&row=0"] {
                #expect(try await other.get("/v1/datasets/orders\(path)").status == 404)
            }
            #expect(try await other.get("/v1/datasets").items.isEmpty)
            #expect(try await other.delete("/v1/datasets/orders?confirm=orders").status == 404)
            let limited = try StoreClient(pool, key: reader.reveal())
            #expect(try await limited.get("/v1/datasets/orders").status == 200)
            #expect(try await limited.get("/v1/datasets/orders/quarantine").status == 403)
            #expect(try await limited.put("/v1/datasets/orders", definition).status == 403)
        }
    }
}
