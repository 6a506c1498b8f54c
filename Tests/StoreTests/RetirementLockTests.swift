import Lifecycle
import Observability
import Partitions
import Postgres
import TestSupport
import Testing

@testable import Store

@Suite("Store: partitions that expire while they are in use")
struct RetirementLockTests {
    private static let lockTimeout = Duration.milliseconds(500)

    private func retirement(_ pool: PostgresPool) throws -> PartitionRetirement {
        var settings = PartitionRetirement.Settings()
        settings.margin = .zero
        settings.lockTimeout = Self.lockTimeout
        return PartitionRetirement(pool: pool, settings: settings, logger: .silent)
    }

    /// A stored batch in slot 0, which is sealed; others go into slot 1.
    private func prepare(_ pool: PostgresPool) async throws {
        try await pool.run("insert into millrace.source (workspace_id, name) values (1, 's')")
        try await pool.run(
            """
            with b as (insert into millrace.batch (id, source_id, format, records, raw_bytes, stored_bytes,
                    receipt_ends, request_ids)
                select 7, id, 'ndjson', 1, 1, 1, '{1}', '{r}' from millrace.source returning id)
            insert into landing.payload select id, 'raw' from b
            """)
        try await pool.run("select setval('millrace.batch_id', 150000)")
        let deadline = ContinuousClock.now + .seconds(60)
        while try await pool.int("select sealed from landing.rotation where ids = 'millrace.batch_id'") == 0 {
            try #require(ContinuousClock.now < deadline, "a transaction of another database stays open")
            #expect(try await retirement(pool).run() == PartitionRemoval.Outcome())
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    /// What everybody else does with landing, over and over until `body` ends; nothing of it may wait for a lock longer
    /// than the lock timeout, with as much again and more for a busy machine. Gives how often it was done.
    private func besides(_ pool: PostgresPool, _ body: @Sendable () async throws -> Void) async throws -> Int {
        let stop = ShutdownSignal()
        return try await withThrowingTaskGroup(of: Int.self) { group in
            group.addTask {
                var rounds = 0
                while !stop.isRequested {
                    try await pool.withTransaction { connection in
                        try await connection.query(
                            "set local lock_timeout = \(literal: "\(3 * Self.lockTimeout.milliseconds)ms")")
                        try await connection.query(
                            "insert into landing.payload select nextval('millrace.batch_id'), 'raw'")
                        try await connection.query("select count(*) from landing.payload")
                        try await connection.query(
                            "select body from landing.payload where batch_id = any('{7,150001}')")
                        try await connection.query("select sum(pg_total_relation_size(inhrelid)) from pg_inherits")
                        try await connection.query("select landing.make_partitions()")
                    }
                    rounds += 1
                }
                return rounds
            }
            let result: Result<Void, any Error>
            do { result = .success(try await body()) } catch { result = .failure(error) }
            stop.request()
            try result.get()
            return try await group.reduce(0, +)
        }
    }

    static let holders: [[PostgresQuery]] = [
        // An open insert into the partition itself, one elsewhere, and an open snapshot that has read.
        ["insert into landing.payload values (8, 'raw')"],
        ["insert into landing.payload select nextval('millrace.batch_id'), 'raw'"],
        ["set transaction isolation level repeatable read", "select count(*) from landing.payload"],
    ]

    @Test(
        "While a transaction holds a partition that has expired, nobody else waits longer than the lock timeout",
        arguments: holders.indices)
    func held(_ place: Int) async throws {
        let database = try await StoreDatabase.make()
        try await database.withPool(size: 8) { pool in
            try await prepare(pool)
            let rounds = try await besides(pool) {
                try await pool.withTransaction { holder in
                    for statement in Self.holders[place] { try await holder.query(statement) }
                    try await pool.run("update millrace.batch set received_at = now() - interval '8 days'")
                    let outcome = try await retirement(pool).run()
                    #expect(outcome == PartitionRemoval.Outcome(dropped: 0, held: 1))
                    let raw = try await holder.query("select count(*) from landing.payload where batch_id = 7")
                    #expect(try raw[0].int(0) <= 1, "the holder goes on")
                }
            }
            #expect(rounds > 0)
            let outcome = try await retirement(pool).run()
            #expect(outcome == PartitionRemoval.Outcome(dropped: 1, held: 0))
            #expect(try await pool.int("select count(*) from pg_tables where tablename = 'payload_0'") == 0)
        }
    }

    @Test("A round that was interrupted is taken up from where it stands: pending, detached, dropped")
    func resumes() async throws {
        let database = try await StoreDatabase.make()
        try await database.withPool(size: 6) { pool in
            try await prepare(pool)
            try await pool.run("update millrace.batch set received_at = now() - interval '8 days'")
            let statement = RetirePartitions(
                rawRetention: 3600, quarantineRetention: 86_400 * 30, batchRotation: 86_400, chunkRotation: 86_400,
                margin: 0, limit: 8)
            let stages: @Sendable () async throws -> [LeavingPartition.Stage] = {
                try await pool.withConnection { try await $0.query(statement) }.map(\.stage)
            }
            #expect(try await stages() == [.attached])
            try await pool.withTransaction { holder in
                try await holder.query("insert into landing.payload values (8, 'raw')")
                #expect(try await retirement(pool).run().held == 1)
            }
            #expect(try await stages() == [.pending])
            try await pool.run("alter table landing.payload detach partition landing.payload_0 finalize")
            #expect(try await stages() == [.detached])
            #expect(try await retirement(pool).run() == PartitionRemoval.Outcome(dropped: 1, held: 0))
            #expect(try await stages().isEmpty)
            #expect(try await retirement(pool).run() == PartitionRemoval.Outcome())
        }
    }
}
