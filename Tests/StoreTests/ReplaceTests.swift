import Postgres
import Records
import TestSupport
import Testing

@testable import Store

/// What transform hands over to replace a batch's output.
struct Replacement {
    var run: Int64
    var ordinal: Int32 = 0
    var batch: Int64
    var version: Int32 = 2
    /// Rows `{"id": n}` of the batch's first records.
    var ids: [Int64]
    var filtered: Int32 = 0
    /// Ordinals of records that are quarantined.
    var faults: [Int32] = []
    var receiptCounts: [Int32]?
}

extension PostgresPool {
    /// A run over batches, each of which waits for its chunk to be stored.
    func makeRun(_ batches: [Int64], version: Int32 = 2, deadline: String? = nil) async throws -> Int64 {
        try await withTransaction { connection in
            let run = try await connection.query(
                """
                insert into millrace.run (id, workspace_id, kind, pipeline_id, version, state, request, batches,
                    deadline)
                select nextval('millrace.run_id'), 1, 'replay', p.id, \(.int4(version)), 'running', '{}',
                    \(.int4(Int32(batches.count))), now() + \(.optional(deadline) { .text($0) })::text::interval
                from millrace.pipeline p order by p.id limit 1 returning id
                """)[0].int8(0)
            try await connection.query(
                """
                insert into millrace.run_batch (run, ordinal, batch, state)
                select \(.int8(run)), b.place - 1, b.id, 'transformed'
                from unnest(\(.int8Array(batches))) with ordinality as b (id, place)
                """)
            return run
        }
    }

    @discardableResult
    func handOver(_ given: Replacement) async throws -> Int64 {
        let encoded = try CopyEncoded(HandedOver(ids: given.ids)).encode(batch: given.batch)
        let faults = given.faults
        return try await withTransaction { connection in
            try await connection.query(
                """
                with chunk as (
                    insert into landing.chunk (id, batch_id, pipeline_id, version, output, dataset_id, columns, types,
                        rows, raw_bytes, body, run, ordinal, filtered, quarantined, receipt_counts, fault_rows,
                        fault_stages, fault_errors, fault_raws)
                    select nextval('landing.chunk_id'), \(.int8(given.batch)), r.pipeline_id, \(.int4(given.version)),
                        0, (select id from millrace.dataset where name = 'orders'), '{id}', '{int8}',
                        \(.int4(Int32(given.ids.count))), \(.int4(Int32(encoded.count))),
                        \(.bytes(try Zstd.compress(encoded))), r.id, \(.int4(given.ordinal)), \(.int4(given.filtered)),
                        \(.int4(Int32(faults.count))), \(.optional(given.receiptCounts) { .int4Array($0) }),
                        \(.int4Array(faults)), \(.textArray(faults.map { _ in "transform" })),
                        \(.jsonArray(faults.map { _ in Array("[]".utf8) })), \(.byteaArray(faults.map { _ in [7] }))
                    from millrace.run r where r.id = \(.int8(given.run)) returning id
                )
                select id, queue.enqueue('store', 'replace', 1, array[jsonb_build_object('chunk', id)]) from chunk
                """)[0].int8(0)
        }
    }

    /// Lands batches of rows and loads them; gives the batches.
    func store(_ batches: [HandedOver]) async throws -> [Int64] {
        for batch in batches { try await handOver(batch) }
        try await LoadWorker().run(self) {
            try await self.wait(until: "select count(*) from millrace.application where state <> 'stored'", is: 0)
        }
        let ids = try await texts("select id::text from millrace.batch order by id")
        return ids.compactMap { Int64($0) }
    }

    /// Loads until no job is left but dead letters.
    func replaceAll() async throws {
        try await LoadWorker().run(self) {
            try await self.wait(
                until: """
                    select count(*) from queue.job j where not exists (select from queue.outcome o
                        where o.job = j.id and o.state in ('succeeded', 'dead')) and j.queue = (
                        select id from queue.queue where name = 'store')
                    """, is: 0)
        }
    }

    func runs() async throws -> [String] {
        try await texts(
            """
            select concat_ws(' ', state, done, dead, stored, filtered, quarantined) from millrace.run_report order by id
            """)
    }

    func ledger() async throws -> [String] {
        try await texts(
            """
            select concat_ws(' ', state, version, stored, filtered, quarantined, receipt_counts::text)
            from millrace.application order by batch_id, pipeline_id
            """)
    }
}

@Suite("Store: replacing what a pipeline made")
struct ReplaceTests {
    @Test("Rows, quarantine and counts of a batch take the place of the old ones; other batches stay")
    func replaces() async throws {
        let database = try await StoreDatabase.make()
        try await database.withPool(size: 6) { pool in
            let batches = try await pool.store([
                HandedOver(ids: [1, 2, 3, 4], requests: [1, 3]), HandedOver(ids: [5, 6]),
            ])
            try await pool.run(
                """
                insert into landing.quarantine (batch_id, row, pipeline_id, output, version, dataset_id, stage,
                    errors, raw)
                select b.id, 0, a.pipeline_id, 0, 1, a.dataset_id, 'transform', '[]', '' from millrace.batch b
                join millrace.application a on a.batch_id = b.id
                """)
            let run = try await pool.makeRun([batches[0]])
            try await pool.handOver(
                Replacement(
                    run: run, batch: batches[0], ids: [10, 20], filtered: 1, faults: [3],
                    receiptCounts: [1, 0, 0, 0, 1, 0]))
            try await pool.replaceAll()
            #expect(
                try await pool.texts("select id::text from ws_default.orders o order by o.id") == [
                    "5", "6", "10", "20",
                ])
            #expect(try await pool.ledger() == ["stored 2 2 1 1 {1,0,0,0,1,0}", "stored 1 2 0 0"])
            #expect(try await pool.runs() == ["succeeded 1 0 2 1 1"])
            let quarantined = try await pool.texts(
                "select concat_ws(' ', row, version, stage, raw) from landing.quarantine order by batch_id")
            #expect(quarantined == [#"3 2 transform \x07"#, #"0 1 transform \x"#])
        }
    }

    @Test("A chunk without rows takes all rows away")
    func empty() async throws {
        let database = try await StoreDatabase.make()
        try await database.withPool(size: 6) { pool in
            let batches = try await pool.store([HandedOver(ids: [1, 2])])
            let run = try await pool.makeRun(batches)
            try await pool.handOver(Replacement(run: run, batch: batches[0], ids: [], filtered: 2))
            try await pool.replaceAll()
            #expect(try await pool.int("select count(*) from ws_default.orders") == 0)
            #expect(try await pool.ledger() == ["stored 2 0 2 0"])
            #expect(try await pool.runs() == ["succeeded 1 0 0 2 0"])
        }
    }

    @Test("Nothing is replaced for a run that was cancelled, or whose time is over")
    func ended() async throws {
        let database = try await StoreDatabase.make()
        try await database.withPool(size: 6) { pool in
            let batches = try await pool.store([HandedOver(ids: [1]), HandedOver(ids: [2])])
            let cancelled = try await pool.makeRun([batches[0]])
            try await pool.handOver(Replacement(run: cancelled, batch: batches[0], ids: [10]))
            #expect(
                try await pool.texts("select state from millrace.cancel_run(1, \(.int8(cancelled)))") == ["running"])
            let late = try await pool.makeRun([batches[1]], deadline: "-1 second")
            try await pool.handOver(Replacement(run: late, batch: batches[1], ids: [20]))
            try await pool.replaceAll()
            #expect(try await pool.texts("select id::text from ws_default.orders o order by o.id") == ["1", "2"])
            #expect(try await pool.runs() == ["cancelled 0 0 0 0 0", "timed_out 0 0 0 0 0"])
        }
    }

    @Test("A run that is cancelled while its rows are written does not commit, and others of the group do")
    func endedMeanwhile() async throws {
        let database = try await StoreDatabase.make()
        try await database.withPool(size: 8) { pool in
            let batches = try await pool.store([HandedOver(ids: [1]), HandedOver(ids: [2])])
            let first = try await pool.makeRun([batches[0]])
            let second = try await pool.makeRun([batches[1]])
            try await pool.handOver(Replacement(run: first, batch: batches[0], ids: [10]))
            try await pool.handOver(Replacement(run: second, batch: batches[1], ids: [20]))
            try await LoadWorker().run(pool) {
                try await pool.withTransaction { holder in
                    try await holder.query("lock table ws_default.orders in share mode")
                    try await pool.wait(until: "select (count(*) > 0)::int from pg_locks where not granted", is: 1)
                    _ = try await pool.texts("select state from millrace.cancel_run(1, \(.int8(first)))")
                }
                try await pool.wait(until: "select count(*) from millrace.run where state = 'succeeded'", is: 1)
                try await pool.wait(until: "select count(*) from queue.lease", is: 0)
            }
            #expect(try await pool.texts("select id::text from ws_default.orders o order by o.id") == ["1", "20"])
            #expect(try await pool.runs() == ["cancelled 0 0 0 0 0", "succeeded 1 0 1 0 0"])
        }
    }

    @Test("What a later run or a later version made is left")
    func superseded() async throws {
        let database = try await StoreDatabase.make()
        try await database.withPool(size: 6) { pool in
            let batches = try await pool.store([HandedOver(ids: [1]), HandedOver(ids: [2])])
            let run = try await pool.makeRun(batches)
            try await pool.run(
                "update millrace.application set run_id = \(.int8(run + 1)) where batch_id = \(.int8(batches[0]))")
            try await pool.run("update millrace.application set version = 3 where batch_id = \(.int8(batches[1]))")
            for (ordinal, batch) in batches.enumerated() {
                try await pool.handOver(Replacement(run: run, ordinal: Int32(ordinal), batch: batch, ids: [9]))
            }
            try await pool.replaceAll()
            #expect(try await pool.texts("select id::text from ws_default.orders o order by o.id") == ["1", "2"])
            #expect(try await pool.runs() == ["succeeded 2 0 0 0 0"])
            #expect(try await pool.texts("select distinct state from millrace.run_batch") == ["superseded"])
        }
    }

    @Test("Where another pipeline's rows cannot be told apart, nothing is deleted; a redrive after that succeeds")
    func sharedRows() async throws {
        let database = try await StoreDatabase.make()
        try await database.withPool(size: 6) { pool in
            let batches = try await pool.store([HandedOver(ids: [1, 2])])
            try await pool.run(
                """
                with other as (
                    insert into millrace.pipeline (workspace_id, name, source_id, version)
                    select 1, 'other', source_id, 1 from millrace.pipeline returning id
                )
                insert into millrace.application (batch_id, pipeline_id, output, source_id, state, received, stored,
                    dataset_id)
                select a.batch_id, other.id, 0, a.source_id, 'stored', 2, 2, a.dataset_id
                from millrace.application a, other
                """)
            let run = try await pool.makeRun(batches)
            try await pool.handOver(Replacement(run: run, batch: batches[0], ids: [9]))
            try await pool.replaceAll()
            #expect(try await pool.texts("select id::text from ws_default.orders o order by o.id") == ["1", "2"])
            #expect(try await pool.runs() == ["failed 0 1 0 0 0"])
            let error = try await pool.texts("select error from millrace.run")
            #expect(error.first?.hasPrefix("shared_rows: another pipeline has rows of batch \(batches[0])") == true)
            try await pool.run(
                "delete from millrace.application where pipeline_id <> (select min(id) from millrace.pipeline)")
            try await LoadWorker().run(pool) {
                try await pool.run("select queue.redrive('store', null, 10)")
                try await pool.wait(until: "select count(*) from millrace.run where state = 'succeeded'", is: 1)
            }
            #expect(try await pool.texts("select id::text from ws_default.orders") == ["9"])
            #expect(try await pool.runs() == ["succeeded 1 0 1 0 0"])
        }
    }

    @Test("Rows that the table refuses are quarantined and counted in the ledger and the run")
    func refused() async throws {
        let database = try await StoreDatabase.make()
        try await database.withPool(size: 6) { pool in
            try await pool.run(
                """
                insert into millrace.dataset (workspace_id, name, definition, declared)
                values (1, 'orders', '{"primary_key": ["id"]}', true)
                """)
            let batches = try await pool.store([HandedOver(ids: [1, 2, 3]), HandedOver(ids: [4])])
            let run = try await pool.makeRun([batches[0]])
            try await pool.handOver(Replacement(run: run, batch: batches[0], ids: [1, 4, 2]))
            try await pool.replaceAll()
            #expect(try await pool.texts("select id::text from ws_default.orders o order by o.id") == ["1", "2", "4"])
            #expect(try await pool.ledger() == ["stored 2 2 0 1", "stored 1 1 0 0"])
            #expect(try await pool.runs() == ["succeeded 1 0 2 0 1"])
            #expect(try await pool.texts("select row || stage from landing.quarantine") == ["1store"])
        }
    }

    @Test("A batch whose dataset was removed is transformed again for the run")
    func removedDataset() async throws {
        let database = try await StoreDatabase.make()
        try await database.withPool(size: 6) { pool in
            let batches = try await pool.store([HandedOver(ids: [1]), HandedOver(ids: [2])])
            let run = try await pool.makeRun(batches)
            try await pool.handOver(Replacement(run: run, ordinal: 1, batch: batches[1], ids: [9]))
            try await pool.run("delete from millrace.dataset")
            try await pool.replaceAll()
            let jobs = try await pool.texts("select arguments::text from queue.job where kind = 'run.replay'")
            #expect(jobs == [#"{"run": \#(run), "count": 1, "first": 1}"#])
            let states = try await pool.texts("select state from millrace.run_batch order by ordinal")
            #expect(states == ["transformed", "queued"])
        }
    }

    @Test("What a run still needs is not retired")
    func retention() async throws {
        let database = try await StoreDatabase.make()
        try await database.withPool(size: 6) { pool in
            let batches = try await pool.store([HandedOver(ids: [1])])
            let needed: PostgresQuery = """
                select landing.is_unfinished(0, 100000, 0)::int + 2 * landing.is_wanted('chunk_0', 0, 100000, 0)::int
                """
            #expect(try await pool.int(needed) == 0)
            let run = try await pool.makeRun(batches)
            try await pool.handOver(Replacement(run: run, batch: batches[0], ids: [9]))
            #expect(try await pool.int(needed) == 3)
            try await pool.replaceAll()
            #expect(try await pool.int(needed) == 0)
        }
    }

    @Test("Every batch is replaced once, though the server processes that do it are killed all the while")
    func killed() async throws {
        let database = try await StoreDatabase.make()
        try await database.withPool(size: 6) { pool in
            let rows = 500
            let batches = try await pool.store(
                (0..<60).map { HandedOver(ids: Array(Int64($0 * rows)..<Int64(($0 + 1) * rows))) })
            let run = try await pool.makeRun(batches)
            for (ordinal, batch) in batches.enumerated() {
                let first = Int64(1_000_000 + ordinal * rows)
                let ids = Array(first..<first + Int64(rows) - 1)
                try await pool.handOver(Replacement(run: run, ordinal: Int32(ordinal), batch: batch, ids: ids))
            }
            var worker = LoadWorker()
            worker.groupBytes = 100_000
            let open: PostgresQuery = "select count(*) from millrace.run where state in ('queued', 'running')"
            let killed = try await worker.run(pool) {
                var killed = 0
                for _ in 0..<1_000 where (try? await pool.int(open)) != 0 {
                    let count = try await database.administer(
                        """
                        select count(pg_terminate_backend(pid)) from pg_stat_activity
                        where datname = current_database() and usename = 'millrace' and state <> 'idle'
                            and (query ilike 'copy%' or query ilike 'delete from%' or query ilike '%advance_runs%'
                                or query ilike '%queue.settle%' or query ilike 'commit%')
                        """)
                    killed += Int(count) ?? 0
                    if killed > 40 { break }
                }
                try await pool.wait(until: open, is: 0, within: .seconds(60))
                return killed
            }
            #expect(killed > 0, "no kill hit a replacement: the test has shown nothing")
            let total = 60 * (rows - 1)
            #expect(try await pool.int("select count(*) from ws_default.orders") == total)
            #expect(try await pool.int("select count(distinct id) from ws_default.orders where id >= 1000000") == total)
            #expect(try await pool.runs() == ["succeeded 60 0 \(total) 0 0"])
        }
    }
}
