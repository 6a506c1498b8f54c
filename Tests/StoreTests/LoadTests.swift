import Observability
import Postgres
import Records
import TestSupport
import Testing

@testable import Store

@Suite("Store: loading chunks")
struct LoadTests {
    private let allStored: PostgresQuery = "select count(*) from millrace.application where state <> 'stored'"

    @Test("Makes the table, loads every row with its lineage, and writes the ledger")
    func loads() async throws {
        let database = try await StoreDatabase.make()
        try await database.withPool(size: 6) { pool in
            for first in [Int64(0), 1000, 2000] {
                let ids = Array(first..<first + 1000)
                try await pool.handOver(HandedOver(ids: ids, names: ids.map { "n\($0)" }))
            }
            try await LoadWorker().run(pool) { try await pool.wait(until: self.allStored, is: 0) }
            #expect(
                try await pool.int("select count(distinct id) from ws_default.orders where name = 'n' || id") == 3000)
            #expect(try await pool.int("select count(distinct (_batch, _row, _out)) from ws_default.orders") == 3000)
            #expect(try await pool.int("select sum(stored)::int8 from millrace.application") == 3000)
            #expect(try await pool.int("select count(*) from queue.outcome where state = 'succeeded'") == 3)
            #expect(try await pool.int("select count(*) from millrace.dataset where last_load_at is not null") == 1)
            #expect(try await pool.int("select count(*) from millrace.dataset_column where state = 'applied'") == 2)
        }
        let counted = try await database.administer(
            "set session authorization millrace_ws_default; select count(*) from ws_default.orders")
        #expect(counted == "3000")
    }

    @Test("A chunk whose job comes twice, and one that is stored already, is loaded once")
    func repeated() async throws {
        let database = try await StoreDatabase.make()
        try await database.withPool(size: 6) { pool in
            let chunk = try await pool.handOver(HandedOver(ids: [1, 2, 3]))
            let again: PostgresQuery = """
                select queue.enqueue('store', 'load', 1, array[jsonb_build_object('chunk', \(.int8(chunk)))])
                """
            try await pool.run(again)
            try await LoadWorker().run(pool) {
                try await pool.wait(until: "select count(*) from queue.outcome where state = 'succeeded'", is: 2)
                try await pool.run(again)
                try await pool.wait(until: "select count(*) from queue.outcome where state = 'succeeded'", is: 3)
            }
            #expect(try await pool.int("select count(*) from ws_default.orders") == 3)
        }
    }

    @Test("A column is added once a reader lets go of the table")
    func addsColumn() async throws {
        let database = try await StoreDatabase.make()
        try await database.withPool(size: 8) { pool in
            try await pool.handOver(HandedOver(ids: [1]))
            var worker = LoadWorker()
            worker.patience.attempts = 100
            try await worker.run(pool) {
                try await pool.wait(until: self.allStored, is: 0)
                try await pool.withTransaction { reader in
                    try await reader.query("select * from ws_default.orders")
                    try await pool.handOver(HandedOver(ids: [2], names: ["two"]))
                    // What waits for the table is seen waiting, and does not get it.
                    try await pool.wait(
                        until: "select (count(*) > 0)::int from pg_locks where not granted", is: 1)
                    #expect(try await pool.int(self.allStored) == 1)
                }
                try await pool.wait(until: self.allStored, is: 0)
            }
            #expect(try await pool.texts("select name from ws_default.orders where id = 2") == ["two"])
        }
    }

    @Test("Where a reader holds the table for good, the column becomes extra and the batch is transformed again")
    func givesColumnUp() async throws {
        let database = try await StoreDatabase.make()
        try await database.withPool(size: 8) { pool in
            try await pool.handOver(HandedOver(ids: [1]))
            try await LoadWorker().run(pool) {
                try await pool.wait(until: self.allStored, is: 0)
                try await pool.withTransaction { reader in
                    try await reader.query("select * from ws_default.orders")
                    try await pool.handOver(HandedOver(ids: [2], names: ["two"]))
                    try await pool.wait(
                        until: "select count(*) from millrace.application where state = 'accepted'", is: 1)
                }
            }
            let states = try await pool.texts(
                "select name || ' ' || state from millrace.dataset_column order by ordinal")
            #expect(states == ["id applied", "name extra"])
            let job = try await pool.texts(
                "select kind || (arguments->'batch')::text from queue.job where kind = 'transform'")
            let batch = try await pool.int("select max(id) from millrace.batch")
            #expect(job == ["transform\(batch)"])
            #expect(try await pool.int("select count(*) from ws_default.orders") == 1)
        }
    }

    @Test("Rows that break the primary key are quarantined with their raw records, the others are loaded")
    func refusesRows() async throws {
        let database = try await StoreDatabase.make()
        try await database.withPool(size: 6) { pool in
            try await pool.run(
                """
                insert into millrace.dataset (workspace_id, name, definition, declared)
                values (1, 'orders', '{"primary_key": ["id"]}', true)
                """)
            try await pool.handOver(HandedOver(ids: [1, 2, 3]))
            // Of the ids 0 … 999 two are there already, and 500 comes twice. Requests: 10, 490, 500 records.
            var ids = Array(Int64(10)..<1010)
            ids[4] = 2
            ids[700] = 3
            ids[800] = 500
            try await LoadWorker().run(pool) { [ids] in
                try await pool.wait(until: self.allStored, is: 0)
                try await pool.handOver(HandedOver(ids: ids, requests: [10, 490, 500]))
                try await pool.wait(until: self.allStored, is: 0)
            }
            #expect(try await pool.int("select count(*) from ws_default.orders") == 1000)
            #expect(try await pool.int("select count(distinct id) from ws_default.orders") == 1000)
            let quarantined = try await pool.texts(
                """
                select row || ' ' || stage || ' ' || convert_from(raw, 'UTF8') || ' ' || (errors->0->>'code')
                from landing.quarantine order by row
                """)
            #expect(
                quarantined == [
                    #"4 store {"id": 2} duplicate_key"#, #"700 store {"id": 3} duplicate_key"#,
                    #"800 store {"id": 500} duplicate_key"#,
                ])
            let ledger = try await pool.texts(
                """
                select stored || ' ' || quarantined || ' ' || receipt_counts::text from millrace.application
                order by batch_id desc limit 1
                """)
            #expect(ledger == ["997 3 {0,1,0,0,0,0,0,2,0}"])
        }
    }

    @Test("Of a record with several rows, one of them refused, none is loaded; another batch's rows of that place stay")
    func refusesWholeRecords() async throws {
        let database = try await StoreDatabase.make()
        try await database.withPool(size: 6) { pool in
            try await pool.run(
                """
                insert into millrace.dataset (workspace_id, name, definition, declared)
                values (1, 'orders', '{"primary_key": ["id"]}', true)
                """)
            try await pool.handOver(HandedOver(ids: [1, 2, 3]))
            try await LoadWorker().run(pool) {
                try await pool.wait(until: self.allStored, is: 0)
                // Records 0 (ids 10, 11), 1 (12, 2, 13), 2 (14), 3 (15, 15), of requests with 1, 2 and 4 records.
                try await pool.handOver(
                    HandedOver(
                        ids: [10, 11, 12, 2, 13, 14, 15, 15], requests: [1, 2, 4],
                        records: [0, 0, 1, 1, 1, 2, 3, 3]))
                try await pool.wait(until: self.allStored, is: 0)
            }
            #expect(
                try await pool.texts("select id::text from ws_default.orders o order by o.id")
                    == ["1", "2", "3", "10", "11", "14"])
            let quarantined = try await pool.texts(
                "select row || ' ' || jsonb_array_length(errors) from landing.quarantine order by row")
            #expect(quarantined == ["1 1", "3 1"])
            let ledger = try await pool.texts(
                """
                select stored || ' ' || quarantined || ' ' || receipt_counts::text from millrace.application
                order by batch_id desc limit 1
                """)
            #expect(ledger == ["3 2 {0,0,0,0,1,0,0,1,0}"])
        }
    }

    @Test("Rows sent again as a whole are told from the few new ones among them, in one statement")
    func refusesManyRows() async throws {
        let database = try await StoreDatabase.make()
        try await database.withPool(size: 6) { pool in
            try await pool.run(
                """
                insert into millrace.dataset (workspace_id, name, definition, declared)
                values (1, 'orders', '{"primary_key": ["id"]}', true)
                """)
            try await pool.handOver(HandedOver(ids: Array(0..<20_000)))
            try await LoadWorker().run(pool) {
                try await pool.wait(until: self.allStored, is: 0)
                // 100 new ids, each twice, behind 20,000 known ones.
                try await pool.handOver(
                    HandedOver(ids: Array(0..<20_100) + Array(20_000..<20_100), requests: [20_000, 200]))
                try await pool.wait(until: self.allStored, is: 0)
            }
            #expect(try await pool.int("select count(*) from ws_default.orders") == 20_100)
            #expect(try await pool.int("select count(distinct id) from ws_default.orders") == 20_100)
            #expect(try await pool.int("select count(*) from landing.quarantine where row >= 20100") == 100)
            let ledger = try await pool.texts(
                """
                select stored || ' ' || quarantined || ' ' || receipt_counts::text from millrace.application
                order by batch_id desc limit 1
                """)
            #expect(ledger == ["100 20100 {0,20000,0,0,100,0}"])
        }
    }

    @Test("A damaged chunk goes to the dead letters and its output is failed; its neighbours are loaded")
    func damaged() async throws {
        let database = try await StoreDatabase.make()
        try await database.withPool(size: 6) { pool in
            try await pool.handOver(HandedOver(ids: [1]))
            let chunk = try await pool.handOver(HandedOver(ids: [2], body: [1, 2, 3]))
            try await pool.handOver(HandedOver(ids: [3]))
            try await LoadWorker().run(pool) {
                try await pool.wait(until: "select count(*) from queue.dead", is: 1)
                try await pool.wait(
                    until: "select count(*) from millrace.application where state = 'stored'", is: 2)
            }
            let error = try await pool.texts("select error from millrace.application where state = 'failed'")
            #expect(error.first?.hasPrefix("chunk_damaged: chunk \(chunk)") == true)
            #expect(try await pool.int("select sum(id)::int8 from ws_default.orders") == 4)
        }
    }

    @Test("A chunk of a removed dataset is transformed again")
    func removedDataset() async throws {
        let database = try await StoreDatabase.make()
        try await database.withPool(size: 6) { pool in
            try await pool.handOver(HandedOver(ids: [1]))
            try await pool.run("delete from millrace.dataset")
            try await LoadWorker().run(pool) {
                try await pool.wait(until: "select count(*) from queue.job where kind = 'transform'", is: 1)
            }
            #expect(try await pool.texts("select state from millrace.application") == ["accepted"])
        }
    }

    @Test("Every row is stored once, though the server processes that load are killed all the while")
    func killed() async throws {
        let database = try await StoreDatabase.make()
        try await database.withPool(size: 6) { pool in
            var worker = LoadWorker()
            worker.groupBytes = 200_000
            let rows = 2_000
            for batch in 0..<60 {
                let first = Int64(batch * rows)
                try await pool.handOver(HandedOver(ids: Array(first..<first + Int64(rows))))
            }
            let killed = try await worker.run(pool) {
                var killed = 0
                for _ in 0..<1_000 where (try? await pool.int(self.allStored)) != 0 {
                    let count = try await database.administer(
                        """
                        select count(pg_terminate_backend(pid)) from pg_stat_activity
                        where datname = current_database() and usename = 'millrace' and state <> 'idle'
                            and (query ilike 'copy%' or query ilike '%queue.settle%' or query ilike 'commit%')
                        """)
                    killed += Int(count) ?? 0
                    if killed > 40 { break }
                }
                try await pool.wait(until: self.allStored, is: 0, within: .seconds(60))
                return killed
            }
            #expect(killed > 0, "no kill hit a load: the test has shown nothing")
            #expect(try await pool.int("select count(*) from ws_default.orders") == 60 * rows)
            #expect(try await pool.int("select count(distinct id) from ws_default.orders") == 60 * rows)
            #expect(try await pool.int("select sum(stored)::int8 from millrace.application") == 60 * rows)
        }
    }
}
