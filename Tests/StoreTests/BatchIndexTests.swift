import JSON
import Postgres
import TestSupport
import Testing

@testable import Store

@Suite("Store: what is asked by a batch")
struct BatchIndexTests {
    private static let most = 50_000

    @Test("Of a batch among many its chunks and its runs are found by an index, in partitions made later, too")
    func plans() async throws {
        let database = try await StoreDatabase.make()
        try await database.withPool(size: 2) { pool in
            try await pool.handOver(HandedOver(ids: [1]))
            _ = try await pool.makeRun(Array(1...Int64(Self.most)))
            for next in [1000, 450_000] {
                try await pool.run("select setval('landing.chunk_id', \(.int8(Int64(next))))")
                try await pool.run("select landing.make_partitions()")
                try await pool.run(
                    """
                    insert into landing.chunk (id, batch_id, pipeline_id, version, output, dataset_id, columns, types,
                        rows, raw_bytes, body)
                    select nextval('landing.chunk_id'), n, 1, 1, 0, 1, '{}', '{}', 1, 1, ''
                    from generate_series(1, \(.int4(Int32(Self.most)))) n
                    """)
            }
            try await pool.run("analyze")
            let erased = try await blocks("delete from landing.chunk where batch_id = $1", pool)
            #expect(erased < 100, "\(erased) blocks")
            let used = try await blocks(FindBatchUse.sql, pool)
            #expect(used < 100, "\(used) blocks")
        }
    }

    /// The blocks that a statement about batch 40,000 and no run reads.
    private func blocks(_ sql: String, _ pool: PostgresPool) async throws -> Int {
        let text = sql.replacing("$1", with: "40000").replacing("$2", with: "0")
        let query: PostgresQuery = "explain (analyze, buffers, format json) \(unsafeText: text)"
        let plan = try await pool.withConnection { try JSONValue.parse(try await $0.query(query)[0].json(0)) }
        let top = plan.array?.first?["Plan"]
        return (top?["Shared Hit Blocks"]?.int ?? 0) + (top?["Shared Read Blocks"]?.int ?? 0)
    }
}
