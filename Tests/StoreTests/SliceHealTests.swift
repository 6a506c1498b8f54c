import Postgres
import TestSupport
import Testing

@testable import Store

@Suite("Store: healing what slices of tables have left")
struct SliceHealTests {
    /// A run whose only slice has the rows 1 and 2 and quarantined record 900; gives the slice's batch.
    private static func stored(_ pool: PostgresPool, mode: String) async throws -> Int64 {
        let run = try await ReadRun(slices: [[1, 2]], mode: mode).enter(pool)
        try await LoadWorker().run(pool) { try await wait(pool, run) }
        return Int64(try await pool.int("select batch from millrace.run_batch where run = \(.int8(run))"))
    }

    private static func wait(_ pool: PostgresPool, _ run: Int64) async throws {
        try await pool.wait(
            until: "select count(*) from millrace.run where id = \(.int8(run)) and state = 'succeeded'", is: 1)
    }

    /// A heal of the pipeline `copies` that is with store.
    private static func heal(_ pool: PostgresPool, _ batch: Int64, _ given: (Int64) -> Healed) async throws {
        let run = try await pool.withTransaction { connection in
            let run = try await connection.query(
                """
                insert into millrace.run (id, workspace_id, kind, pipeline_id, version, state, request, batches)
                select nextval('millrace.run_id'), 1, 'heal', id, 1, 'running', '{}', 1 from millrace.pipeline
                where name = 'copies' and not implicit returning id
                """)[0].int8(0)
            try await connection.query(
                """
                insert into millrace.run_batch (run, ordinal, batch, state)
                values (\(.int8(run)), 0, \(.int8(batch)), 'transformed')
                """)
            return run
        }
        try await pool.handOver(given(run))
    }

    private static func rows(_ pool: PostgresPool) async throws -> [String] {
        try await pool.texts("select concat_ws(' ', _row, id) from ws_default.copies order by id")
    }

    @Test("The rows join those of the run that is there, also of mode replace", arguments: ["append", "replace"])
    func joins(mode: String) async throws {
        try await StoreDatabase.make().withPool(size: 6) { pool in
            let batch = try await Self.stored(pool, mode: mode)
            try await Self.heal(pool, batch) {
                Healed(run: $0, batch: batch, version: 1, dataset: "copies", tried: [900], ids: [(900, 900)])
            }
            try await pool.replaceAll()
            #expect(try await Self.rows(pool) == ["0 1", "1 2", "900 900"])
            #expect(try await pool.quarantined() == [])
            #expect(try await pool.ledger() == ["stored 1 3 2 0"])
            #expect(try await pool.runs().last == "succeeded 1 0 1 0 0")
        }
    }

    @Test("What a later run has replaced is not healed any more: nothing is stored, and nobody has failed")
    func replaced() async throws {
        try await StoreDatabase.make().withPool(size: 6) { pool in
            let batch = try await Self.stored(pool, mode: "replace")
            let later = try await ReadRun(slices: [[5]], mode: "replace").enter(pool)
            try await LoadWorker().run(pool) { try await Self.wait(pool, later) }
            try await Self.heal(pool, batch) {
                Healed(run: $0, batch: batch, version: 1, dataset: "copies", tried: [900], ids: [(900, 900)])
            }
            try await pool.replaceAll()
            #expect(try await Self.rows(pool) == ["0 5"])
            #expect(try await pool.runs().last == "succeeded 1 0 0 0 0")
            let state = try await pool.texts("select state from millrace.run_batch order by run desc limit 1")
            #expect(state == ["superseded"])
        }
    }

    @Test("A heal that meets a replacing run in its transaction waits, and finds its records gone")
    func meets() async throws {
        try await StoreDatabase.make().withPool(size: 6) { pool in
            let first = try await ReadRun(slices: [[1], [2]], mode: "replace").enter(pool)
            try await LoadWorker().run(pool) {
                try await Self.wait(pool, first)
                let batches = try await pool.texts("select batch::text from millrace.run_batch order by ordinal")
                    .compactMap(Int64.init)
                // One that comes before.
                try await Self.heal(pool, batches[0]) {
                    Healed(run: $0, batch: batches[0], version: 1, dataset: "copies", tried: [900], ids: [(900, 900)])
                }
                try await pool.wait(until: "select count(*) from landing.quarantine", is: 1)
                #expect(try await Self.rows(pool) == ["0 1", "0 2", "900 900"])
                try await pool.withTransaction { connection in
                    // The run has taken the quarantine of the earlier one, and waits for the table.
                    try await connection.query("lock table ws_default.copies in access share mode")
                    _ = try await ReadRun(slices: [[5]], mode: "replace").enter(pool)
                    try await pool.wait(
                        until: """
                            select count(*) from pg_locks
                            where not granted and relation = 'ws_default.copies'::regclass
                            """, is: 1)
                    try await Self.heal(pool, batches[1]) {
                        Healed(
                            run: $0, batch: batches[1], version: 1, dataset: "copies", tried: [900], ids: [(900, 901)])
                    }
                    try await pool.wait(
                        until: """
                            select count(*) from pg_stat_activity
                            where wait_event = 'transactionid' and query like 'update landing.quarantine%'
                            """, is: 1)
                }
                try await pool.wait(
                    until: "select count(*) from millrace.run where state in ('queued', 'running')", is: 0)
            }
            #expect(try await Self.rows(pool) == ["0 5"])
            #expect(try await pool.runs().allSatisfy { $0.hasPrefix("succeeded") })
            #expect(try await pool.runs().count == 4)
        }
    }

    @Test("Rows that would go to another dataset than the run has filled are not stored")
    func moved() async throws {
        try await StoreDatabase.make().withPool(size: 6) { pool in
            let run = try await ReadRun(slices: [[]], mode: "append").enter(pool)
            try await LoadWorker().run(pool) { try await Self.wait(pool, run) }
            let batch = Int64(try await pool.int("select batch from millrace.run_batch"))
            try await pool.run("insert into millrace.dataset (workspace_id, name) values (1, 'others')")
            try await pool.run(
                """
                select millrace.agree_columns(id, '{id}', '{int8}', 200) from millrace.dataset where name = 'others'
                """)
            try await Self.heal(pool, batch) {
                Healed(run: $0, batch: batch, version: 1, dataset: "others", tried: [900], ids: [(900, 900)])
            }
            try await pool.replaceAll()
            let error = try await pool.texts("select left(error, 12) from millrace.run_report order by id desc limit 1")
            #expect(error == ["output_moved"])
            #expect(try await pool.int("select count(*) from landing.quarantine") == 1)
        }
    }
}
