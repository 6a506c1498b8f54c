import Postgres
import Queue

/// Chunks that take the place of all that their pipeline made of a batch before: jobs of kind `replace`, which have a
/// chunk for each output that there is now.
///
/// One transaction deletes the old rows of all outputs, wherever they are, and the old quarantine, writes the new
/// quarantine, the new rows and the ledger, moves the runs on, and settles the jobs. Outputs that there are no more
/// leave the ledger. Locks in this order: outputs, batches of runs, runs.
struct ReplaceLedger: RunLedger {
    let transformJob = "run.replay"

    func begin(_ chunks: [ChunkHead], _ connection: PostgresConnection) async throws {
        let batches = chunks.oneForEachBatch
        // Whoever makes outputs of a batch locks its first one before: what they have made, the second look sees.
        _ = try await connection.query(LockOutputs(batches: batches))
        let places = try await connection.query(LockOutputs(batches: batches))
        let known = Set(places.map(\.place))
        let (wanted, fresh) = (Set(chunks.map(\.place)), chunks.filter { !known.contains($0.place) })
        guard !places.contains(where: \.isSuperseded),
            try await connection.execute(EnsureOutputs(chunks: fresh)) == fresh.count,
            try await connection.execute(MoveRunBatches(batches: batches, to: .stored)) == batches.count
        else { throw LoadHandler.overtaken }
        for (table, old) in Dictionary(grouping: places.filter { $0.table != nil }, by: \.table) {
            guard let table else { continue }
            for (output, old) in Dictionary(grouping: old, by: \.place.output) {
                try await connection.query(table.delete(batches: old.map(\.place.batchID), output: output))
            }
        }
        try await connection.execute(EndRebuilds(batches: batches))
        // Not before: what of another pipeline became visible meanwhile may have been deleted, too.
        if let shared = try await connection.query(FindSharedOutput(batches: batches)).first {
            throw JobFailure(
                code: "shared_rows",
                message: "another pipeline has rows of batch \(shared) in the same dataset: they cannot be told apart",
                isPermanent: true)
        }
        try await connection.execute(DeleteQuarantine(batches: batches))
        let gone = places.map(\.place).filter { !wanted.contains($0) }
        if !gone.isEmpty { try await connection.execute(DropOutputs(places: gone)) }
        try await connection.execute(MoveQuarantine(chunks: chunks))
        try await connection.execute(ReplaceOutputs(chunks: chunks))
    }

    func finish(_ chunks: [ChunkHead], _ connection: PostgresConnection) async throws {
        try await connection.execute(CountRunBatches(batches: chunks.oneForEachBatch))
        try await advance(chunks.compactMap(\.runPlace?.run), connection)
    }
}
