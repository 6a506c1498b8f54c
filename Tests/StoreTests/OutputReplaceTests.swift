import Postgres
import Records
import TestSupport
import Testing

@testable import Store

extension PostgresPool {
    /// A chunk with rows `{"id": n}` of a batch's output; the dataset is made if there is none. Gives its id.
    fileprivate func insertChunk(
        _ batch: Int64, output: Int16, dataset: String, version: Int32, ids: [Int64], run: Int64? = nil,
        faults: [Int32] = []
    ) async throws -> Int64 {
        let columns = [NamedColumn("id", Column(.int8, .int64(ids)))]
        let rows = RecordBatch(rows: (0..<ids.count).map { Int32($0) }, columns: columns)
        let encoded = try CopyBinaryEncoder(batch: batch, output: Int32(output)).encode(rows)
        let names = ids.isEmpty ? [] : ["id"]
        return try await withTransaction { connection in
            let datasetID = try await connection.query(
                """
                insert into millrace.dataset (workspace_id, name) values (1, \(.text(dataset)))
                on conflict (workspace_id, name) do update set name = excluded.name returning id
                """)[0].int8(0)
            try await connection.query(
                "select count(*) from millrace.agree_columns(\(.int8(datasetID)), '{id}', '{int8}', 200)")
            return try await connection.query(
                """
                insert into landing.chunk (id, batch_id, pipeline_id, version, output, dataset_id, columns, types, rows,
                    raw_bytes, body, run, ordinal, received, filtered, quarantined, receipt_received, fault_rows,
                    fault_stages, fault_errors, fault_raws)
                select nextval('landing.chunk_id'), \(.int8(batch)), p.id, \(.int4(version)), \(.int2(output)),
                    \(.int8(datasetID)), \(.textArray(names)), \(.textArray(names.map { _ in "int8" })),
                    \(.int4(Int32(ids.count))), \(.int4(Int32(encoded.count))), \(.bytes(try Zstd.compress(encoded))),
                    \(.optional(run) { .int8($0) })::int8, 0, \(.int4(Int32(ids.count + faults.count))), 0,
                    \(.int4(Int32(faults.count))), \(.int4Array([Int32(ids.count + faults.count)])),
                    \(.int4Array(faults)), \(.textArray(faults.map { _ in "transform" })),
                    \(.jsonArray(faults.map { _ in Array("[]".utf8) })), \(.byteaArray(faults.map { _ in [7] }))
                from millrace.pipeline p order by p.id limit 1 returning id
                """)[0].int8(0)
        }
    }

    /// Adds an output to a batch that was handed over, as transform does.
    fileprivate func addOutput(
        _ batch: Int64, output: Int16, dataset: String, ids: [Int64]
    ) async throws {
        let chunk = try await insertChunk(batch, output: output, dataset: dataset, version: 1, ids: ids)
        try await run(
            """
            insert into millrace.application (batch_id, pipeline_id, output, source_id, version, dataset_id, state,
                received, transformed_at)
            select c.batch_id, c.pipeline_id, c.output, b.source_id, 1, c.dataset_id, 'transformed', c.rows, now()
            from landing.chunk c join millrace.batch b on b.id = c.batch_id where c.id = \(.int8(chunk))
            """)
        try await run(
            "select queue.enqueue('store', 'load', 1, array[jsonb_build_object('chunk', \(.int8(chunk)))])")
    }

    /// A batch of three outputs, all stored: `orders` has 1 and 2, `errors` 3, `rare` 4; a record of each of the last
    /// two is quarantined.
    fileprivate func storeThreeOutputs() async throws -> Int64 {
        try await handOver(HandedOver(ids: [1, 2]))
        let batch = Int64(try await int("select max(id) from millrace.batch"))
        try await addOutput(batch, output: 1, dataset: "errors", ids: [3])
        try await addOutput(batch, output: 2, dataset: "rare", ids: [4])
        try await LoadWorker().run(self) {
            try await self.wait(until: "select count(*) from millrace.application where state <> 'stored'", is: 0)
        }
        try await run(
            """
            insert into landing.quarantine (batch_id, row, pipeline_id, output, version, dataset_id, stage, errors, raw)
            select batch_id, 9, pipeline_id, output, 1, dataset_id, 'transform', '[]', '' from millrace.application
            where output > 0
            """)
        return batch
    }

    /// Hands over what a run made of the batch: rows by dataset, in the order of the outputs.
    fileprivate func replace(_ batch: Int64, with outputs: [(String, [Int64], [Int32])]) async throws -> Int64 {
        let made = try await makeRun([batch])
        var chunks: [Int64] = []
        for (number, (dataset, ids, faults)) in outputs.enumerated() {
            chunks.append(
                try await insertChunk(
                    batch, output: Int16(number), dataset: dataset, version: 2, ids: ids, run: made, faults: faults))
        }
        try await run(
            """
            select queue.enqueue('store', 'replace', 1, array[jsonb_build_object('chunks',
                to_jsonb(\(.int8Array(chunks))))])
            """)
        return made
    }

    fileprivate func outputs() async throws -> [String] {
        try await texts(
            """
            select concat_ws(' ', a.output, d.name, a.state, a.version, a.received, a.stored, a.quarantined)
            from millrace.application a left join millrace.dataset d on d.id = a.dataset_id order by a.output
            """)
    }

    fileprivate func ids(_ dataset: String) async throws -> [String] {
        try await texts("select id || '.' || _out from \(identifier: "ws_default", dataset) t order by t.id")
    }
}

@Suite("Store: replacing several outputs")
struct OutputReplaceTests {
    @Test("All outputs of a batch are replaced at once; those that the new version has not are taken away")
    func fewer() async throws {
        let database = try await StoreDatabase.make()
        try await database.withPool(size: 6) { pool in
            let batch = try await pool.storeThreeOutputs()
            #expect(
                try await pool.outputs() == [
                    "0 orders stored 1 2 2 0", "1 errors stored 1 1 1 0", "2 rare stored 1 1 1 0",
                ])
            _ = try await pool.replace(batch, with: [("orders", [10], [5]), ("faults", [20, 30], [])])
            try await pool.replaceAll()
            #expect(try await pool.outputs() == ["0 orders stored 2 2 1 1", "1 faults stored 2 2 2 0"])
            #expect(try await pool.ids("orders") == ["10.0"])
            #expect(try await pool.ids("faults") == ["20.1", "30.1"])
            #expect(try await pool.ids("errors") == [])
            #expect(try await pool.ids("rare") == [])
            #expect(try await pool.runs() == ["succeeded 1 0 3 0 1"])
            let quarantine = try await pool.texts("select output || ' ' || row from landing.quarantine")
            #expect(quarantine == ["0 5"])
        }
    }

    @Test("A version with more outputs enters them; empty ones too")
    func more() async throws {
        let database = try await StoreDatabase.make()
        try await database.withPool(size: 6) { pool in
            let batches = try await pool.store([HandedOver(ids: [1, 2])])
            _ = try await pool.replace(
                batches[0], with: [("orders", [], []), ("errors", [7], [1]), ("rare", [], [])])
            try await pool.replaceAll()
            #expect(
                try await pool.outputs() == [
                    "0 orders stored 2 0 0 0", "1 errors stored 2 2 1 1", "2 rare stored 2 0 0 0",
                ])
            #expect(try await pool.ids("orders") == [])
            #expect(try await pool.ids("errors") == ["7.1"])
            #expect(try await pool.runs() == ["succeeded 1 0 1 0 1"])
        }
    }

    @Test("A row that one table refuses is quarantined for that output; the other outputs are replaced whole")
    func refused() async throws {
        let database = try await StoreDatabase.make()
        try await database.withPool(size: 6) { pool in
            try await pool.run(
                """
                insert into millrace.dataset (workspace_id, name, definition, declared)
                values (1, 'errors', '{"primary_key": ["id"]}', true)
                """)
            let batch = try await pool.storeThreeOutputs()
            _ = try await pool.replace(batch, with: [("orders", [10, 10], []), ("errors", [20, 20, 30], [])])
            try await pool.replaceAll()
            #expect(try await pool.outputs() == ["0 orders stored 2 2 2 0", "1 errors stored 2 3 2 1"])
            #expect(try await pool.ids("errors") == ["20.1", "30.1"])
            #expect(try await pool.runs() == ["succeeded 1 0 4 0 1"])
        }
    }

    @Test("What a later version made of one output keeps all of them; a removed dataset sends the batch back whole")
    func wholeBatch() async throws {
        let database = try await StoreDatabase.make()
        try await database.withPool(size: 6) { pool in
            let batch = try await pool.storeThreeOutputs()
            try await pool.run("update millrace.application set version = 3 where output = 2")
            _ = try await pool.replace(batch, with: [("orders", [10], []), ("errors", [20], [])])
            try await pool.replaceAll()
            #expect(try await pool.ids("orders") == ["1.0", "2.0"])
            #expect(try await pool.ids("errors") == ["3.1"])
            #expect(try await pool.texts("select state from millrace.run_batch") == ["superseded"])
            try await pool.run("update millrace.application set version = 1")
            let run = try await pool.replace(batch, with: [("orders", [10], []), ("lost", [20], [])])
            try await pool.run("delete from millrace.dataset where name = 'lost'")
            try await LoadWorker().run(pool) {
                try await pool.wait(until: "select count(*) from queue.job where kind = 'run.replay'", is: 1)
            }
            #expect(try await pool.ids("orders") == ["1.0", "2.0"])
            let states = try await pool.texts("select state from millrace.run_batch where run = \(.int8(run))")
            #expect(states == ["queued"])
        }
    }

    @Test("Readers see all outputs of before or all of after, though the servers that replace are killed all the while")
    func killed() async throws {
        let database = try await StoreDatabase.make()
        try await database.withPool(size: 8) { pool in
            let batch = try await pool.storeThreeOutputs()
            let killed = try await LoadWorker().run(pool) {
                // A connection that was killed under a replacement may come back to its pool before it is found broken.
                try await database.withPool(size: 2) { try await replaceAndKill(batch, by: $0, database) }
            }
            #expect(killed > 0, "no kill hit a replacement: the test has shown nothing")
        }
    }

    /// Replaces the batch again and again, and ends the servers that do; gives how often.
    private func replaceAndKill(_ batch: Int64, by pool: PostgresPool, _ database: TestDatabase) async throws -> Int {
        let both = "select (select count(*) from ws_default.orders) * 10 + (select count(*) from ws_default.errors)"
        var killed = 0
        for round in 0..<200 where killed <= 15 {
            let rows = round % 2 == 0 ? 3 : 2
            let ids = (0..<rows).map { Int64($0) }
            let run = try await pool.replace(batch, with: [("orders", ids, []), ("errors", ids, [])])
            let open = "select count(*) from millrace.run where id = \(run) and state = 'running'"
            while try await pool.texts("select (\(unsafeText: open))::text") == ["1"] {
                let seen = try await pool.int("\(unsafeText: both)")
                #expect([21, 22, 33].contains(seen))
                let ended = try await database.administer(
                    """
                    select count(pg_terminate_backend(pid)) from pg_stat_activity
                    where datname = current_database() and usename = 'millrace' and state <> 'idle'
                        and (query ilike 'copy%' or query ilike '%queue.settle%' or query ilike 'delete from "ws%')
                    """)
                killed += Int(ended) ?? 0
            }
            #expect(try await pool.int("\(unsafeText: both)") == rows * 11)
        }
        return killed
    }

}
