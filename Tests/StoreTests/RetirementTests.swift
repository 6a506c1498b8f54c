import JSON
import Observability
import Postgres
import TestSupport
import Testing

@testable import Store

@Suite("Store: partitions that expire")
struct RetirementTests {
    private static let lockTimeout = Duration.milliseconds(500)

    private func retirement(_ pool: PostgresPool, rotation: Duration = .seconds(86_400)) throws -> PartitionRetirement {
        var settings = PartitionRetirement.Settings()
        settings.batchRotation = rotation
        settings.chunkRotation = rotation
        settings.margin = .zero
        settings.lockTimeout = Self.lockTimeout
        return PartitionRetirement(pool: pool, settings: settings, logger: .silent)
    }

    /// Runs until the query's first value is `expected`: a slot is sealed only when every transaction of the cluster
    /// that was running has ended.
    private func retire(
        _ pool: PostgresPool, until query: PostgresQuery, is expected: Int, rotation: Duration = .seconds(86_400)
    ) async throws {
        let retirement = try retirement(pool, rotation: rotation)
        let deadline = ContinuousClock.now + .seconds(60)
        while try await pool.int(query) != expected {
            try #require(ContinuousClock.now < deadline, "\(query.sql)")
            _ = try await retirement.run()
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    private func partitions(_ pool: PostgresPool, of parent: String) async throws -> [String] {
        try await pool.texts(
            """
            select c.relname::text from pg_inherits i join pg_class c on c.oid = i.inhrelid
            where i.inhparent = (\(.text("landing." + parent)))::regclass order by c.relname
            """)
    }

    /// One batch in each of the slots 0, 1, …, of an age and with an application in a state.
    private func land(_ batches: [(age: String, state: String, source: String)], _ pool: PostgresPool) async throws {
        for slot in [0, 450_000, 850_000] {
            try await pool.run("select setval('millrace.batch_id', greatest(1, \(.int8(Int64(slot)))))")
            try await pool.run("select landing.make_partitions()")
        }
        for (slot, batch) in batches.enumerated() {
            let id = Int64(slot * 100_000 + 7)
            try await pool.run(
                """
                with s as (insert into millrace.source (workspace_id, name) values (1, \(.text(batch.source)))
                    on conflict (workspace_id, name) where deleted_at is null
                    do update set name = excluded.name returning id),
                p as (insert into millrace.pipeline (workspace_id, name, source_id, version, active)
                    select 1, 'p', id, 1, false from s returning id),
                b as (insert into millrace.batch (id, source_id, format, records, raw_bytes, stored_bytes, receipt_ends,
                        request_ids, received_at)
                    select \(.int8(id)), s.id, 'ndjson', 1, 1, 1, '{1}', '{r}', now() - \(.text(batch.age))::interval
                    from s returning id, source_id),
                a as (insert into millrace.application (batch_id, pipeline_id, output, source_id, state, received)
                    select b.id, p.id, 0, b.source_id, \(.text(batch.state)), 1 from b, p)
                insert into landing.payload select id, 'raw' from b
                """)
        }
    }

    private let dropped: PostgresQuery = """
        select count(*) from landing.expired where parent = 'payload' and dropped_at is not null
        """

    @Test("Raw batches leave after their retention, but not what is unfinished, kept, or a dead letter")
    func leaves() async throws {
        let database = try await StoreDatabase.make()
        try await database.withPool { pool in
            try await land(
                [
                    ("8 days", "stored", "a"), ("8 days", "accepted", "a"), ("8 days", "stored", "keeper"),
                    ("8 days", "failed", "a"), ("8 days", "stored", "b"), ("6 days", "stored", "a"),
                    ("8 days", "stored", "a"),
                ], pool)
            try await pool.run(
                "update millrace.source set settings = '{\"retention\": {\"raw\": \"9d\"}}' where name = 'keeper'")
            try await pool.run(
                """
                with u as (insert into millrace.upload (source_id, request_id)
                    select id, 'r' from millrace.source where name = 'b' returning id)
                update millrace.batch b set upload_id = u.id from u where b.id = 400007
                """)
            try await retire(pool, until: dropped, is: 1)
            let kept = (1...11).map { "payload_\($0)" }.sorted()
            #expect(try await partitions(pool, of: "payload") == kept)
            #expect(try await pool.int("select count(*) from landing.payload where batch_id < 100000") == 0)
            #expect(
                try await pool.int(
                    "select count(*) from landing.expired where low = 0 and high = 100000 and expired_at <= now()") == 1
            )

            try await pool.run("update millrace.application set state = 'stored' where batch_id = 100007")
            try await pool.run("update millrace.batch set received_at = now() - interval '10 days' where id = 200007")
            try await pool.run("update millrace.upload set state = 'accepted'")
            try await retire(pool, until: dropped, is: 4)
            try await pool.run("update millrace.batch set received_at = now() - interval '31 days' where id = 300007")
            _ = try await pool.int(
                """
                select cardinality(queue.enqueue('transform', 'transform', 1,
                    array[jsonb_build_object('batch', 300007, 'pipeline', 1)]))
                """)
            _ = try await retirement(pool).run()
            #expect(try await pool.int(dropped) == 4, "its job is alive again")
            try await pool.run("delete from queue.ready")
            try await retire(pool, until: dropped, is: 5)
            #expect(try await partitions(pool, of: "payload").first == "payload_10", "5, 6 and those to come")
            #expect(try await partitions(pool, of: "quarantine").count == 12, "younger than 30 days")
            let ledger = try await pool.int(
                "select count(*) from millrace.batch join millrace.application on batch_id = id")
            #expect(ledger == 7)
        }
    }

    @Test("A slow trickle leaves, too: ids move on in time, and none is given out twice meanwhile")
    func rotates() async throws {
        let database = try await StoreDatabase.make()
        try await database.withPool(size: 6) { pool in
            try await pool.handOver(HandedOver(ids: [1, 2], requests: [1, 1]))
            try await LoadWorker().run(pool) {
                try await pool.wait(until: "select count(*) from millrace.application where state = 'stored'", is: 1)
            }
            let client = try StoreClient(pool)
            let path = "/v1/datasets/orders/lineage?batch=1&row=1"
            #expect(try await client.get(path).items.first?["raw"] == #"{"id": 2}"#)
            let sealed: PostgresQuery = "select min(sealed)::int8 from landing.rotation"
            let drawn = try await withThrowingTaskGroup(of: [String].self) { group in
                for _ in 0..<2 {
                    group.addTask {
                        var drawn: [String] = []
                        while try await pool.int(sealed) == 0 {
                            drawn += try await pool.texts(
                                "select nextval('millrace.batch_id')::text from generate_series(1, 100)")
                        }
                        return drawn
                    }
                }
                try await retire(pool, until: sealed, is: 1, rotation: .zero)
                return try await group.reduce(into: []) { $0 += $1 }
            }
            #expect(Set(drawn).count == drawn.count)
            try await retire(
                pool, until: "select count(*) from landing.expired where parent = 'chunk' and low = 0", is: 1)
            #expect(try await client.get(path).items.first?["raw"] == #"{"id": 2}"#, "it is young")
            try await pool.run("update millrace.batch set received_at = now() - interval '8 days'")
            try await retire(
                pool, until: "select count(*) from landing.expired where parent = 'payload' and low = 0", is: 1)
            _ = try await retirement(pool).run()
            let lineage = try await client.get(path).items.first
            #expect(lineage?["raw"] == .null)
            #expect(lineage?["raw_expired_at"]?.string?.hasSuffix("Z") == true)
            #expect(lineage?["receipt"] != nil)
            try await pool.handOver(HandedOver(ids: [3]))
            try await LoadWorker().run(pool) {
                try await pool.wait(until: "select count(*) from ws_default.orders", is: 3)
            }
        }
    }

    @Test("Chunks that an output waits for stay, and those of dead letters; quarantine leaves after its own time")
    func keepsChunks() async throws {
        let database = try await StoreDatabase.make()
        try await database.withPool(size: 6) { pool in
            try await pool.handOver(HandedOver(ids: [1]))
            try await pool.run("select setval('landing.chunk_id', 150000)")
            try await retire(pool, until: "select sealed from landing.rotation where ids = 'landing.chunk_id'", is: 1)
            _ = try await retirement(pool).run()
            #expect(try await partitions(pool, of: "chunk").first == "chunk_0")
            try await pool.run("update millrace.application set state = 'failed'")
            _ = try await retirement(pool).run()
            #expect(try await partitions(pool, of: "chunk").first == "chunk_0")
            try await LoadWorker().run(pool) {
                try await pool.wait(until: "select count(*) from ws_default.orders", is: 1)
            }
            let left: PostgresQuery = "select count(*) from landing.expired where dropped_at is not null"
            try await retire(pool, until: left, is: 1)
            #expect(try await partitions(pool, of: "chunk").first == "chunk_1")

            try await pool.run(
                """
                insert into landing.quarantine (batch_id, row, pipeline_id, output, version, dataset_id, stage, errors,
                    raw, at)
                values (1, 0, 1, 0, 1, 1, 'store', '[]', '', now() - interval '29 days')
                """)
            try await pool.run("update millrace.batch set received_at = now() - interval '31 days'")
            try await pool.run("select setval('millrace.batch_id', 150000)")
            try await retire(pool, until: left, is: 2)
            _ = try await retirement(pool).run()
            #expect(try await partitions(pool, of: "quarantine").first == "quarantine_0")
            try await pool.run("update landing.quarantine set at = now() - interval '31 days'")
            try await retire(pool, until: left, is: 3)
            #expect(try await partitions(pool, of: "quarantine").first == "quarantine_1")
        }
    }
}
