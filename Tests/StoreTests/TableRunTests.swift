import Catalog
import JSON
import Postgres
import Queue
import Records
import TestSupport
import Testing

@testable import Store

/// A run whose slices are read, as transform leaves it.
struct ReadRun {
    /// The rows' ids, a slice each.
    var slices: [[Int64]]
    var mode = "append"
    var dataset = "copies"
    /// The chunks have what they were made of: the row `{"id": n}` of each id.
    var keepsSource = false

    /// Enters the pipeline where there is none, and the run; releases it, and gives its id.
    func enter(_ pool: PostgresPool) async throws -> Int64 {
        try await pool.withTransaction { connection in
            let dataset = try await connection.query(
                """
                insert into millrace.dataset (workspace_id, name) values (1, \(.text(dataset)))
                on conflict (workspace_id, name) do update set name = excluded.name returning id
                """)[0].int8(0)
            try await connection.query(
                "select count(*) from millrace.agree_columns(\(.int8(dataset)), '{id}', '{int8}', 200)")
            try await connection.query(
                """
                with source as (
                    insert into millrace.source (workspace_id, name, kind, deleted_at)
                    values (1, 'accounts', 'dataset', now()) on conflict do nothing returning id
                ), pipeline as (
                    insert into millrace.pipeline (workspace_id, name, source_id, version)
                    select 1, 'copies', id, 1 from source returning id
                )
                insert into millrace.pipeline_version (pipeline_id, version, definition, fingerprint)
                select id, 1, json_build_object('source', json_build_object('dataset', 'accounts'),
                    'target', json_build_object('dataset', \(.text(self.dataset))::text,
                        'mode', \(.text(mode))::text)), ''
                from pipeline
                """)
            let run = try await connection.query(
                """
                insert into millrace.run (id, workspace_id, kind, pipeline_id, version, state, request, batches,
                    columns, types)
                select nextval('millrace.run_id'), 1, 'run', id, 1, 'running', '{}', \(.int4(Int32(slices.count))),
                    '{id}', '{int8}'
                from millrace.pipeline where name = 'copies' and not implicit returning id
                """)[0].int8(0)
            for (ordinal, ids) in slices.enumerated() {
                try await enter(ids, Int32(ordinal), run, dataset, connection)
            }
            try await connection.query("select millrace.advance_runs(\(.int8Array([run])))")
            return run
        }
    }

    private func enter(
        _ ids: [Int64], _ ordinal: Int32, _ run: Int64, _ dataset: Int64, _ connection: PostgresConnection
    ) async throws {
        let batch = try await connection.query("select nextval('millrace.batch_id')")[0].int8(0)
        let rows = try CopyEncoded(HandedOver(ids: ids)).encode(batch: batch)
        let source = try keepsSource ? Self.source(ids) : nil
        try await connection.query(
            """
            with chunk as (
                insert into landing.chunk (id, batch_id, pipeline_id, version, output, dataset_id, columns, types, rows,
                    raw_bytes, body, run, ordinal, filtered, quarantined, fault_rows, fault_stages, fault_errors,
                    fault_raws, source)
                select nextval('landing.chunk_id'), \(.int8(batch)), id, 1, 0, \(.int8(dataset)), '{id}', '{int8}',
                    \(.int4(Int32(ids.count))), \(.int4(Int32(rows.count))), \(.bytes(try Zstd.compress(rows))),
                    \(.int8(run)), \(.int4(ordinal)), 2, 1, '{900}', '{transform}', array['[]'::jsonb],
                    array['{"id": 900}'::bytea], \(.optional(source) { .bytes($0) })
                from millrace.pipeline where name = 'copies' and not implicit returning id
            )
            insert into millrace.run_batch (run, ordinal, batch, state, chunk, received, read_bytes)
            select \(.int8(run)), \(.int4(ordinal)), \(.int8(batch)), 'read', id, \(.int4(Int32(ids.count + 3))), 1
            from chunk
            """)
    }

    /// What COPY would send of the rows, compressed.
    private static func source(_ ids: [Int64]) throws -> [UInt8] {
        var bytes = CopyBinaryEncoder.header
        for id in ids {
            bytes += [0, 2, 0, 0, 0, 8] + (0..<8).reversed().map { UInt8(truncatingIfNeeded: id >> ($0 * 8)) }
            bytes += [0xFF, 0xFF, 0xFF, 0xFF]
        }
        return try Zstd.compress(bytes + CopyBinaryEncoder.trailer)
    }
}

@Suite("Store: from table to table")
struct TableRunTests {
    private static func run(_ body: @Sendable (PostgresPool) async throws -> Void) async throws {
        try await StoreDatabase.make().withPool(size: 6, body)
    }

    private static func wait(_ pool: PostgresPool, _ run: Int64, _ state: String) async throws {
        try await pool.wait(
            until: "select count(*) from millrace.run where id = \(.int8(run)) and state = \(.text(state))", is: 1)
    }

    private static func ids(_ pool: PostgresPool) async throws -> [String] {
        try await pool.texts("select id::text from ws_default.copies order by id")
    }

    private static let counts: PostgresQuery = """
        select concat_ws(' ', id, state, done, dead, stored, filtered, quarantined) from millrace.run_report order by id
        """

    @Test("Slices are loaded each as a batch of its own, with its quarantine, and end their run")
    func append() async throws {
        try await Self.run { pool in
            let first = try await ReadRun(slices: [[1, 2], [3], []]).enter(pool)
            try await LoadWorker().run(pool) { try await Self.wait(pool, first, "succeeded") }
            #expect(try await Self.ids(pool) == ["1", "2", "3"])
            #expect(try await pool.texts(Self.counts) == ["\(first) succeeded 3 0 3 6 3"])
            let ledger = try await pool.texts(
                """
                select concat_ws(' ', b.format, b.records, a.state, a.stored, a.filtered, a.quarantined)
                from millrace.batch b join millrace.application a on a.batch_id = b.id order by b.id
                """)
            #expect(ledger == ["table 5 stored 2 2 1", "table 4 stored 1 2 1", "table 3 stored 0 2 1"])
            #expect(try await pool.int("select count(*) from landing.quarantine where stage = 'transform'") == 3)
        }
    }

    @Test("A run's rows take the place of all others; what the table refuses is quarantined and counted")
    func replace() async throws {
        try await Self.run { pool in
            try await pool.run(
                """
                insert into millrace.dataset (workspace_id, name, definition, declared)
                values (1, 'copies', '{"primary_key": ["id"]}', true)
                """)
            let first = try await ReadRun(slices: [[1, 2]], mode: "replace").enter(pool)
            try await LoadWorker().run(pool) {
                try await Self.wait(pool, first, "succeeded")
                #expect(try await Self.ids(pool) == ["1", "2"])
                let second = try await ReadRun(
                    slices: [[5, 6], [6, 7]], mode: "replace", keepsSource: true
                ).enter(pool)
                try await Self.wait(pool, second, "succeeded")
                #expect(try await pool.texts(Self.counts).last == "\(second) succeeded 2 0 3 4 3")
                #expect(try await Self.ids(pool) == ["5", "6", "7"])
                let kept = try await pool.texts(
                    """
                    select concat_ws(' ', stage, convert_from(raw, 'UTF8')) from landing.quarantine
                    order by batch_id, row
                    """)
                #expect(kept == [#"transform {"id": 900}"#, #"store {"id":6}"#, #"transform {"id": 900}"#])
                let empty = try await ReadRun(slices: [], mode: "replace").enter(pool)
                try await Self.wait(pool, empty, "succeeded")
            }
            #expect(try await Self.ids(pool) == [])
            let names = try await pool.texts(
                "select relname::text from pg_class where relnamespace = 'ws_default'::regnamespace order by relname")
            #expect(names == ["copies", "copies.batch", "copies.key"])
        }
    }

    @Test("Rows that others write, or a later run has put, are not replaced; the old ones stay")
    func obstacles() async throws {
        try await Self.run { pool in
            let first = try await ReadRun(slices: [[1]], mode: "replace").enter(pool)
            try await LoadWorker().run(pool) {
                try await Self.wait(pool, first, "succeeded")
                try await pool.withConnection { connection in
                    _ = try await connection.execute(EnsureSource(workspaceID: 1, name: "copies"))
                }
                let second = try await ReadRun(slices: [[2]], mode: "replace").enter(pool)
                try await Self.wait(pool, second, "failed")
                #expect(
                    try await pool.texts("select error from millrace.run order by id desc limit 1")[0]
                        .contains("the pipeline copies writes into the dataset"))
                #expect(try await Self.ids(pool) == ["1"])
                try await pool.run("update millrace.pipeline set active = false where implicit")
                let third = try await ReadRun(slices: [[3]], mode: "replace").enter(pool)
                try await Self.wait(pool, third, "succeeded")
                try await pool.run("select queue.redrive('store', null, 10)")
                try await pool.wait(until: "select count(*) from queue.lease", is: 0)
                try await pool.wait(until: "select count(*) from queue.dead", is: 1)
                #expect(try await Self.ids(pool) == ["3"])
            }
        }
    }

    @Test("A dataset that is removed, or has other types now, fails the run and holds up nobody")
    func changed() async throws {
        try await Self.run { pool in
            let run = try await ReadRun(slices: [[1], [2]]).enter(pool)
            try await pool.run("update landing.chunk set types = '{text}' where ordinal = 1")
            try await LoadWorker().run(pool) { try await Self.wait(pool, run, "failed") }
            let counts = try await pool.texts(Self.counts)
            #expect(counts == ["\(run) failed 1 1 1 2 1"])
            #expect(try await Self.ids(pool) == ["1"])
            #expect(
                try await pool.texts("select error from millrace.run")[0].contains("start another run"))
        }
    }

    @Test("A run that is cancelled replaces nothing and leaves nothing behind")
    func cancelled() async throws {
        try await Self.run { pool in
            let first = try await ReadRun(slices: [[1]], mode: "replace").enter(pool)
            try await LoadWorker().run(pool) {
                try await Self.wait(pool, first, "succeeded")
                let second = try await pool.withTransaction { connection in
                    try await connection.query("lock table ws_default.copies in access share mode")
                    let second = try await ReadRun(slices: [[2]], mode: "replace").enter(pool)
                    try await pool.wait(
                        until:
                            """
                            select count(*) from pg_locks
                            where not granted and relation = 'ws_default.copies'::regclass
                            """, is: 1)
                    try await pool.run("select millrace.cancel_run(1, \(.int8(second)))")
                    return second
                }
                try await pool.wait(until: "select count(*) from queue.lease", is: 0)
                try await pool.wait(until: "select count(*) from queue.ready", is: 0)
                #expect(try await pool.texts(Self.counts).last?.hasPrefix("\(second) cancelled") == true)
            }
            #expect(try await Self.ids(pool) == ["1"])
            #expect(try await pool.int("select count(*) from pg_class where relname like 'run.%'") == 0)
        }
    }

    @Test("While a run loads, the dataset can be changed; then the run loads again, as it is defined now")
    func definedAnew() async throws {
        let database = try await StoreDatabase.make()
        // Whoever has made the new table waits.
        try await database.administer(Gate.script(of: "CREATE TABLE", matching: "run\\."))
        try await database.withPool(size: 6) { pool in
            let client = try StoreClient(pool)
            let first = try await ReadRun(slices: [[1]], mode: "replace").enter(pool)
            try await LoadWorker().run(pool) {
                try await Self.wait(pool, first, "succeeded")
                try await pool.run(Gate.shut)
                let second = try await ReadRun(slices: [[2], [3]], mode: "replace").enter(pool)
                try await pool.wait(until: Gate.waiting, is: 1)
                let wider: JSONValue = [
                    "columns": [
                        ["name": "id", "type": "int8", "nullable": false], ["name": "note", "type": "text"],
                    ]
                ]
                #expect(try await client.put("/v1/datasets/copies", wider).status == 200)
                #expect(try await client.get("/v1/datasets/copies").json["rows"] == 1)
                try await pool.run(Gate.open)
                try await Self.wait(pool, second, "succeeded")
                #expect(try await pool.texts(Self.counts).last == "\(second) succeeded 2 0 2 4 2")
            }
            #expect(try await Self.ids(pool) == ["2", "3"])
            #expect(
                try await pool.texts(
                    """
                    select attname || ' ' || attnotnull from pg_attribute
                    where attrelid = 'ws_default.copies'::regclass and attname in ('id', 'note') order by attname
                    """) == ["id true", "note false"])
            #expect(try await pool.int("select count(*) from landing.quarantine") == 2)
            #expect(try await pool.int("select count(*) from pg_class where relname like 'run.%'") == 0)
        }
    }

    @Test("While a reader keeps the old table, the dataset's row is free between two attempts to lock it")
    func rowIsFree() async throws {
        try await Self.run { pool in
            let first = try await ReadRun(slices: [[1]], mode: "replace").enter(pool)
            try await LoadWorker().run(pool) {
                try await Self.wait(pool, first, "succeeded")
                let second = try await pool.withTransaction { reader in
                    try await reader.query("lock table ws_default.copies in access share mode")
                    let second = try await ReadRun(slices: [[2]], mode: "replace").enter(pool)
                    try await pool.wait(
                        until:
                            """
                            select count(*) from pg_locks
                            where not granted and relation = 'ws_default.copies'::regclass
                            """, is: 1)
                    try await pool.withTransaction { other in
                        try await other.query("set local lock_timeout = '2s'")
                        try await other.query("select from millrace.dataset where name = 'copies' for update")
                    }
                    return second
                }
                try await Self.wait(pool, second, "succeeded")
            }
            #expect(try await Self.ids(pool) == ["2"])
        }
    }

    @Test("A rollup's step that takes long is waited for, without the table, and costs the run nothing")
    func rollupStep() async throws {
        try await Self.run { pool in
            let first = try await ReadRun(slices: [[1]], mode: "replace").enter(pool)
            try await LoadWorker().run(pool) {
                try await Self.wait(pool, first, "succeeded")
                try await pool.run(
                    """
                    insert into millrace.rollup (workspace_id, name, definition, dataset_id, time_column, time_type,
                        grain, dimensions, states, state)
                    select 1, 'days', '{}', id, 'at', 'timestamptz', 'day', '[]', '[]', 'ready'
                    from millrace.dataset where name = 'copies'
                    """)
                let waiting: PostgresQuery = """
                    select count(*) from pg_stat_activity
                    where wait_event = 'transactionid' and datname = current_database() and query ~ 'rollup|note_table'
                    """
                let second = try await pool.withTransaction { step in
                    try await step.query("select from millrace.rollup for no key update")
                    let second = try await ReadRun(slices: [[2]], mode: "replace").enter(pool)
                    // It waits, lets everything go, and comes again.
                    try await pool.wait(until: waiting, is: 1)
                    try await pool.wait(until: waiting, is: 0)
                    try await pool.wait(until: waiting, is: 1)
                    // As the step does; behind a lock of the table it would stand still here.
                    try await step.query("set local lock_timeout = '100ms'")
                    try await step.query("select from ws_default.copies")
                    return second
                }
                try await Self.wait(pool, second, "succeeded")
            }
            #expect(try await Self.ids(pool) == ["2"])
            #expect(try await pool.int("select count(*) from queue.outcome where error is not null") == 0)
            #expect(try await pool.texts("select state from millrace.rollup") == ["preparing"])
        }
    }

    @Test("However many partitions others hold, readers wait for an attempt to lock them as if it were one")
    func partitions() async throws {
        try await StoreDatabase.make().withPool(size: 10) { pool in
            let day: Int64 = 86_400_000_000
            let today = Int64(TimePartitioning(column: "at", grain: .day).window.today) * day
            let client = try StoreClient(pool)
            let definition: JSONValue = [
                "columns": [["name": "id", "type": "int8"], ["name": "at", "type": "timestamptz"]],
                "time_column": "at", "partition": "day",
            ]
            #expect(try await client.put("/v1/datasets/copies", definition).status == 201)
            try await LoadWorker().run(pool) {
                try await pool.handOver(
                    HandedOver(source: "copies", ids: Array(1...6), times: (0..<6).map { today - $0 * day }))
                try await pool.wait(until: "select count(*) from millrace.application where state = 'stored'", is: 1)
                try await pool.run("update millrace.pipeline set active = false where implicit")
                let run = try await pool.lettingGo(ofPartitionsOf: "ws_default.copies") {
                    try await ReadRun(slices: [], mode: "replace").enter(pool)
                }
                try await Self.wait(pool, run, "succeeded")
            }
            #expect(try await Self.ids(pool) == [])
            #expect(try await pool.int("select count(*) from queue.outcome where error is not null") == 0)
        }
    }
}
