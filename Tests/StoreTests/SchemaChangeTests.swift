import JSON
import Observability
import Postgres
import Records
import TestSupport
import Testing

@testable import Store

@Suite("Store: tables that change")
struct SchemaChangeTests {
    private let stored: PostgresQuery = "select count(*) from millrace.application where state = 'stored'"

    @Test("While a column waits for a reader, those who bring no value for it load on, also from a new process")
    func loadsOn() async throws {
        let database = try await StoreDatabase.make()
        try await database.withPool(size: 10) { pool in
            try await pool.handOver(HandedOver(ids: [1]))
            var worker = LoadWorker()
            // More than a job has: what waits is not to give up here.
            worker.patience.attempts = 100
            worker.patience.firstPause = .milliseconds(400)
            let patient = worker
            try await patient.run(pool) {
                try await pool.wait(until: self.stored, is: 1)
                try await pool.withTransaction { reader in
                    try await reader.query("select * from ws_default.orders")
                    try await pool.handOver(HandedOver(ids: [2], names: ["two"]))
                    // What waits for the table is seen waiting.
                    try await pool.wait(
                        until: "select (count(*) > 0)::int from pg_locks where not granted", is: 1)
                    for id in 3...12 { try await pool.handOver(HandedOver(ids: [Int64(id)])) }
                    try await pool.wait(until: self.stored, is: 11)
                    // A process that has not seen the table yet does not wait for it either.
                    let fresh = DatasetTables(pool: pool, logger: .silent)
                    let id = Int64(try await pool.int("select id from millrace.dataset"))
                    let answer = try await fresh.table(id, columns: ["id"], types: ["int8"], attempt: 1)
                    if case .table = answer {} else { Issue.record("the table was not had: \(answer)") }
                    #expect(try await pool.int("select count(*) from ws_default.orders") == 11)
                }
                try await pool.wait(until: self.stored, is: 12)
            }
            #expect(try await pool.texts("select name from ws_default.orders where id = 2") == ["two"])
        }
    }

    @Test("Where a table has no room for a column, its values go to _extra")
    func full() async throws {
        let database = try await StoreDatabase.make()
        try await database.withPool(size: 6) { pool in
            try await pool.handOver(HandedOver(ids: [1]))
            try await LoadWorker().run(pool) {
                try await pool.wait(until: self.stored, is: 1)
                // Beside `id` and those of every table.
                try await pool.run(
                    """
                    do $$ begin execute (select 'alter table ws_default.orders '
                        || string_agg('add column c' || n || ' int8', ', ') from generate_series(1, 1595) n); end $$
                    """)
                try await pool.handOver(HandedOver(ids: [2], names: ["two"]))
                try await pool.wait(
                    until: "select count(*) from millrace.application where state = 'accepted'", is: 1)
                try await pool.handOver(HandedOver(ids: [3]))
                try await pool.wait(until: self.stored, is: 2)
            }
            let states = try await pool.texts(
                "select name || ' ' || state from millrace.dataset_column order by ordinal")
            #expect(states == ["id applied", "name extra"])
            #expect(try await pool.int("select count(*) from queue.job where kind = 'transform'") == 1)
        }
    }

    @Test("A column that is not declared any more may be NULL in the table, too")
    func undeclared() async throws {
        let database = try await StoreDatabase.make()
        try await database.withPool(size: 6) { pool in
            let client = try StoreClient(pool)
            let definition: JSONValue = [
                "columns": [
                    ["name": "id", "type": "int8"], ["name": "name", "type": "text", "nullable": false],
                ]
            ]
            _ = try await client.put("/v1/datasets/orders", definition)
            try await LoadWorker().run(pool) {
                try await pool.handOver(HandedOver(ids: [1], names: ["one"]))
                try await pool.wait(until: self.stored, is: 1)
                let answer = try await client.put("/v1/datasets/orders", ["columns": [["name": "id", "type": "int8"]]])
                #expect(answer.status == 200)
                try await pool.handOver(HandedOver(ids: [2]))
                try await pool.wait(until: self.stored, is: 2)
            }
            #expect(try await pool.int("select count(*) from ws_default.orders where name is null") == 1)
            #expect(try await pool.int("select count(*) from landing.quarantine") == 0)
        }
    }

    @Test(
        "Another spelling of a column's name, and more columns than a table holds, are refused whatever rows there are")
    func impossible() {
        func column(_ name: String) -> DatasetDefinition.DeclaredColumn {
            .init(name: name, type: .int8, isNullable: true, collation: nil)
        }
        func known(_ names: [String], _ state: CatalogColumn.State, declared: Bool) -> [CatalogColumn] {
            names.map {
                CatalogColumn(
                    name: $0, type: .int8, isNullable: true, collation: nil, isDeclared: declared, state: state)
            }
        }
        var definition = DatasetDefinition()
        definition.columns = [column("a"), column("cafe\u{301}")]
        let spelled = DatasetChange(
            to: definition, from: known(["a", "caf\u{E9}"], .applied, declared: false), primaryKey: [])
        #expect(spelled.impossible.map(\.path) == ["columns[1].name"])
        #expect(spelled.added.isEmpty)

        definition.columns = (0..<1_000).map { column("n\($0)") }
        let old = known((0..<600).map { "c\($0)" }, .applied, declared: true)
        let change = DatasetChange(to: definition, from: old, primaryKey: [])
        #expect(change.impossible.map(\.path) == ["columns"])
        // Those that the table has not got go.
        let waiting = known((0..<600).map { "c\($0)" }, .agreed, declared: true)
        #expect(DatasetChange(to: definition, from: waiting, primaryKey: []).impossible.isEmpty)
        #expect(DatasetChange(to: definition, from: Array(old.prefix(590)), primaryKey: []).impossible.isEmpty)
    }
}
