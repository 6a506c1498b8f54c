import Postgres
import Queue

/// Chunks of a run that fills tables anew: jobs of kind `rebuild`, with a chunk for each output of a batch that is made
/// anew. Rows that are merged go into the tables that are to take the datasets' places, those that are appended wait in
/// their chunks. What they mean for the ledger and for quarantine waits in `millrace.rebuild_output`.
struct RebuildLedger: RunLedger {
    let transformJob = "run.replay"
    /// False when the tables change places: what is appended goes into the datasets' own.
    var fillsShadow = true

    func find(_ ids: [Int64], _ connection: PostgresConnection) async throws -> [ChunkHead] {
        try await connection.query(FindRebuildChunks(ids: ids))
    }

    func begin(_ chunks: [ChunkHead], _ connection: PostgresConnection) async throws {
        let batches = chunks.oneForEachBatch
        guard try await connection.execute(MoveRunBatches(batches: batches, to: .stored)) == batches.count else {
            throw LoadHandler.overtaken
        }
        guard try await connection.execute(FillParts(chunks: chunks)) == chunks.count else {
            throw JobFailure.rebuildOutdated
        }
    }

    func quarantine(_ records: [RefusedRecord], of chunk: ChunkHead, _ connection: PostgresConnection) async throws {
        try await connection.execute(AddPartFaults(chunk: chunk, records: records))
    }

    func count(_ lost: [LostRows.Update], _ connection: PostgresConnection) async throws {
        try await connection.execute(CountLostOfParts(updates: lost))
        if !fillsShadow { try await connection.execute(CountRunParts(chunks: lost.map(\.chunk))) }
    }

    func receiptCounts(
        _ chunks: [ChunkHead], _ connection: PostgresConnection
    ) async throws -> [ReceiptCounts.Found] {
        try await connection.query(FindPartReceiptCounts(chunks: chunks))
    }

    func finish(_ chunks: [ChunkHead], _ connection: PostgresConnection) async throws {
        try await connection.execute(CountRunParts(chunks: chunks))
        try await advance(chunks.compactMap(\.runPlace?.run), connection)
    }

    /// No chunk is superseded: nobody else makes outputs of a dataset anew while it is rebuilt.
    func leave(_ chunks: [ChunkHead], _ connection: PostgresConnection) async throws {}
}

extension JobFailure {
    /// Rows went into a dataset's table only, or another rebuild has begun: what was filled beside it is not the
    /// whole.
    static let rebuildOutdated = JobFailure(
        code: "rebuild_outdated", message: "the dataset has changed since the run ended or failed; start another",
        isPermanent: true)
}
