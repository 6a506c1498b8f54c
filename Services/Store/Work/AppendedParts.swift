import Postgres
import Queue

/// What a run that fills tables anew appends to other datasets: it takes the place of what the replayed pipeline had
/// there of the same batches, in the transaction in which the tables change places. The rows wait in their chunks until
/// then. As many parts at a time are looked at as memory is certain to hold.
struct AppendedParts: Sendable {
    static let step: Int32 = 1_000

    /// What was done.
    struct Outcome: Sendable {
        var loaded = GroupLoader.Outcome()
        var chunks = 0
        var bytes = 0
        /// Those that rows were appended to.
        var datasets: Set<Int64> = []

        /// Not all rows were stored.
        var hasLost: Bool { loaded.refused + loaded.duplicates + loaded.expired > 0 }
    }

    private let run: Int64
    private let job: Job
    private let parts: Int32
    private let datasets: DatasetTables
    /// With all columns that the rows have.
    private let tables: [Int64: DatasetTable]
    private let groupBytes: Int
    private let ledger = RebuildLedger(fillsShadow: false)

    /// Makes the tables' columns ready, in transactions of their own.
    init(run: Int64, job: Job, pool: PostgresPool, _ datasets: DatasetTables, limit: Int) async throws {
        (self.run, self.job, self.datasets, groupBytes) = (run, job, datasets, limit)
        let (keys, count) = try await pool.withConnection { connection in
            let keys = try await connection.query(ListPartKeys(run: run))
            return (keys, try await connection.query(CountParts(run: run)).first ?? 0)
        }
        parts = count
        var tables: [Int64: DatasetTable] = [:]
        for key in keys {
            let answer = try await datasets.table(
                key.datasetID, columns: key.columns, types: key.types, attempt: Int(job.attempt))
            switch answer {
            case .table(let table): tables[key.datasetID] = table
            case .locked(let pause): throw JobFailure.tableLocked(pause)
            // All of them were there when the parts were read.
            case .unfit, .gone: throw JobFailure.rebuildOutdated
            }
        }
        self.tables = tables
    }

    /// The datasets whose columns were looked at.
    var datasetIDs: [Int64] { Array(tables.keys) }

    /// Takes out what the replayed pipeline has beside the datasets that are filled anew, within the transaction that
    /// changes the tables; its outputs are locked, and in the ledger as they were.
    func takeOut(beside rebuilt: [Int64], _ connection: PostgresConnection) async throws {
        for ordinals in steps {
            let find = FindPartPlaces(run: run, ordinals: ordinals, datasetIDs: rebuilt)
            let places = try await connection.query(find)
            for (table, old) in Dictionary(grouping: places, by: \.table) {
                guard let table else { continue }
                for (output, old) in Dictionary(grouping: old, by: \.place.output) {
                    try await connection.query(table.delete(batches: old.map(\.place.batchID), output: output))
                }
            }
        }
        // Not before: what of another pipeline became visible meanwhile may have been deleted, too.
        if let shared = try await connection.query(FindSharedPart(run: run, datasetIDs: rebuilt)).first {
            throw JobFailure(
                code: "shared_rows",
                message: "another pipeline has rows of batch \(shared) in the same dataset: they cannot be told apart",
                isPermanent: true)
        }
    }

    /// Appends the rows. All old ones are away, and the outputs are in the ledger as they are to be.
    func append(_ connection: PostgresConnection, report: (Double) async -> Void) async throws -> Outcome {
        var outcome = Outcome()
        for ordinals in steps where !tables.isEmpty {
            let chunks = try await connection.query(FindPartChunks(run: run, ordinals: ordinals))
            try await append(chunks, &outcome, connection)
            await report(Double(ordinals.upperBound) / Double(parts))
        }
        return outcome
    }

    private var steps: [Range<Int32>] {
        stride(from: 0, to: parts, by: Int(Self.step)).map { $0..<min($0 + Self.step, parts) }
    }

    private func append(
        _ chunks: [ChunkHead], _ outcome: inout Outcome, _ connection: PostgresConnection
    ) async throws {
        let rules = try await connection.query(FindPartitionings(datasetIDs: Array(tables.keys)))
        for group in ChunkGroup.groups(of: chunks.map { ChunkLoad(job: job, chunks: [$0]) }, limit: groupBytes) {
            for part in group.parts {
                guard let table = tables[part.key.datasetID],
                    table.takes(columns: part.key.columns, types: part.key.types)
                else { throw JobFailure.rebuildOutdated }
                let rule = rules.first { $0.id == part.key.datasetID }?.rule
                try await append(part, to: table, rule, &outcome.loaded, connection)
                outcome.datasets.insert(part.key.datasetID)
            }
            outcome.chunks += group.chunks.count
            outcome.bytes += group.bytes
        }
    }

    private func append(
        _ part: ChunkGroup.Part, to table: DatasetTable, _ rule: TimePartitioning?,
        _ outcome: inout GroupLoader.Outcome, _ connection: PostgresConnection
    ) async throws {
        let rows = try await GroupRows(of: part.chunks, connection)
        // Partitions are made in transactions of their own, for which nothing stands in the way here.
        let placed = try await GivenRows(part: part, rows: rows, rule: rule)
            .placed(in: datasets, attempt: Int(job.attempt))
        let ready = GroupLoader.Part(table: table, key: part.key, chunks: part.chunks, rows: placed)
        let loader = GroupLoader(raws: RawRecords(), ledger: ledger, touchesDataset: false)
        try await loader.load(ready, &outcome, within: connection)
    }
}
