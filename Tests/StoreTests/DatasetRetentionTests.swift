import JSON
import Lifecycle
import Observability
import Postgres
import TestSupport
import Testing

@testable import Store

@Suite("Store: retention of datasets")
struct DatasetRetentionTests {
    private static let day: Int64 = 86_400_000_000
    private static let lockTimeout = Duration.milliseconds(500)
    private static let stored: PostgresQuery = "select count(*) from millrace.application where state = 'stored'"
    private let rule = TimePartitioning(column: "at", grain: .day, retention: .seconds(7 * 86_400))

    private func maintenance(_ pool: PostgresPool) -> TimePartitionMaintenance {
        TimePartitionMaintenance(
            pool: pool, makingTimeout: Self.lockTimeout, removalTimeout: Self.lockTimeout, logger: .silent)
    }

    /// What rollups go by; set before rows leave.
    private func retainedFrom(_ pool: PostgresPool) async throws -> [Int64] {
        let from: PostgresQuery = "select retained_from from millrace.dataset where retained_from is not null"
        let rows = try await pool.withConnection { try await $0.query(from) }
        return try (0..<rows.rowCount).map { try rows[$0].timestamp(0) }
    }

    /// A dataset with rows of the last 15 days, whose retention has become a week.
    private func prepared(_ body: @Sendable (PostgresPool, StoreClient, Int64) async throws -> Void) async throws {
        let database = try await StoreDatabase.make()
        try await database.withPool(size: 8) { pool in
            let client = try StoreClient(pool)
            let columns: JSONValue = [["name": "id", "type": "int8"], ["name": "at", "type": "timestamptz"]]
            let kept: JSONValue = ["columns": columns, "time_column": "at", "partition": "day"]
            #expect(try await client.put("/v1/datasets/orders", kept).status == 201)
            let today = Int64(rule.window.today) * Self.day
            let times = (0..<15).map { Optional(today - Int64($0) * Self.day) }
            try await pool.handOver(HandedOver(ids: Array(0..<15), times: times))
            try await LoadWorker().run(pool) { try await pool.wait(until: Self.stored, is: 1) }
            let shorter: JSONValue = [
                "columns": columns, "time_column": "at", "partition": "day", "retention": "7d",
            ]
            #expect(try await client.put("/v1/datasets/orders", shorter).status == 200)
            try await body(pool, client, today)
        }
    }

    @Test("Partitions are made ahead and dropped when they are old, and what comes late is filtered, not brought back")
    func drops() async throws {
        try await prepared { pool, _, today in
            #expect(try await maintenance(pool).run() == .init(made: 3, dropped: 7, held: 0))
            #expect(try await maintenance(pool).run() == .init())
            #expect(try await retainedFrom(pool) == [today - 7 * Self.day])
            #expect(try await pool.int("select max(id) from ws_default.orders") == 7)
            try await pool.handOver(HandedOver(ids: [100, 101], times: [today - 9 * Self.day, today]))
            try await LoadWorker().run(pool) { try await pool.wait(until: Self.stored, is: 2) }
            #expect(try await pool.int("select count(*) from ws_default.orders") == 9)
            #expect(try await pool.int("select filtered from millrace.application order by batch_id desc limit 1") == 1)
            #expect(try await pool.int("select stored from millrace.application order by batch_id limit 1") == 15)
        }
    }

    static let holders: [[PostgresQuery]] = [
        // An open insert into the partition itself, one elsewhere, and an open snapshot that has read.
        ["insert into ws_default.orders select id, at, null, 0, 0, 0 from ws_default.orders order by at limit 1"],
        ["insert into ws_default.orders select id, at, null, 0, 0, 0 from ws_default.orders order by at desc limit 1"],
        ["set transaction isolation level repeatable read", "select count(*) from ws_default.orders"],
    ]

    @Test(
        "While a transaction holds what has expired, nobody else waits longer than the lock timeout", arguments: 0..<3)
    func held(_ place: Int) async throws {
        try await prepared { pool, _, _ in
            let stop = ShutdownSignal()
            let rounds = try await withThrowingTaskGroup(of: Int.self) { group in
                group.addTask {
                    var rounds = 0
                    while !stop.isRequested {
                        try await pool.withTransaction { connection in
                            try await connection.query(
                                "set local lock_timeout = \(literal: "\(3 * Self.lockTimeout.milliseconds)ms")")
                            try await connection.query("select count(*) from ws_default.orders")
                            try await connection.query(
                                """
                                insert into ws_default.orders select 50, now(), null, 0, 0, 0
                                where exists (select from ws_default.orders)
                                """)
                        }
                        rounds += 1
                    }
                    return rounds
                }
                try await pool.withTransaction { holder in
                    for statement in Self.holders[place] { try await holder.query(statement) }
                    let outcome = try await maintenance(pool).run()
                    #expect(outcome.held > 0 && outcome.dropped == 0)
                    try await holder.query("select count(*) from ws_default.orders")
                }
                stop.request()
                return try await group.reduce(0, +)
            }
            #expect(rounds > 0)
            #expect(try await maintenance(pool).run().dropped == 7)
            #expect(try await maintenance(pool).run() == .init())
            #expect(try await pool.int("select max(id) from ws_default.orders where id < 50") == 7)
        }
    }

    @Test("What was detached and not dropped goes, also of a dataset that is gone")
    func leftovers() async throws {
        try await prepared { pool, client, _ in
            let oldest = try await pool.texts(
                "select name from millrace.time_partitions('ws_default', 'orders') limit 1")
            try await pool.run(
                "alter table ws_default.orders detach partition \(identifier: "ws_default", oldest[0])")
            #expect(try await client.delete("/v1/datasets/orders?confirm=orders").status == 204)
            #expect(try await pool.int("select count(*) from pg_tables where schemaname = 'ws_default'") == 1)
            #expect(try await maintenance(pool).run() == .init(made: 0, dropped: 1, held: 0))
            #expect(try await pool.int("select count(*) from pg_tables where schemaname = 'ws_default'") == 0)
        }
    }
}
