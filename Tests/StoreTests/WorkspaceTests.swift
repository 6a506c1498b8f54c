import Access
import HTTP
import JSON
import Postgres
import TestSupport
import Testing

@testable import Store

@Suite("Store: keys and workspaces")
struct WorkspaceTests {
    private func key(_ client: StoreClient, _ scopes: JSONValue, of workspace: String) async throws -> (String, String)
    {
        let made = try await client.post(
            "/v1/keys", ["name": "test", "scopes": scopes, "workspace": .string(workspace)])
        return (made.json["id"]?.string ?? "", made.json["key"]?.string ?? "")
    }

    @Test("A repeated request answers the key that it made, whatever has become of the room for further ones")
    func repeated() async throws {
        let database = try await StoreDatabase.make()
        try await database.withPool { pool in
            let client = try StoreClient(pool)
            let (asked, headers): (JSONValue, HTTPHeaders) = (
                ["name": "last", "scopes": ["query"]], ["idempotency-key": "the last one"]
            )
            let there = try await pool.int("select count(*) from millrace.api_key")
            let filling: PostgresQuery = """
                insert into millrace.api_key (workspace_id, name, prefix, hash, scopes)
                select 1, 'filling', '', sha256(n::text::bytea), '{query}'
                from generate_series(1, \(.int8(KeyStore.maximumCount - Int64(there) - 1))) n
                """
            try await pool.run(filling)
            let made = try await client.post("/v1/keys", asked, headers: headers)
            #expect(made.status == 201, "\(made.text)")
            #expect(try await client.post("/v1/keys", asked).code == "conflict", "the workspace is full")
            let again = try await client.post("/v1/keys", asked, headers: headers)
            #expect(again.status == 201, "\(again.text)")
            #expect(again.json["id"] == made.json["id"] && again.json["key"] == .null)
            #expect(again.headers["idempotent-replayed"] == "true")
            let other = try await client.post(
                "/v1/keys", ["name": "other", "scopes": ["query"]], headers: headers)
            #expect(other.code == "idempotency_mismatch")
        }
    }

    @Test("Of two administrators' keys that revoke each other at once, one stays")
    func race() async throws {
        let database = try await StoreDatabase.make()
        try await database.withPool(size: 6) { pool in
            let client = try StoreClient(pool)
            #expect(try await client.put("/v1/workspaces/duel", [:]).status == 201)
            for _ in 0..<10 {
                let (first, second) = (
                    try await key(client, ["admin"], of: "duel"), try await key(client, ["admin"], of: "duel")
                )
                let others: PostgresQuery = """
                    update millrace.api_key set revoked_at = now()
                    where workspace_id = (select id from millrace.workspace where name = 'duel')
                        and id not in (\(.int8(Int64(first.0) ?? 0)), \(.int8(Int64(second.0) ?? 0)))
                    """
                try await pool.run(others)
                // Each is known before, so that both revocations are let in.
                let clients = try [StoreClient(pool, key: first.1), StoreClient(pool, key: second.1)]
                for client in clients { #expect(try await client.get("/v1/keys").status == 200) }
                async let one = clients[0].delete("/v1/keys/\(second.0)")
                async let other = clients[1].delete("/v1/keys/\(first.0)")
                let answers = try await [one, other]
                #expect(answers.map(\.status).sorted() == [204, 409], "\(answers.map(\.text))")
                #expect(answers.compactMap(\.code) == ["last_admin_key"])
            }
        }
    }

    @Test("A key that is revoked while it makes another has made it before, or makes none")
    func revokedMaker() async throws {
        let database = try await StoreDatabase.make()
        try await database.withPool(size: 6) { pool in
            let client = try StoreClient(pool)
            let maker = try await key(client, ["keys:write", "query"], of: "default")
            let makers = try StoreClient(pool, key: maker.1)
            #expect(try await makers.post("/v1/keys", ["name": "a", "scopes": ["query"]]).status == 201)
            #expect(try await client.delete("/v1/keys/\(maker.0)").status == 204)
            // This process remembers it for a while; the transaction does not.
            let late = try await makers.post("/v1/keys", ["name": "b", "scopes": ["query"]])
            #expect(late.status == 401)
            #expect(try await pool.int("select count(*) from millrace.api_key where name in ('a', 'b')") == 1)
        }
    }

    @Test("A workspace goes although somebody reads a table of it, and nobody else waits")
    func removal() async throws {
        let database = try await StoreDatabase.make()
        try await database.withPool(size: 10) { pool in
            let client = try StoreClient(pool)
            #expect(try await client.put("/v1/workspaces/leaving", [:]).status == 201)
            try await pool.run("create table ws_leaving.held (x int8)")
            // What a later version adds, and refers to the workspace.
            try await pool.run("create table millrace.later (workspace_id int8 references millrace.workspace)")
            try await pool.run("insert into millrace.later select id from millrace.workspace where name = 'leaving'")
            let waiting: PostgresQuery = """
                select queue.enqueue('store', 'load', id, array['{"chunk": 1}'::jsonb], in_delay => 3600)
                from millrace.workspace where name = 'leaving'
                """
            try await pool.run(waiting)
            #expect(try await client.delete("/v1/workspaces/leaving?confirm=leaving").status == 202)
            // At once rather than after the grace.
            try await pool.run("update queue.deferred set run_at = now() where workspace = 1")
            try await LoadWorker().run(pool) {
                try await pool.withTransaction { reader in
                    try await reader.query("select count(*) from ws_leaving.held")
                    try await pool.wait(
                        until: """
                            select count(distinct j.id) from queue.outcome o join queue.job j on j.id = o.job
                            where j.kind = 'workspace.delete' and o.error like 'workspace_in_use%'
                            """, is: 1)
                    try await pool.handOver(HandedOver(ids: [1, 2, 3]))
                    try await pool.wait(
                        until: "select count(*) from millrace.application where state <> 'stored'", is: 0)
                    #expect(try await client.get("/v1/workspaces/leaving").json["state"] == "deleting")
                }
                try await pool.wait(until: "select count(*) from millrace.workspace where name = 'leaving'", is: 0)
            }
            #expect(try await pool.int("select count(*) from millrace.later") == 0)
            #expect(try await pool.int("select count(*) from pg_namespace where nspname = 'ws_leaving'") == 0)
            #expect(try await pool.int("select count(*) from pg_roles where rolname = 'millrace_ws_leaving'") == 0)
            #expect(try await pool.int("select count(*) from ws_default.orders") == 3)
            #expect(
                try await pool.int(
                    """
                    select count(*) from queue.outcome o join queue.job j on j.id = o.job
                    where j.kind = 'load' and o.state = 'cancelled'
                    """) == 1)
        }
    }
}
