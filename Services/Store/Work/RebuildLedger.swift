import Postgres
import Queue

/// Chunks whose rows go into the table that is to take a dataset's place: jobs of kind `rebuild`, with one chunk each.
/// What they mean for the ledger and for quarantine waits in `millrace.rebuild_part`.
struct RebuildLedger: RunLedger {
    let transformJob = "run.replay"
    let fillsShadow = true

    func find(_ ids: [Int64], _ connection: PostgresConnection) async throws -> [ChunkHead] {
        try await connection.query(FindRebuildChunks(ids: ids))
    }

    func begin(_ chunks: [ChunkHead], _ connection: PostgresConnection) async throws {
        guard try await connection.execute(MoveRunBatches(batches: chunks, to: .stored)) == chunks.count else {
            throw LoadHandler.overtaken
        }
        try await connection.execute(FillParts(chunks: chunks))
    }

    func quarantine(_ records: [RefusedRecord], of chunk: ChunkHead, _ connection: PostgresConnection) async throws {
        try await connection.execute(AddPartFaults(chunk: chunk, records: records))
    }

    func count(_ lost: [LostRows.Update], _ connection: PostgresConnection) async throws {
        try await connection.execute(CountLostOfParts(updates: lost))
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
    /// Rows went into the dataset's table only, or another rebuild has begun: what was filled beside it is not the
    /// whole.
    static let rebuildOutdated = JobFailure(
        code: "rebuild_outdated", message: "the dataset has changed since the run ended or failed; start another",
        isPermanent: true)
}
