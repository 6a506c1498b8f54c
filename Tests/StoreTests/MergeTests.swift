import Postgres
import TestSupport
import Testing

@testable import Store

@Suite("Store: upsert and ignore")
struct MergeTests {
    private func rows(_ keys: [Int64?], _ name: String = "n", version: Int64? = nil) -> [MergeRow] {
        keys.enumerated().map { MergeRow(key: $1, version: version, name: "\(name)\($0)") }
    }

    private func withPool(_ body: @Sendable (PostgresPool) async throws -> Void) async throws {
        try await StoreDatabase.make().withPool(size: 8, body)
    }

    @Test("Rows that lose are duplicates of their batch and of their request")
    func counts() async throws {
        try await withPool { pool in
            try await pool.makeDataset("orders")
            let first = try await pool.handOver(
                MergeBatch(dataset: "orders", rows: self.rows([1, 2, 3, 2, 2], "a"), requests: [2, 1, 2]))
            let second = try await pool.handOver(
                MergeBatch(dataset: "orders", rows: self.rows([1, 4], "b", version: 7), requests: [1, 1]))
            let late = try await pool.handOver(
                MergeBatch(dataset: "orders", rows: self.rows([4, 1, 5], "c", version: 6)))
            try await LoadWorker().run(pool) {
                for chunk in [first, second, late] {
                    try await pool.load([chunk])
                    try await pool.waitStored([chunk])
                }
            }
            // What was stored and then replaced counts as stored.
            #expect(try await pool.counted("orders") == ["3 2 0 {0,0,1,0,0,0,0,0,1}", "2 0 0", "1 2 0"])
            #expect(
                try await pool.texts("select k || name from ws_default.orders order by k")
                    == ["1b0", "2a4", "3a2", "4b1", "5c2"])
        }
    }

    @Test("A row takes the place of the whole one before it, columns that came later included")
    func wholeRows() async throws {
        try await withPool { pool in
            try await pool.makeDataset("orders", version: nil)
            let first = try await pool.handOver(MergeBatch(dataset: "orders", rows: self.rows([1])))
            let second = try await pool.handOver(MergeBatch(dataset: "orders", rows: self.rows([1], "z")))
            try await LoadWorker().run(pool) {
                try await pool.load([first])
                try await pool.waitStored([first])
                // Another process has added a column and filled it.
                try await pool.run(
                    """
                    with d as (update millrace.dataset set schema_version = 2 where name = 'orders' returning id)
                    insert into millrace.dataset_column (dataset_id, ordinal, name, type, state, since_version)
                    select id, 9, 'note', 'text', 'applied', 2 from d
                    """)
                try await pool.run("alter table ws_default.orders add column note text")
                try await pool.run("update ws_default.orders set note = 'old'")
                try await pool.load([second])
                try await pool.waitStored([second])
            }
            let found = try await pool.texts("select name || coalesce(note, ' null') from ws_default.orders")
            #expect(found == ["z0 null"])
        }
    }

    @Test("Rows that the table cannot take are quarantined, the best of the others stay", arguments: [false, true])
    func refusesRows(marksDeletions: Bool) async throws {
        try await withPool { pool in
            try await pool.makeDataset("orders", key: "name", version: nil)
            // Keys of more than 2,704 bytes that do not shrink fit no page of an index.
            var numbers = SeededNumbers(state: 5)
            func long() -> String { (0..<400).map { _ in String(numbers.next(), radix: 36) }.joined() }
            var rows = (0..<60).map { MergeRow(key: Int64($0), version: nil, name: "key \($0 % 50)") }
            rows[11].name = long()
            rows[40].name = long()
            let chunk = try await pool.handOver(
                MergeBatch(dataset: "orders", rows: rows, requests: [20, 40], marksDeletions: marksDeletions))
            try await LoadWorker().run(pool) {
                try await pool.load([chunk])
                try await pool.waitStored([chunk])
            }
            let quarantined = try await pool.texts(
                "select row || ' ' || stage || ' ' || (errors->0->>'code') from landing.quarantine order by row")
            #expect(quarantined == ["11 store too_large", "40 store too_large"])
            // Keys 0 … 9 came twice; the refused ones were 11 and 40.
            #expect(try await pool.counted("orders") == ["48 10 2 {0,1,10,0,1,0}"])
            #expect(try await pool.texts("select k || '' from ws_default.orders where name = 'key 3'") == ["53"])
        }
    }

    @Test("A deletion stays until something later comes, also where it came first")
    func deletions() async throws {
        try await withPool { pool in
            try await pool.makeDataset("orders")
            @Sendable func batch(_ version: Int64, deletes: Bool) -> MergeBatch {
                MergeBatch(
                    dataset: "orders",
                    rows: [MergeRow(key: 1, version: version, name: "v\(version)", deletes: deletes)])
            }
            try await LoadWorker().run(pool) {
                var seen: [String] = []
                for (version, deletes) in [
                    (Int64(5), true), (4, false), (6, false), (5, true), (6, true), (6, false), (6, true), (5, false),
                ] {
                    let chunk = try await pool.handOver(batch(version, deletes: deletes))
                    try await pool.load([chunk])
                    try await pool.waitStored([chunk])
                    seen += try await pool.texts(
                        """
                        select coalesce((select name from ws_default.orders), '-') || (select count(*)::text
                            from ws_default."orders.deleted")
                        """)
                }
                #expect(seen == ["-1", "-1", "v60", "v60", "-1", "v60", "-1", "-1"])
            }
            #expect(
                try await pool.counted("orders")
                    == ["1 0 0", "0 1 0", "1 0 0", "0 1 0", "1 0 0", "1 0 0", "1 0 0", "0 1 0"])
        }
    }

    @Test("A row that deletes needs no more than its key")
    func deletesByKey() async throws {
        try await withPool { pool in
            try await pool.makeDataset("orders", version: nil)
            try await pool.run("update millrace.dataset_column set nullable = false where name = 'v'")
            let stored = try await pool.handOver(MergeBatch(dataset: "orders", rows: self.rows([1, 2], version: 1)))
            let gone = try await pool.handOver(
                MergeBatch(dataset: "orders", rows: [MergeRow(key: 1, version: nil, name: "", deletes: true)]))
            try await LoadWorker().run(pool) {
                try await pool.load([stored])
                try await pool.waitStored([stored])
                try await pool.load([gone])
                try await pool.waitStored([gone])
            }
            #expect(try await pool.texts("select k::text from ws_default.orders") == ["2"])
        }
    }

    @Test("Where the dataset has lost its key, the job is a dead letter that says so")
    func noKey() async throws {
        try await withPool { pool in
            try await pool.makeDataset("orders", version: nil)
            try await pool.run("update millrace.dataset set definition = '{}'")
            let plain = try await pool.handOver(MergeBatch(dataset: "orders", rows: self.rows([1])))
            let marked = try await pool.handOver(
                MergeBatch(dataset: "orders", rows: self.rows([1]), marksDeletions: true))
            try await LoadWorker().run(pool) {
                try await pool.load([plain, marked])
                try await pool.wait(until: "select count(*) from queue.dead", is: 2)
            }
            let errors = try await pool.texts("select distinct split_part(error, ':', 1) from millrace.application")
            #expect(errors == ["no_primary_key"])
        }
    }

    @Test("Rows are merged once, though the server processes that do it are killed all the while")
    func killed() async throws {
        let database = try await StoreDatabase.make()
        try await database.withPool(size: 8) { pool in
            try await pool.makeDataset("orders", version: nil)
            var worker = LoadWorker()
            worker.groupBytes = 100_000
            var chunks: [Int64] = []
            for batch in 0..<40 {
                let keys = (0..<2_000).map { Int64($0 * 7 % 5_000 + batch * 100) }
                chunks.append(
                    try await pool.handOver(MergeBatch(dataset: "orders", rows: self.rows(keys, "b\(batch)r"))))
            }
            let shuffled = chunks.shuffled()
            let killed = try await worker.run(pool) { [chunks] in
                try await pool.load(shuffled)
                var killed = 0
                for _ in 0..<1_000
                where (try? await pool.int("select count(*) from millrace.application where state <> 'stored'")) != 0 {
                    let count = try await database.administer(
                        """
                        select count(pg_terminate_backend(pid)) from pg_stat_activity
                        where datname = current_database() and usename = 'millrace' and state <> 'idle'
                            and (query ilike 'with winner%' or query ilike '%queue.settle%' or query ilike 'commit%')
                        """)
                    killed += Int(count) ?? 0
                    if killed > 30 { break }
                }
                try await pool.waitStored(chunks)
                return killed
            }
            #expect(killed > 0, "no kill hit a load: the test has shown nothing")
            let wrong = try await pool.int(
                """
                select count(*) from (
                    select distinct on (k) k, batch from (
                        select r * 7 % 5000 + batch * 100 as k, batch from generate_series(0, 39) batch,
                            generate_series(0, 1999) r) rows order by k, batch desc
                ) w full join ws_default.orders o on o.k = w.k
                where o.name is null or w.k is null or split_part(o.name, 'r', 1) <> 'b' || w.batch
                """)
            #expect(wrong == 0)
            #expect(try await pool.int("select sum(stored + duplicates)::int8 from millrace.application") == 80_000)
        }
    }
}
