import JSON
import Postgres
import Records
import TestSupport
import Testing

@testable import Store

/// What transform hands over of records that were tried again.
struct Healed {
    var run: Int64
    var ordinal: Int32 = 0
    var batch: Int64
    var version: Int32 = 2
    var dataset = "orders"
    /// Ordinals.
    var tried: [Int32]
    /// Of the rows, by their records' ordinals.
    var ids: [(row: Int32, id: Int64)] = []
    var filtered: Int32 = 0
    /// Ordinals of records that are turned down again.
    var faults: [Int32] = []
    /// As `millrace.application.receipt_counts`.
    var receiptCounts: [Int32]?
}

extension PostgresPool {
    @discardableResult
    func handOver(_ given: Healed) async throws -> Int64 {
        let rows = RecordBatch(
            rows: given.ids.map(\.row), columns: [NamedColumn("id", Column(.int8, .int64(given.ids.map(\.id))))])
        let body = given.ids.isEmpty ? [] : try CopyBinaryEncoder(batch: given.batch, output: 0).encode(rows)
        let faults = given.faults
        return try await withTransaction { connection in
            try await connection.query(
                """
                with chunk as (
                    insert into landing.chunk (id, batch_id, pipeline_id, version, output, dataset_id, columns, types,
                        rows, raw_bytes, body, run, ordinal, received, filtered, quarantined, receipt_counts,
                        fault_rows, fault_stages, fault_errors, fault_raws, tried)
                    select nextval('landing.chunk_id'), \(.int8(given.batch)), r.pipeline_id, \(.int4(given.version)),
                        0, (select id from millrace.dataset where name = \(.text(given.dataset))), '{id}', '{int8}',
                        \(.int4(Int32(given.ids.count))), \(.int4(Int32(body.count))),
                        \(.bytes(try Zstd.compress(body))), r.id, \(.int4(given.ordinal)),
                        \(.int4(Int32(given.tried.count))), \(.int4(given.filtered)), \(.int4(Int32(faults.count))),
                        \(.optional(given.receiptCounts) { .int4Array($0) }), \(.int4Array(faults)),
                        \(.textArray(faults.map { _ in "transform" })),
                        \(.jsonArray(faults.map { _ in Array(#"[{"code": "again"}]"#.utf8) })),
                        \(.byteaArray(faults.map { _ in [9] })), \(.int4Array(given.tried))
                    from millrace.run r where r.id = \(.int8(given.run)) returning id
                )
                select id, queue.enqueue('store', 'heal', 1, array[jsonb_build_object('chunks',
                    jsonb_build_array(id))]) from chunk
                """)[0].int8(0)
        }
    }

    /// Moves records of a batch that is stored into quarantine, as if they had never passed.
    func quarantine(_ rows: [Int32], of batch: Int64, stage: String = "transform") async throws {
        try await run(
            """
            with ids as (
                delete from ws_default.orders where _batch = \(.int8(batch)) and _row = any(\(.int4Array(rows)))
            )
            insert into landing.quarantine (batch_id, row, pipeline_id, output, version, dataset_id, stage, errors, raw)
            select a.batch_id, r.row, a.pipeline_id, 0, 1, a.dataset_id, \(.text(stage)), '[{"code": "first"}]', 'raw'
            from millrace.application a cross join unnest(\(.int4Array(rows))) as r (row)
            where a.batch_id = \(.int8(batch))
            """)
        try await run(
            """
            update millrace.application a set stored = stored - \(.int4(Int32(rows.count))),
                quarantined = quarantined + \(.int4(Int32(rows.count))),
                receipt_counts = case when cardinality(b.receipt_ends) > 1 then (
                    select array_agg(case when k = 1 then (select count(*) from unnest(\(.int4Array(rows))) r
                        where r < e.ending and r >= coalesce(b.receipt_ends[e.place - 1], 0))::int4 else 0 end
                        order by e.place, k)
                    from unnest(b.receipt_ends) with ordinality as e (ending, place), generate_series(0, 2) k) end
            from millrace.batch b where b.id = a.batch_id and b.id = \(.int8(batch))
            """)
    }

    func quarantined() async throws -> [String] {
        try await texts(
            """
            select concat_ws(' ', row, version, stage, errors -> 0 ->> 'code', convert_from(raw, 'UTF8'))
            from landing.quarantine order by batch_id, row
            """)
    }

    func orders() async throws -> [String] {
        try await texts("select concat_ws(' ', _row, _out, id) from ws_default.orders order by _batch, _row, id")
    }
}

@Suite("Store: healing what is quarantined")
struct HealTests {
    @Test("Rows come in, records leave the quarantine, counts and receipts follow; the rest of the batch stays")
    func heals() async throws {
        let database = try await StoreDatabase.make()
        try await database.withPool(size: 6) { pool in
            let batches = try await pool.store([
                HandedOver(ids: [10, 11, 12, 13, 14], requests: [2, 3]), HandedOver(ids: [20]),
            ])
            try await pool.quarantine([1, 2, 3, 4], of: batches[0])
            #expect(try await pool.ledger() == ["stored 1 1 0 4 {0,1,0,0,3,0}", "stored 1 1 0 0"])
            let run = try await pool.makeRun([batches[0]])
            try await pool.handOver(
                Healed(
                    run: run, batch: batches[0], tried: [1, 2, 4], ids: [(1, 111)], filtered: 1, faults: [4],
                    receiptCounts: [0, 0, 0, 1, 1, 0]))
            try await pool.replaceAll()
            #expect(try await pool.orders() == ["0 0 10", "1 0 111", "0 0 20"])
            #expect(try await pool.quarantined() == ["3 1 transform first raw", "4 2 transform again raw"])
            #expect(try await pool.ledger() == ["stored 1 2 1 2 {0,0,0,1,2,0}", "stored 1 1 0 0"])
            #expect(try await pool.runs() == ["succeeded 1 0 1 1 1"])
            let counts = try await pool.texts(
                "select concat_ws(' ', received, run_id, stored + filtered + quarantined) from millrace.application")
            #expect(counts.contains("5 \(run) 5"))
            #expect(try await pool.int("select count(*) from landing.quarantine where at = '-infinity'") == 0)
        }
    }

    @Test("Records that were healed meanwhile are not stored again, by a chunk or a job that comes twice")
    func twice() async throws {
        let database = try await StoreDatabase.make()
        try await database.withPool(size: 6) { pool in
            let batch = try await pool.store([HandedOver(ids: [10, 11, 12])])[0]
            try await pool.quarantine([1, 2], of: batch)
            let first = try await pool.makeRun([batch])
            let second = try await pool.makeRun([batch])
            let chunk = try await pool.handOver(
                Healed(run: first, batch: batch, tried: [1, 2], ids: [(1, 11), (2, 12)]))
            try await pool.run(
                """
                select queue.enqueue('store', 'heal', 1, array[jsonb_build_object('chunks',
                    jsonb_build_array(\(.int8(chunk))))])
                """)
            try await pool.handOver(Healed(run: second, batch: batch, tried: [1, 2], ids: [(1, 11), (2, 12)]))
            try await pool.replaceAll()
            #expect(try await pool.orders() == ["0 0 10", "1 0 11", "2 0 12"])
            #expect(try await pool.ledger() == ["stored 1 3 0 0"])
            let runs = try await pool.runs()
            #expect(runs.contains("succeeded 1 0 2 0 0"))
            #expect(runs.contains("failed 0 1 0 0 0") || runs.contains("succeeded 1 0 0 0 0"), "\(runs)")
        }
    }

    @Test("What the table refuses of it stays in quarantine with its bytes, although the raw bytes have expired")
    func refused() async throws {
        let database = try await StoreDatabase.make()
        try await database.withPool(size: 6) { pool in
            let batch = try await pool.store([HandedOver(ids: [10, 11, 12])])[0]
            try await pool.quarantine([1, 2], of: batch, stage: "store")
            try await pool.run("create unique index orders_id on ws_default.orders (id)")
            try await pool.run("delete from landing.payload")
            let run = try await pool.makeRun([batch])
            try await pool.handOver(Healed(run: run, batch: batch, tried: [1, 2], ids: [(1, 10), (2, 12)]))
            try await pool.replaceAll()
            #expect(try await pool.orders() == ["0 0 10", "2 0 12"])
            #expect(try await pool.quarantined() == ["1 2 store duplicate_key raw"])
            #expect(try await pool.ledger() == ["stored 1 2 0 1"])
            #expect(try await pool.runs() == ["succeeded 1 0 1 0 1"])
        }
    }

    @Test("Rows that the table took of a record which it refused in part are not doubled")
    func parts() async throws {
        let database = try await StoreDatabase.make()
        try await database.withPool(size: 6) { pool in
            let batch = try await pool.store([HandedOver(ids: [10, 11])])[0]
            try await pool.quarantine([1], of: batch, stage: "store")
            try await pool.run(
                "insert into ws_default.orders (id, _batch, _row, _out) values (11, \(.int8(batch)), 1, 0)")
            try await pool.run("update millrace.application set stored = 2")
            let run = try await pool.makeRun([batch])
            try await pool.handOver(Healed(run: run, batch: batch, tried: [1], ids: [(1, 11), (1, 12)]))
            try await pool.replaceAll()
            #expect(try await pool.orders() == ["0 0 10", "1 0 11", "1 0 12"])
            #expect(try await pool.ledger() == ["stored 1 3 0 0"])
        }
    }

    @Test("Rows that would go to another dataset than those of the output are not stored: a replay could not find them")
    func moved() async throws {
        let database = try await StoreDatabase.make()
        try await database.withPool(size: 6) { pool in
            let batch = try await pool.store([HandedOver(ids: [10, 11])])[0]
            try await pool.quarantine([1], of: batch)
            try await pool.run("insert into millrace.dataset (workspace_id, name) values (1, 'others')")
            try await pool.run(
                """
                select millrace.agree_columns(id, '{id}', '{int8}', 200) from millrace.dataset where name = 'others'
                """)
            let run = try await pool.makeRun([batch])
            try await pool.handOver(Healed(run: run, batch: batch, dataset: "others", tried: [1], ids: [(1, 11)]))
            try await pool.replaceAll()
            #expect(try await pool.runs() == ["failed 0 1 0 0 0"])
            #expect(try await pool.texts("select left(error, 12) from millrace.run_report") == ["output_moved"])
            #expect(try await pool.quarantined() == ["1 1 transform first raw"])
            #expect(try await pool.ledger() == ["stored 1 1 0 1"])
        }
    }

    @Test("The route makes a run for each pipeline over what can be tried; one at a time over a batch")
    func route() async throws {
        let database = try await StoreDatabase.make()
        try await database.withPool(size: 6) { pool in
            let batches = try await pool.store([
                HandedOver(ids: [10, 11]), HandedOver(ids: [20, 21]), HandedOver(ids: [30, 31]),
            ])
            let client = try StoreClient(pool)
            let target = "/v1/datasets/orders/quarantine/replay"
            let nothing = try await client.post(target, [:])
            #expect(nothing.status == 200)
            #expect(nothing.json == ["healed": 0, "failing": 0, "failed_batches": 0, "runs": []])
            for batch in batches { try await pool.quarantine([1], of: batch) }
            // Its bytes were cut; another one's batch is on its way again.
            try await pool.run(
                """
                update landing.quarantine set stage = 'decode', errors = '[{"code": "record_too_large"}]'
                where batch_id = \(.int8(batches[0]))
                """)
            try await pool.run(
                "update millrace.application set state = 'transformed' where batch_id = \(.int8(batches[1]))")
            #expect(try await client.post(target, ["codes": ["other"]]).status == 200)
            #expect(try await client.post(target, ["batches": ["\(batches[0])"]]).status == 200)
            let made = try await client.post(target + "?wait=20ms", ["codes": ["first"]])
            #expect(made.status == 202)
            #expect(
                try await pool.texts("select kind || batches || version || request::text from millrace.run") == [
                    #"heal11{"codes": ["first"], "dataset": "orders"}"#
                ])
            #expect(try await pool.texts("select batch::text from millrace.run_batch") == ["\(batches[2])"])
            #expect(
                try await pool.texts(
                    """
                    select concat_ws(' ', kind, priority, limit_key = 'parallel_8:' || (arguments ->> 'run'),
                        arguments - 'run') from queue.job where kind = 'run.heal'
                    """) == [#"run.heal -1 t {"count": 1, "first": 0}"#])
            let again = try await client.post(target, [:])
            #expect(again.code == "conflict")
            #expect(again.json["run"] == made.json["run"])
            #expect(try await pool.int("select count(*) from millrace.run") == 1)
            let faulty: [(JSONValue, String)] = [
                (["batches": []], "batches"), (["batches": ["01"]], "batches"), (["codes": []], "codes"),
                (["pipeline": "No"], "pipeline"), (["pipeline": "nobodys"], "pipeline"), (["dry": true], "dry"),
                (["max_parallel": 0], "max_parallel"),
                (["max_parallel": 65], "max_parallel"), (["reason": [:]], "reason.code"),
                (["reason": ["code": "first", "why": 1]], "reason.why"),
                (["reason": ["code": "first"], "codes": ["first"]], "reason"),
            ]
            for (body, path) in faulty {
                let refused = try await client.post(target, body)
                #expect(refused.status == 422)
                #expect(refused.json["errors"]?.array?.first?["path"]?.string == path)
            }
            #expect(try await client.post("/v1/datasets/none/quarantine/replay", [:]).status == 404)
        }
    }
}
