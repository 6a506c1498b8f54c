import Observability
import Postgres
import Records
import TestSupport
import Testing

@testable import Store

/// Rows `k, v, name` of one output of a batch.
private struct RoutedRows: Sendable {
    var dataset: String
    var mode = LoadMode.upsert
    var rows: [MergeRow]

    init(_ dataset: String, _ mode: LoadMode = .upsert, keys: ClosedRange<Int64>? = nil, name: String = "") {
        (self.dataset, self.mode) = (dataset, mode)
        rows = keys?.map { MergeRow(key: $0, version: 1, name: name) } ?? []
    }

    func encode(batch: Int64, output: Int16, from first: Int32) throws -> [UInt8] {
        let columns = [
            NamedColumn("k", Column(.int8, .int64(rows.map { $0.key ?? 0 }))),
            NamedColumn("v", Column(.int8, .int64(rows.map { $0.version ?? 0 }))),
            NamedColumn("name", Column(.text, .bytes(ByteColumn(rows.map(\.name))))),
        ]
        let batch = CopyBinaryEncoder(batch: batch, output: Int32(output))
        return try batch.encode(RecordBatch(rows: rows.indices.map { first + Int32($0) }, columns: columns))
    }
}

extension PostgresPool {
    /// The datasets `main` and `eu`, merged by a key, and `log`, appended to; and a batch of which `main` has keys 1 to
    /// 4, as output 0, and `log` keys 5 and 6, as output 1. Gives the batch.
    fileprivate func storeRouted() async throws -> Int64 {
        for name in ["main", "log", "eu"] { try await makeDataset(name) }
        try await run("update millrace.dataset set definition = '{}' where name = 'log'")
        let rows = (1...6).map { MergeRow(key: Int64($0), version: 1, name: "old") }
        let chunks = [try await handOver(MergeBatch(dataset: "main", rows: Array(rows.prefix(4)), requests: [2, 2]))]
        let batch = Int64(try await int("select max(id) from millrace.batch"))
        try await LoadWorker().run(self) {
            try await self.load(chunks)
            try await self.waitStored(chunks)
        }
        try await run(
            """
            create table ws_default.log (k int8, v int8, name text, _extra jsonb, _batch int8 not null,
                _row int4 not null, _out int4 not null)
            """)
        try await run("update millrace.dataset set table_created = true where name = 'log'")
        try await run(
            """
            update millrace.dataset_column set state = 'applied'
            where dataset_id = (select id from millrace.dataset where name = 'log')
            """)
        try await run(
            """
            insert into ws_default.log select k, 1, 'old', null, \(.int8(batch)), k - 1, 1 from generate_series(5, 6) k
            """)
        try await run(
            """
            insert into millrace.application (batch_id, pipeline_id, output, source_id, version, dataset_id, state,
                received, stored)
            select a.batch_id, a.pipeline_id, 1, a.source_id, 1, d.id, 'stored', 2, 2
            from millrace.application a join millrace.dataset d on d.name = 'log'
            """)
        return batch
    }

    /// A run that makes the batch anew, its chunks handed over. `main` and `eu` are filled beside their tables.
    ///
    /// - Parameter kept: the outputs that are made anew under version 1; nil: all, under version 2.
    @discardableResult
    fileprivate func rebuild(_ batch: Int64, _ outputs: [RoutedRows], kept: [Int16]? = nil) async throws -> Int64 {
        let version: Int32 = kept == nil ? 2 : 1
        let made = try await makeRun([batch])
        try await run(
            "insert into millrace.run_batch (run, ordinal, batch, state) values (\(.int8(made)), 1, 0, 'queued')")
        try await run(
            """
            insert into millrace.rebuild (dataset_id, run, mode, targets)
            select id, \(.int8(made)), 'upsert', 2 from millrace.dataset where name in ('main', 'eu')
            """)
        try await run(
            """
            insert into millrace.rebuild_part (run, ordinal, batch_id, pipeline_id, version, outputs)
            select id, 0, \(.int8(batch)), pipeline_id, \(.int4(version)), \(.optional(kept) { .int2Array($0) })::int2[]
            from millrace.run where id = \(.int8(made))
            """)
        var chunks: [Int64] = []
        var first: Int32 = 0
        for (number, output) in outputs.enumerated() {
            let encoded = try output.encode(batch: batch, output: Int16(number), from: first)
            let rows = Int32(output.rows.count)
            first += rows
            let mode: String? = output.mode == .append ? nil : output.mode.rawValue
            chunks.append(
                Int64(
                    try await int(
                        """
                        insert into landing.chunk (id, batch_id, pipeline_id, version, output, dataset_id, columns,
                            types, rows, raw_bytes, body, mode, run, ordinal, received, filtered, quarantined,
                            receipt_received, fault_rows, fault_stages, fault_errors, fault_raws)
                        select nextval('landing.chunk_id'), \(.int8(batch)), r.pipeline_id, \(.int4(version)),
                            \(.int2(Int16(number))), d.id, '{k,v,name}', '{int8,int8,text}', \(.int4(rows)),
                            \(.int4(Int32(encoded.count))), \(.bytes(try Zstd.compress(encoded))),
                            \(.optional(mode) { .text($0) }), r.id, 0, \(.int4(rows)), 0, 0,
                            \(.int4Array([rows, 0])), '{}', '{}', '{}', '{}'
                        from millrace.run r join millrace.dataset d on d.name = \(.text(output.dataset))
                        where r.id = \(.int8(made)) returning id
                        """)))
        }
        try await run(
            """
            select queue.enqueue('store', 'rebuild', 1, array[jsonb_build_object('chunks',
                to_jsonb(\(.int8Array(chunks))), 'run', \(.int8(made)), 'ordinal', 0)])
            """)
        return made
    }

    fileprivate func content(_ dataset: String) async throws -> String {
        try await texts(
            """
            select coalesce(string_agg(k || name || _out, ' ' order by k), '')
            from \(identifier: "ws_default", dataset)
            """)[0]
    }

    fileprivate func outputs() async throws -> [String] {
        try await texts(
            """
            select concat_ws(' ', a.output, d.name, a.state, a.version, a.received, a.stored, a.quarantined)
            from millrace.application a left join millrace.dataset d on d.id = a.dataset_id order by a.output
            """)
    }

    fileprivate func leftTables() async throws -> Int {
        try await int("select count(*) from pg_class where relname like '%.re' or relname like '%.re.deleted'")
    }
}

@Suite("Store: rebuilds of several outputs")
struct RoutedRebuildTests {
    private static let old = ["0 main stored 1 4 4 0", "1 log stored 1 2 2 0"]

    private static let new = [
        RoutedRows("main", keys: 1...2, name: "new"), RoutedRows("eu", keys: 3...4, name: "new"),
        RoutedRows("log", .append, keys: 4...6, name: "new"),
    ]

    @Test("Tables, appended rows, ledger and counts change at once, under whatever number an output had been")
    func changes() async throws {
        try await StoreDatabase.make().withPool(size: 6) { pool in
            let batch = try await pool.storeRouted()
            #expect(try await pool.outputs() == Self.old)
            try await pool.rebuild(batch, Self.new)
            try await pool.replaceAll()
            #expect(try await pool.runs() == ["succeeded 2 0 7 0 0"])
            #expect(try await pool.content("main") == "1new0 2new0")
            #expect(try await pool.content("eu") == "3new1 4new1")
            #expect(try await pool.content("log") == "4new2 5new2 6new2")
            #expect(
                try await pool.outputs() == [
                    "0 main stored 2 2 2 0", "1 eu stored 2 2 2 0", "2 log stored 2 3 3 0",
                ])
            #expect(try await pool.int("select count(*) from millrace.rebuild_part") == 0)
            #expect(try await pool.int("select count(*) from millrace.rebuild_output") == 0)
            #expect(try await pool.leftTables() == 0)
        }
    }

    @Test("Rows that a table refuses when they are appended are quarantined with their bytes, and counted")
    func refused() async throws {
        try await StoreDatabase.make().withPool(size: 6) { pool in
            let batch = try await pool.storeRouted()
            try await pool.run("alter table ws_default.log add primary key (k)")
            try await pool.run(
                "insert into ws_default.log values (4, 1, 'other', null, 999, 0, 0)")
            try await pool.rebuild(batch, Self.new)
            try await pool.replaceAll()
            #expect(try await pool.runs() == ["succeeded 2 0 6 0 1"])
            #expect(try await pool.content("log") == "4other0 5new2 6new2")
            #expect(
                try await pool.outputs() == [
                    "0 main stored 2 2 2 0", "1 eu stored 2 2 2 0", "2 log stored 2 3 2 1",
                ])
            let quarantine = try await pool.texts(
                """
                select concat_ws(' ', q.row, q.output, q.version, q.stage, q.errors -> 0 ->> 'code',
                    a.receipt_counts::text)
                from landing.quarantine q join millrace.application a using (batch_id, pipeline_id, output)
                """)
            #expect(quarantine == ["4 2 2 store duplicate_key {0,0,0,0,1,0}"])
        }
    }

    @Test("Of a batch that is stored in part nothing else changes, nor is whoever stores the rest kept waiting")
    func storedInPart() async throws {
        try await StoreDatabase.make().withPool(size: 6) { pool in
            let batch = try await pool.storeRouted()
            try await pool.run("update millrace.application set state = 'transformed' where output = 1")
            try await pool.rebuild(batch, [RoutedRows("main", keys: 1...2, name: "new")], kept: [0])
            try await LoadWorker().run(pool) {
                try await pool.withTransaction { storing in
                    try await storing.query("select from millrace.application where output = 1 for update")
                    try await pool.wait(until: "select count(*) from millrace.run where state = 'succeeded'", is: 1)
                }
            }
            #expect(try await pool.runs() == ["succeeded 2 0 2 0 0"])
            #expect(try await pool.content("main") == "1new0 2new0")
            #expect(try await pool.content("log") == "5old1 6old1")
            #expect(try await pool.outputs() == ["0 main stored 1 2 2 0", "1 log transformed 1 2 2 0"])
        }
    }

    @Test("Where one dataset has got rows that the table beside it lacks, no dataset changes")
    func outdated() async throws {
        try await StoreDatabase.make().withPool(size: 6) { pool in
            let batch = try await pool.storeRouted()
            try await pool.rebuild(batch, [Self.new[0], RoutedRows("eu"), Self.new[2]])
            // As a load does that appends to the dataset.
            let eu = Int64(try await pool.int("select id from millrace.dataset where name = 'eu'"))
            _ = try await pool.withConnection { try await $0.execute(EndRebuild(datasetID: eu)) }
            try await pool.replaceAll()
            let runs = try await pool.texts("select state || ' ' || error from millrace.run_report")
            #expect(runs.first?.hasPrefix("failed rebuild_outdated") == true)
            #expect(try await pool.outputs() == Self.old)
            #expect(try await pool.content("main") == "1old0 2old0 3old0 4old0")
            #expect(try await pool.content("log") == "5old1 6old1")
        }
    }

    @Test("What a cancelled run has filled is away after maintenance, with all that it has counted")
    func cancelled() async throws {
        try await StoreDatabase.make().withPool(size: 6) { pool in
            let batch = try await pool.storeRouted()
            let run = try await pool.rebuild(batch, Self.new)
            try await LoadWorker().run(pool) {
                try await pool.withTransaction { reader in
                    try await reader.query("select count(*) from ws_default.main")
                    try await pool.wait(
                        until: """
                            select least(count(*), 1) from pg_locks where not granted
                                and mode = 'AccessExclusiveLock' and relation = 'ws_default.main'::regclass
                            """, is: 1)
                    try await pool.run("select millrace.cancel_run(1, \(.int8(run)))")
                }
            }
            try await pool.replaceAll()
            #expect(try await pool.outputs() == Self.old)
            #expect(try await pool.content("log") == "5old1 6old1")
            #expect(try await pool.leftTables() == 2)
            try await pool.run("update queue.leader set until = '-infinity' where name = 'landing'")
            let retirement = PartitionRetirement(pool: pool, settings: .init(), logger: .silent)
            let maintenance = LandingMaintenance(pool: pool, retirement: retirement, settings: .init(), logger: .silent)
            #expect(try await maintenance.maintain()?.isLeader == true)
            #expect(try await pool.leftTables() == 0)
            for table in ["rebuild", "rebuild_part", "rebuild_output"] {
                #expect(try await pool.int("select count(*) from \(identifier: "millrace", table)") == 0)
            }
        }
    }

    @Test("Chunks whose rows are to be appended, and raw bytes, are kept until the tables have changed places")
    func kept() async throws {
        try await StoreDatabase.make().withPool(size: 6) { pool in
            let batch = try await pool.storeRouted()
            let run = try await pool.rebuild(batch, Self.new)
            let chunk = try await pool.int("select max(id) from landing.chunk")
            let wanted: PostgresQuery = """
                select landing.is_wanted('chunk_0', \(.int8(Int64(chunk))), \(.int8(Int64(chunk + 1))), 60)::int4
                """
            let unfinished: PostgresQuery = """
                select landing.is_unfinished(\(.int8(batch)), \(.int8(batch + 1)), 60)::int4
                """
            try await pool.run("update millrace.run_batch set state = 'stored' where ordinal = 0")
            #expect(try await pool.int(wanted) == 0)
            try await pool.run(
                """
                insert into millrace.rebuild_output (run, ordinal, output, dataset_id, chunk, stored, filtered,
                    quarantined, duplicates)
                values (\(.int8(run)), 0, 2, 1, \(.int8(Int64(chunk))), 3, 0, 0, 0)
                """)
            #expect(try await pool.int(wanted) == 1)
            #expect(try await pool.int(unfinished) == 1)
            try await pool.run("select millrace.cancel_run(1, \(.int8(run)))")
            #expect(try await pool.int(wanted) == 0)
            #expect(try await pool.int(unfinished) == 0)
        }
    }

    @Test("Readers see all outputs as they were or as they are to be, though the servers that change them are killed")
    func killed() async throws {
        let database = try await StoreDatabase.make()
        try await database.withPool(size: 8) { pool in
            let batch = try await pool.storeRouted()
            let killed = try await LoadWorker().run(pool) {
                try await database.withPool(size: 2) { try await rebuildAndKill(batch, by: $0, database) }
            }
            #expect(killed > 0, "no kill hit a rebuild: the test has shown nothing")
        }
    }

    /// Rebuilds again and again, and ends the servers that do; gives how often.
    private func rebuildAndKill(_ batch: Int64, by pool: PostgresPool, _ database: TestDatabase) async throws -> Int {
        let names = """
            select array_to_string(array(select distinct name from ws_default.main union
                select name from ws_default.eu union select name from ws_default.log order by 1), ' ')
            """
        var killed = 0
        var last = "old"
        for round in 0..<40 where killed <= 10 {
            let name = "round\(round)"
            let run = try await pool.rebuild(
                batch,
                [
                    RoutedRows("main", keys: 1...2, name: name), RoutedRows("eu", keys: 3...4, name: name),
                    RoutedRows("log", .append, keys: 5...6, name: name),
                ])
            let open = "select count(*) from millrace.run where id = \(run) and state = 'running'"
            while try await pool.texts("select (\(unsafeText: open))::text") == ["1"] {
                // The tables that have just been there may be away when a statement has begun.
                if let seen = try? await pool.texts("\(unsafeText: names)") {
                    #expect([[last], [name]].contains(seen))
                }
                // Fewer in a round than a job has attempts.
                guard killed < 4 * (round + 1) else { continue }
                let ended = try await database.administer(
                    """
                    select count(pg_terminate_backend(pid)) from pg_stat_activity
                    where datname = current_database() and usename = 'millrace' and state <> 'idle'
                        and (query ilike 'copy%' or query ilike 'lock table%' or query ilike 'alter%'
                            or query ilike 'drop table%' or query ilike '%queue.settle%'
                            or query ilike '%rebuild_%')
                    """)
                killed += Int(ended) ?? 0
            }
            #expect(try await pool.runs().last == "succeeded 2 0 6 0 0")
            #expect(try await pool.texts("\(unsafeText: names)") == [name])
            last = name
        }
        return killed
    }
}
