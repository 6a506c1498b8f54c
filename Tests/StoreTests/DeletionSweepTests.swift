import Observability
import Postgres
import TestSupport
import Testing

@testable import Store

@Suite("Store: deleted keys are forgotten")
struct DeletionSweepTests {
    private func maintain(_ pool: PostgresPool) async throws {
        var settings = LandingMaintenance.Settings()
        settings.deletionRetention = .seconds(3600)
        settings.keyLimit = 4
        try await pool.run("update queue.leader set until = '-infinity' where name = 'landing'")
        let retirement = PartitionRetirement(pool: pool, settings: .init(), logger: .silent)
        let maintenance = LandingMaintenance(
            pool: pool, retirement: retirement, settings: settings, logger: .silent)
        #expect(try await maintenance.maintain()?.isLeader == true)
    }

    private func deletion(_ key: Int64) -> MergeRow { MergeRow(key: key, version: 10, name: "gone", deletes: true) }

    @Test("Old ones go, over as many transactions as it takes; young ones, and one that is being written, stay")
    func sweeps() async throws {
        try await StoreDatabase.make().withPool(size: 8) { pool in
            for name in ["orders", "visits"] { try await pool.makeDataset(name) }
            // A dataset that keeps none is no hindrance.
            try await pool.makeDataset("plain")
            let chunks = [
                try await pool.handOver(MergeBatch(dataset: "orders", rows: (1...20).map { self.deletion($0) })),
                try await pool.handOver(MergeBatch(dataset: "visits", rows: (1...3).map { self.deletion($0) })),
            ]
            let late = (1...20).map { MergeRow(key: $0, version: 5, name: "late") }
            let again = [
                try await pool.handOver(MergeBatch(dataset: "orders", rows: late)),
                try await pool.handOver(MergeBatch(dataset: "orders", rows: late)),
            ]
            try await LoadWorker().run(pool) {
                try await pool.load(chunks)
                try await pool.waitStored(chunks)
                try await pool.run(
                    """
                    update ws_default."orders.deleted" set _at = now() - interval '2 hours' where k <= 15
                    """)
                // What was deleted stays deleted as long as it is remembered.
                try await pool.load([again[0]])
                try await pool.waitStored([again[0]])
                #expect(try await pool.int("select count(*) from ws_default.orders") == 0)
                try await pool.withTransaction { writer in
                    try await writer.query(
                        "select from ws_default.\"orders.deleted\" where k = 7 for update")
                    try await self.maintain(pool)
                }
                let left = try await pool.texts(
                    "select k::text from ws_default.\"orders.deleted\" d order by d.k")
                #expect(left == ["7", "16", "17", "18", "19", "20"])
                #expect(try await pool.int("select count(*) from ws_default.\"visits.deleted\"") == 3)
                try await self.maintain(pool)
                #expect(try await pool.int("select min(k) from ws_default.\"orders.deleted\"") == 16)
                // An older row that comes after that is stored.
                try await pool.load([again[1]])
                try await pool.waitStored([again[1]])
            }
            #expect(
                try await pool.texts("select k::text from ws_default.orders o order by o.k")
                    == (1...15).map(String.init))
            #expect(
                try await pool.counted("orders") == ["20 0 0", "0 20 0", "15 5 0"])
        }
    }
}
