import HTTP
import JSON
import Observability
import Partitions
import Postgres
import TestSupport
import Testing

@testable import Store

/// `nullable: false` for columns of tables that have rows.
@Suite("Store: columns that become NOT NULL")
struct RequiredColumnTests {
    private static let day: Int64 = 86_400_000_000
    private let stored: PostgresQuery = "select count(*) from millrace.application where state = 'stored'"
    private let checks: PostgresQuery = "select count(*) from pg_constraint where conname = 'orders.required'"
    private func definition(nullable: Bool, partitioned: Bool = false) -> JSONValue {
        let columns: JSONValue = [
            ["name": "id", "type": "int8"], ["name": "name", "type": "text", "nullable": .bool(nullable)],
            ["name": "at", "type": "timestamptz"],
        ]
        return partitioned ? ["columns": columns, "time_column": "at", "partition": "day"] : ["columns": columns]
    }

    private func with(
        partitioned: Bool = false, _ body: @Sendable (PostgresPool, StoreClient) async throws -> Void
    ) async throws {
        let database = try await StoreDatabase.make()
        // Whoever has looked at all rows waits with the locks under which it did.
        try await database.administer(Gate.script(of: "ALTER TABLE", matching: "validate constraint|set not null"))
        try await database.withPool(size: 10) { pool in
            let client = try StoreClient(pool)
            let made = try await client.put(
                "/v1/datasets/orders", definition(nullable: true, partitioned: partitioned))
            #expect(made.status == 201)
            try await LoadWorker().run(pool) {
                try await pool.handOver(HandedOver(ids: [1, 2], names: ["a", "b"], times: [today, today - Self.day]))
                try await pool.wait(until: self.stored, is: 1)
                try await body(pool, client)
            }
        }
    }

    /// Runs `body` while the scan of a PUT is held up; gives the PUT's answer.
    private func put(
        _ definition: JSONValue, _ pool: PostgresPool, _ client: StoreClient,
        meanwhile body: @Sendable () async throws -> Void
    ) async throws -> StoreClient.Answer {
        try await pool.run(Gate.shut)
        async let answer = client.put("/v1/datasets/orders", definition)
        try await pool.wait(until: Gate.waiting, is: 1)
        try await body()
        try await pool.run(Gate.open)
        return try await answer
    }

    private var today: Int64 { Int64(TimePartitioning(column: "at", grain: .day).window.today) * Self.day }

    @Test("While the rows are looked at, readers read and loads are stored; one without a value is quarantined")
    func nobodyWaits() async throws {
        try await with { pool, client in
            let answer = try await put(definition(nullable: false), pool, client) {
                try await pool.withTransaction { reader in
                    try await reader.query("set local lock_timeout = '100ms'")
                    #expect(try await reader.query("select count(*) from ws_default.orders")[0].int(0) == 2)
                }
                try await pool.handOver(HandedOver(ids: [3], names: ["c"], times: [today]))
                try await pool.wait(until: stored, is: 2)
                try await pool.handOver(HandedOver(ids: [4, 5], times: [today, today]))
                try await pool.wait(until: stored, is: 3)
                #expect(try await pool.int("select count(*) from ws_default.orders") == 3)
            }
            #expect(answer.status == 200)
            #expect(answer.json["columns"]?[1]?["nullable"] == false)
            #expect(
                try await pool.texts("select errors -> 0 ->> 'code' from landing.quarantine")
                    == ["not_null", "not_null"])
            #expect(try await pool.int(checks) == 0)
            #expect(
                try await pool.int(
                    """
                    select count(*) from pg_attribute
                    where attrelid = 'ws_default.orders'::regclass and attname = 'name' and attnotnull
                    """) == 1)
        }
    }

    @Test("Partitions are looked at one by one, and new ones are made meanwhile")
    func partitions() async throws {
        try await with(partitioned: true) { pool, client in
            let answer = try await put(definition(nullable: false, partitioned: true), pool, client) {
                try await pool.handOver(HandedOver(ids: [3], names: ["c"], times: [today - 9 * Self.day]))
                try await pool.wait(until: stored, is: 2)
            }
            #expect(answer.status == 200)
            #expect(try await pool.int(checks) == 0)
            #expect(
                try await pool.int(
                    """
                    select count(*) from pg_attribute a join pg_inherits i on i.inhrelid = a.attrelid
                    where i.inhparent = 'ws_default.orders'::regclass and a.attname = 'name' and not a.attnotnull
                    """) == 0)
            #expect(try await pool.int("select count(*) from ws_default.orders") == 3)
        }
    }

    @Test("A row without a value is 409 with the path, also one that came in between, and leaves no check")
    func missing() async throws {
        try await with { pool, client in
            try await pool.handOver(HandedOver(ids: [3], times: [today]))
            try await pool.wait(until: stored, is: 2)
            let refused = try await client.put("/v1/datasets/orders", definition(nullable: false))
            #expect(refused.status == 409)
            #expect(refused.code == "incompatible_change")
            #expect(refused.json["errors"]?[0]?["path"] == "columns[1].nullable")
            #expect(try await pool.int(checks) == 0)

            let required = RequiredColumns(schema: "ws_default", table: "orders", columns: ["name"])
            let isChecked = try await pool.withTransaction { try await required.isChecked($0) }
            #expect(!isChecked)
            await #expect(throws: RequiredColumns.Missing.self) { try await required.scan(pool) }
            #expect(try await client.get("/v1/datasets/orders").json["version"] == 1)
        }
    }

    @Test("Who dies in between is followed by a repetition, another definition, or maintenance")
    func death() async throws {
        try await with { pool, client in
            let wanted = definition(nullable: false)
            let killed = try await put(wanted, pool, client) { try await pool.run(Gate.kill) }
            #expect(killed.status == 503)
            #expect(try await pool.int(checks) == 1)
            #expect(try await client.put("/v1/datasets/orders", wanted).status == 200)
            #expect(try await pool.int(checks) == 0)

            #expect(try await client.put("/v1/datasets/orders", definition(nullable: true)).status == 200)
            _ = try await put(wanted, pool, client) { try await pool.run(Gate.kill) }
            #expect(try await pool.int(checks) == 1)
            let other: JSONValue = ["columns": [["name": "id", "type": "int8"]], "on_new_column": "extra"]
            #expect(try await client.put("/v1/datasets/orders", other).status == 200)
            #expect(try await pool.int(checks) == 0)

            _ = try await put(wanted, pool, client) { try await pool.run(Gate.kill) }
            #expect(try await pool.int(checks) == 1)
            // Also the definition that it has still.
            #expect(try await client.put("/v1/datasets/orders", other).status == 200)
            #expect(try await pool.int(checks) == 0)

            _ = try await put(wanted, pool, client) { try await pool.run(Gate.kill) }
            #expect(try await pool.int(checks) == 1)
            let maintenance = LandingMaintenance(
                pool: pool, retirement: PartitionRetirement(pool: pool, settings: .init(), logger: .silent),
                settings: .init(), logger: .silent)
            _ = try await maintenance.maintain()
            #expect(try await pool.int(checks) == 0)
        }
    }

    @Test("A PUT that fails for a lock, or because the dataset is another one by then, takes its check away")
    func failure() async throws {
        try await with { pool, client in
            let wanted = definition(nullable: false)
            let locked = try await pool.withTransaction { holder in
                try await pool.run(Gate.shut)
                async let answer = client.put("/v1/datasets/orders", wanted)
                try await pool.wait(until: Gate.waiting, is: 1)
                // The last step looks at the columns, for as long as it waits for a lock.
                try await holder.query("lock table millrace.dataset_column in access exclusive mode")
                try await pool.run(Gate.open)
                return try await answer
            }
            #expect(locked.status != 200)
            #expect(try await pool.int(checks) == 0)

            let version = try await pool.int("select schema_version from millrace.dataset")
            try await pool.run(Gate.shut)
            async let answer = client.put("/v1/datasets/orders", wanted, headers: ["if-match": "\"v\(version)\""])
            try await pool.wait(until: Gate.waiting, is: 1)
            #expect(try await pool.int(checks) == 1)
            try await pool.run("update millrace.dataset set schema_version = schema_version + 1")
            try await pool.run(Gate.open)
            #expect(try await answer.status == 412)
            #expect(try await pool.int(checks) == 0)
        }
    }
}
