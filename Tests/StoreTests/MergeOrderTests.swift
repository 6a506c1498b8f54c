import Postgres
import TestSupport
import Testing

@testable import Store

/// The same batches in any order, by several loaders, some of them twice: the same table, which SQL says, too.
@Suite("Store: upsert and ignore, whatever the order of loading", .serialized)
struct MergeOrderTests {
    private struct Shape: CustomTestStringConvertible {
        var name: String
        var mode: LoadMode
        var version: String?
        var deletes: Bool
        var testDescription: String { name }
    }

    private static let shapes = [
        Shape(name: "upsert_version", mode: .upsert, version: "v", deletes: false),
        Shape(name: "upsert_lineage", mode: .upsert, version: nil, deletes: false),
        Shape(name: "upsert_deletes", mode: .upsert, version: "v", deletes: true),
        Shape(name: "upsert_deletes_lineage", mode: .upsert, version: nil, deletes: true),
        Shape(name: "ignore", mode: .ignore, version: "v", deletes: false),
    ]
    private static let permutations = 30
    private static let batches = 9

    @Test("Any order gives the table that SQL says", arguments: shapes)
    private func anyOrder(_ shape: Shape) async throws {
        let seed = TestSeed.next()
        var numbers = SeededNumbers(state: seed)
        let given = (0..<Self.batches).map { batch in
            (0..<Int.random(in: 1...40, using: &numbers)).map { row in
                MergeRow(
                    key: Int64.random(in: 0..<14, using: &numbers),
                    // Ties and missing ones are common.
                    version: Bool.random(using: &numbers) ? Int64.random(in: -3...3, using: &numbers) : nil,
                    name: "b\(batch)r\(row)",
                    deletes: shape.deletes && Int.random(in: 0..<4, using: &numbers) == 0)
            }
        }
        let database = try await StoreDatabase.make()
        try await database.withPool(size: 10) { [numbers] pool in
            let expected = try await Self.reference(shape, given, pool)
            var workers = (LoadWorker(), LoadWorker())
            workers.0.groupBytes = 1 << 10
            workers.1.groupBytes = 4 << 10
            try await workers.0.run(pool) { [workers, numbers] in
                try await workers.1.run(pool) {
                    var numbers = numbers
                    for permutation in 0..<Self.permutations {
                        let dataset = "t\(permutation)"
                        try await Self.load(given, shape, into: dataset, pool, &numbers)
                        let found = try await pool.texts(
                            "select k || ' ' || name from \(identifier: "ws_default", dataset) order by k")
                        #expect(found == expected, "seed \(seed), permutation \(permutation)")
                        let sums = try await pool.texts(
                            """
                            select sum(stored + duplicates) || ' ' || sum(received) || ' ' || min(stored) || ' '
                                || bool_or(quarantined + filtered > 0)
                            from millrace.application a join millrace.source s on s.id = a.source_id
                            where s.name = \(.text(dataset)) having min(stored) >= 0
                            """)
                        let total = given.reduce(0) { $0 + $1.count }
                        #expect(sums.first?.hasPrefix("\(total) \(total) ") == true, "seed \(seed): \(sums)")
                        #expect(sums.first?.hasSuffix(" false") == true)
                    }
                }
            }
        }
    }

    /// Loads the batches in an order of its own, in waves that are loaded at the same time.
    private static func load(
        _ given: [[MergeRow]], _ shape: Shape, into dataset: String, _ pool: PostgresPool,
        _ numbers: inout SeededNumbers
    ) async throws {
        try await pool.makeDataset(dataset, version: shape.version)
        var chunks: [Int64] = []
        for rows in given {
            chunks.append(try await pool.handOver(MergeBatch(dataset: dataset, rows: rows, mode: shape.mode)))
        }
        var left = chunks.shuffled(using: &numbers)
        var seen: [Int64] = []
        while !left.isEmpty {
            let wave = Array(left.prefix(Int.random(in: 1...5, using: &numbers)))
            left.removeFirst(wave.count)
            seen += wave
            // One of those that were loaded comes again.
            let again = seen.randomElement(using: &numbers).map { [$0] } ?? []
            try await pool.load((wave + again).shuffled(using: &numbers))
            if Bool.random(using: &numbers) { try await pool.waitStored(wave) }
        }
        try await pool.waitStored(chunks)
    }

    /// What SQL makes of all rows at once.
    private static func reference(
        _ shape: Shape, _ given: [[MergeRow]], _ pool: PostgresPool
    ) async throws -> [String] {
        let rows = given.enumerated().flatMap { batch, rows in
            rows.enumerated().map { (batch: Int32(batch), row: Int32($0), given: $1) }
        }
        let direction = shape.mode == .upsert ? "desc" : "asc"
        let version = shape.mode == .upsert ? shape.version.map { "\($0) desc nulls last, " } ?? "" : ""
        return try await pool.texts(
            """
            select k || ' ' || name from (
                select distinct on (k) k, name, deletes
                from unnest(\(.int4Array(rows.map(\.batch))), \(.int4Array(rows.map(\.row))),
                    \(.int8Array(rows.map { $0.given.key ?? 0 })),
                    \(.textArray(rows.map { $0.given.version.map(String.init) }))::int8[],
                    \(.textArray(rows.map(\.given.name))), \(.boolArray(rows.map(\.given.deletes))))
                    as r (batch, "row", k, v, name, deletes)
                order by k, \(unsafeText: version) batch \(unsafeText: direction), "row" \(unsafeText: direction)
            ) winner where not deletes order by k
            """)
    }
}
