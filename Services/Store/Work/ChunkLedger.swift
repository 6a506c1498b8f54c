import Postgres
import Queue

/// What chunks of one kind mean for the ledger: when they are wanted, and what changes besides the rows. All but `find`
/// works in the transaction that settles the chunks' jobs.
protocol ChunkLedger: Sendable {
    /// Of two wanted chunks of one output, the earlier one's job is done; otherwise it is looked at again.
    var settlesEarlier: Bool { get }

    /// The rows go into the table that is to take the place of the dataset's.
    var fillsShadow: Bool { get }

    /// Looks chunks up, bodies left out.
    func find(_ ids: [Int64], _ connection: PostgresConnection) async throws -> [ChunkHead]
    /// Before the rows. Throws ``LoadHandler/overtaken`` when one of the chunks is not waited for any more: its rows
    /// must not be sent.
    func begin(_ chunks: [ChunkHead], _ connection: PostgresConnection) async throws
    /// Records that the table refused.
    func quarantine(_ records: [RefusedRecord], of chunk: ChunkHead, _ connection: PostgresConnection) async throws
    /// Rows that were not stored.
    func count(_ lost: [LostRows.Update], _ connection: PostgresConnection) async throws
    /// What was counted of the requests in the chunks' batches so far.
    func receiptCounts(
        _ chunks: [ChunkHead], _ connection: PostgresConnection
    ) async throws -> [ReceiptCounts.Found]
    /// After the rows of one table: what rollups are to know of them. Gives whether there are rollups.
    func noteRows(
        of chunks: [ChunkHead], _ key: ChunkGroup.Key, _ connection: PostgresConnection
    ) async throws -> Bool
    /// After the rows.
    func finish(_ chunks: [ChunkHead], _ connection: PostgresConnection) async throws
    /// Of chunks that are superseded.
    func leave(_ chunks: [ChunkHead], _ connection: PostgresConnection) async throws
    /// Sends the chunks' batches back to transform, after a delay in seconds.
    func transformAgain(
        _ chunks: [ChunkHead], _ workspaceID: Int64, delay: Double, _ connection: PostgresConnection
    ) async throws
    /// The chunk's job is a dead letter.
    func giveUp(_ chunkID: Int64, job: Int64, error: String, _ connection: PostgresConnection) async throws
}

extension ChunkLedger {
    var fillsShadow: Bool { false }

    func noteRows(
        of chunks: [ChunkHead], _ key: ChunkGroup.Key, _ connection: PostgresConnection
    ) async throws -> Bool {
        let changes = DatasetChanges(datasetID: key.datasetID)
        return key.mode == .append
            ? try await changes.appended(chunks, connection) : try await changes.merged(connection)
    }

    func quarantine(_ records: [RefusedRecord], of chunk: ChunkHead, _ connection: PostgresConnection) async throws {
        try await connection.execute(QuarantineRefused(records: records))
    }

    func count(_ lost: [LostRows.Update], _ connection: PostgresConnection) async throws {
        try await connection.execute(CountLost(updates: lost))
    }

    func receiptCounts(
        _ chunks: [ChunkHead], _ connection: PostgresConnection
    ) async throws -> [ReceiptCounts.Found] {
        try await connection.query(FindReceiptCounts(chunks: chunks))
    }
}

/// Chunks that are the first of their outputs: jobs of kind `load`.
struct LoadLedger: ChunkLedger {
    let settlesEarlier = true

    func find(_ ids: [Int64], _ connection: PostgresConnection) async throws -> [ChunkHead] {
        try await connection.query(FindChunks(ids: ids))
    }

    func begin(_ chunks: [ChunkHead], _ connection: PostgresConnection) async throws {
        guard try await connection.execute(MarkStored(chunks: chunks)) == chunks.count else {
            throw LoadHandler.overtaken
        }
    }

    func finish(_ chunks: [ChunkHead], _ connection: PostgresConnection) async throws {}

    func leave(_ chunks: [ChunkHead], _ connection: PostgresConnection) async throws {}

    func transformAgain(
        _ chunks: [ChunkHead], _ workspaceID: Int64, delay: Double, _ connection: PostgresConnection
    ) async throws {
        _ = try await connection.query(TransformAgain(workspaceID: workspaceID, chunks: chunks, delay: delay))
    }

    func giveUp(_ chunkID: Int64, job: Int64, error: String, _ connection: PostgresConnection) async throws {
        try await connection.execute(FailLoading(chunkID: chunkID, error: error))
    }
}
