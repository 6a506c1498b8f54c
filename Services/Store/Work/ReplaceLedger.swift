import Postgres
import Queue

/// Chunks that take the place of what their outputs were before: jobs of kind `replace`.
///
/// One transaction deletes the old rows, wherever they are, and the old quarantine, writes the new quarantine, the new
/// rows and the ledger, moves the runs on, and settles the jobs. Locks in this order: outputs, batches of runs, runs.
struct ReplaceLedger: RunLedger {
    let settlesEarlier = false

    func find(_ ids: [Int64], _ connection: PostgresConnection) async throws -> [ChunkHead] {
        try await connection.query(FindReplacements(ids: ids))
    }

    func begin(_ chunks: [ChunkHead], _ connection: PostgresConnection) async throws {
        // An output that there has not been before: the pipeline never had the batch.
        try await connection.execute(EnsureOutputs(chunks: chunks))
        let places = try await connection.query(LockOutputs(chunks: chunks))
        guard places.count == chunks.count,
            try await connection.execute(MoveRunBatches(chunks: chunks, to: .stored)) == chunks.count
        else { throw LoadHandler.overtaken }
        for (table, old) in Dictionary(grouping: places.filter { $0.table != nil }, by: \.table) {
            guard let table else { continue }
            for (output, old) in Dictionary(grouping: old, by: \.output) {
                try await connection.query(table.delete(batches: old.map(\.batchID), output: output))
            }
        }
        try await connection.execute(EndRebuilds(chunks: chunks))
        // Not before: what of another pipeline became visible meanwhile may have been deleted, too.
        if let shared = try await connection.query(FindSharedOutput(chunks: chunks)).first {
            throw JobFailure(
                code: "shared_rows",
                message: "another pipeline has rows of batch \(shared) in the same dataset: they cannot be told apart",
                isPermanent: true)
        }
        try await connection.execute(DeleteQuarantine(chunks: chunks))
        try await connection.execute(MoveQuarantine(chunks: chunks))
        try await connection.execute(ReplaceOutputs(chunks: chunks))
    }

    func finish(_ chunks: [ChunkHead], _ connection: PostgresConnection) async throws {
        try await connection.execute(CountRunBatches(chunks: chunks))
        try await advance(chunks.compactMap(\.runPlace?.run), connection)
    }

    func leave(_ chunks: [ChunkHead], _ connection: PostgresConnection) async throws {
        try await connection.execute(MoveRunBatches(chunks: chunks, to: .superseded))
        _ = try await connection.query(AdvanceRuns(runs: chunks.compactMap(\.runPlace?.run)))
    }
}
