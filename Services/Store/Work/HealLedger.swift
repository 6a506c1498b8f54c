import Postgres
import Queue

/// Chunks with what became of quarantined records that were tried again: jobs of kind `heal`, with a chunk for each
/// output that there is now.
///
/// One transaction takes the records that pass out of quarantine, gives the others their new reasons, writes the rows
/// and the ledger, moves the runs on, and settles the jobs. What of the batch was not quarantined stays as it is.
struct HealLedger: RunLedger {
    let transformJob = "run.heal"

    func begin(_ chunks: [ChunkHead], _ connection: PostgresConnection) async throws {
        let batches = chunks.oneForEachBatch
        // Whoever makes outputs of a batch locks its first one before: what they have made, the second look sees.
        _ = try await connection.query(LockOutputs(batches: batches))
        let places = try await connection.query(LockOutputs(batches: batches))
        guard !places.contains(where: \.isSuperseded),
            try await connection.execute(MoveRunBatches(batches: batches, to: .stored)) == batches.count
        else { throw LoadHandler.overtaken }
        let tries = try await connection.query(FindTries(chunks: chunks))
        let left = try await connection.query(LeaveQuarantine(chunks: batches))
        try Self.check(tries, left)
        var ledger = HealedCounts(try await connection.query(FindOutputCounts(batches: batches)))
        ledger.leave(left)
        // What rebuilds the dataset has read these batches before.
        try await connection.execute(EndRebuilds(batches: batches))
        for (place, rows) in try await deleteParts(left, places, batches, connection) { ledger.drop(rows, of: place) }
        try await connection.execute(StartCounting(batches: batches, outputs: ledger.outputs, tries: tries))
        for chunk in chunks {
            guard let tried = tries.first(where: { $0.chunkID == chunk.id }) else { throw Self.gone(chunk.batchID) }
            try ledger.add(chunk, tried)
        }
        try await connection.execute(MoveQuarantine(chunks: chunks))
        try await connection.run(ledger.outputs.map(WriteOutputCounts.init))
    }

    func finish(_ chunks: [ChunkHead], _ connection: PostgresConnection) async throws {
        let batches = chunks.oneForEachBatch
        try await connection.execute(DeleteHealed(chunks: batches))
        try await connection.execute(EndCounting(batches: batches))
        try await advance(chunks.compactMap(\.runPlace?.run), connection)
    }

    /// Rows of the same batches are there and counted already.
    func noteRows(
        of chunks: [ChunkHead], _ key: ChunkGroup.Key, _ connection: PostgresConnection
    ) async throws -> Bool {
        let changes = DatasetChanges(datasetID: key.datasetID)
        return key.mode == .append
            ? try await changes.added(toBatches: chunks.map(\.batchID), connection)
            : try await changes.merged(connection)
    }

    /// A record of which the table took a row and refused another is run as a whole: the rows that are there go. They
    /// can be told apart from another pipeline's by the ledger only.
    private func deleteParts(
        _ left: [LeftRecord], _ places: [OutputPlace], _ batches: [ChunkHead], _ connection: PostgresConnection
    ) async throws -> [(ChunkHead.Place, Int32)] {
        let refused = left.filter(\.wasRefused)
        guard !refused.isEmpty else { return [] }
        var deleted: [(ChunkHead.Place, Int32)] = []
        for batch in batches {
            let rows = refused.filter { $0.place.isOf(batch) }.map(\.row)
            for place in places where !rows.isEmpty && place.place.isOf(batch) {
                guard let table = place.table else { continue }
                let count = try await connection.query(table.delete(rows, of: place.place)).affectedRows
                guard count > 0 else { continue }
                let merged = FindMergedOutput(chunk: batch, table: table.name)
                guard try await connection.query(merged).isEmpty else { throw Self.merged(batch.batchID) }
                if try await connection.query(FindSharedOutput(batches: [batch])).first != nil {
                    throw JobFailure(
                        code: "shared_rows",
                        message: "another pipeline has rows of batch \(batch.batchID) in the same dataset: they "
                            + "cannot be told apart",
                        isPermanent: true)
                }
                deleted.append((place.place, Int32(count)))
            }
        }
        return deleted
    }

    /// All records that were tried must be quarantined still: otherwise their rows are stored already, or a later run
    /// has put others in the place of the dataset's.
    private static func check(_ tries: [HealTry], _ left: [LeftRecord]) throws(JobFailure) {
        for tried in tries {
            let found = left.filter { $0.place.batchID == tried.batchID && $0.place.pipelineID == tried.pipelineID }
            guard !found.isEmpty else { throw LoadHandler.overtaken }
            guard Set(found.map(\.row)).count == tried.rows.count else { throw gone(tried.batchID) }
        }
    }

    private static func merged(_ batch: Int64) -> JobFailure {
        JobFailure(
            code: "merged_in_part",
            message: "a dataset has merged rows of a record of batch \(batch) of which another one refused some: what "
                + "they took the place of cannot be put back",
            isPermanent: true)
    }

    private static func gone(_ batch: Int64) -> JobFailure {
        JobFailure(
            code: "quarantine_changed",
            message: "records of batch \(batch) have left the quarantine since they were tried: heal it again",
            isPermanent: true)
    }
}

extension ChunkHead.Place {
    /// The chunk is for an output of the same batch and pipeline.
    fileprivate func isOf(_ chunk: ChunkHead) -> Bool {
        batchID == chunk.batchID && pipelineID == chunk.pipelineID
    }
}
