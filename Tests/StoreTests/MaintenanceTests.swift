import Observability
import Postgres
import TestSupport
import Testing

@testable import Store

@Suite("Store: landing's maintenance")
struct MaintenanceTests {
    private func maintenance(_ pool: PostgresPool) throws -> LandingMaintenance {
        var settings = LandingMaintenance.Settings()
        settings.batchLimit = 2
        settings.keyLimit = 2
        let retirement = PartitionRetirement(pool: pool, settings: .init(), logger: .silent)
        return LandingMaintenance(pool: pool, retirement: retirement, settings: settings, logger: .silent)
    }

    @Test("Partitions are made before the ids reach them")
    func makesPartitions() async throws {
        let database = try await StoreDatabase.make()
        try await database.withPool { pool in
            try await pool.run("select setval('millrace.batch_id', 950000)")
            let row = try #require(try await maintenance(pool).maintain())
            // Twice (payloads and quarantine) the one of 950,000 and three beyond it.
            #expect(row.partitions == 8)
            try await pool.run("insert into landing.payload values (1250000, '')")
            #expect(try await maintenance(pool).maintain()?.isLeader == false, "the first still leads")
        }
    }

    @Test("What broke off or stands still is swept with its raw bytes, what moves or is accepted stays")
    func sweepsUploads() async throws {
        let database = try await StoreDatabase.make()
        try await database.withPool { pool in
            let source: PostgresQuery = "insert into millrace.source (workspace_id, name) values (1, 's')"
            try await pool.run(source)
            let uploads: [(state: String, age: String)] = [
                ("receiving", "2 hours"), ("receiving", "10 minutes"), ("abandoned", "5 minutes"),
                ("abandoned", "10 seconds"), ("accepted", "3 hours"),
            ]
            for (state, age) in uploads {
                try await pool.run(
                    """
                    with u as (insert into millrace.upload (source_id, state, request_id, touched_at)
                        select id, \(.text(state)), \(.text(age)), now() - \(.text(age))::interval from millrace.source
                        returning id, source_id),
                    k as (insert into millrace.idempotency (source_id, key, upload_id)
                        select source_id, \(.text(state + age)), id from u),
                    b as (insert into millrace.batch (id, source_id, upload_id, format, records, raw_bytes,
                            stored_bytes, receipt_ends, request_ids)
                        select nextval('millrace.batch_id'), source_id, id, 'ndjson', 1, 1, 1, '{1}', '{r}'
                        from u, generate_series(1, 3) returning id)
                    insert into landing.payload select id, '' from b
                    """)
            }
            _ = try await maintenance(pool).maintain()
            #expect(try await pool.int("select count(*) from millrace.idempotency where key like 'receiving2%'") == 0)
            _ = try await pool.withConnection { try await $0.query("update queue.leader set until = '-infinity'") }
            _ = try await maintenance(pool).maintain()
            #expect(
                try await pool.texts("select request_id from millrace.upload order by id")
                    == ["10 minutes", "10 seconds", "3 hours"])
            #expect(try await pool.int("select count(*) from millrace.batch") == 9)
            #expect(try await pool.int("select count(*) from landing.payload") == 9)
        }
    }

    @Test("The leader, and nobody else, drops partitions that are marked")
    func dropsPartitions() async throws {
        let database = try await StoreDatabase.make()
        try await database.withPool { pool in
            let leader = try maintenance(pool)
            #expect(try await leader.maintain()?.isLeader == true)
            try await pool.run("insert into landing.expired values ('payload', 0, 0, 100000)")
            let there: PostgresQuery = "select count(*) from pg_tables where tablename = 'payload_0'"
            #expect(try await maintenance(pool).maintain()?.isLeader == false)
            _ = try await leader.maintain()
            #expect(try await pool.int(there) == 1, "it has looked already, and looks again in five minutes")
            try await pool.run("update queue.leader set until = '-infinity' where name = 'landing'")
            #expect(try await maintenance(pool).maintain()?.isLeader == true)
            #expect(try await pool.int(there) == 0)
        }
    }

    @Test("A dead leader's term that ends an hour ahead, since the clock was set back, is over")
    func clockSetBack() async throws {
        let database = try await StoreDatabase.make()
        try await database.withPool { pool in
            try await pool.run(
                """
                update queue.leader set holder = 'dead', until = clock_timestamp() + interval '1 hour',
                    term = '75 seconds' where name = 'landing'
                """)
            #expect(try await maintenance(pool).maintain()?.isLeader == true)
            #expect(try await maintenance(pool).maintain()?.isLeader == false, "the next has the term before it")
        }
    }

    @Test("Idempotency keys are forgotten after their time")
    func sweepsKeys() async throws {
        let database = try await StoreDatabase.make()
        try await database.withPool { pool in
            try await pool.run("insert into millrace.source (workspace_id, name) values (1, 's')")
            try await pool.run(
                """
                insert into millrace.idempotency (source_id, key, receipt, created_at)
                select s.id, g::text, 'r', now() - g * interval '10 hours'
                from millrace.source s, generate_series(1, 10) g
                """)
            _ = try await maintenance(pool).maintain()
            #expect(try await pool.texts("select key from millrace.idempotency order by key") == ["1", "2", "3", "4"])
        }
    }

    @Test("Streams that nobody has used for a week are forgotten, others stay")
    func sweepsStreams() async throws {
        let database = try await StoreDatabase.make()
        try await database.withPool { pool in
            try await pool.run(
                """
                with s as (insert into millrace.source (workspace_id, name) values (1, 's') returning id)
                insert into millrace.ingest_stream (source_id, name, touched_at)
                select s.id, 'old ' || n, now() - interval '8 days' from s, generate_series(1, 5) n
                union all select s.id, 'new ' || n, now() - interval '6 days' from s, generate_series(1, 5) n
                """)
            let maintenance = try maintenance(pool)
            _ = try await maintenance.maintain()
            #expect(try await pool.int("select count(*) from millrace.ingest_stream where name like 'old%'") == 0)
            #expect(try await pool.int("select count(*) from millrace.ingest_stream where name like 'new%'") == 5)
        }
    }
}
