import Postgres

/// Tells rollups what a transaction changes in a dataset's rows; to be called within it, after the rows are written.
///
/// Rows that are updated or deleted in the dataset's table, by whatever statement, note themselves: triggers do, which
/// a dataset has that has rollups. What is inserted must be told here. A partition that is detached tells nothing: what
/// rollups say of its rows stays. A job for the rollups is made at the commit; after it, wake ``queue``.
struct DatasetChanges: Sendable {
    static let queue = "analytics"

    let datasetID: Int64

    /// All rows of the chunks' batches and outputs are new. Gives whether the dataset has rollups.
    func appended(_ chunks: [ChunkHead], _ connection: PostgresConnection) async throws -> Bool {
        let note = NoteAppended(
            datasetID: datasetID, batches: chunks.map(\.batchID), outputs: chunks.map { Int32($0.output) })
        return try await connection.query(note).first ?? 0 > 0
    }

    /// Rows were appended to batches that have rows already.
    func added(toBatches batches: [Int64], _ connection: PostgresConnection) async throws -> Bool {
        try await connection.query(NoteBatches(datasetID: datasetID, batches: batches)).first ?? 0 > 0
    }

    /// Rows of a temporary table were merged.
    func staged(_ table: String, _ connection: PostgresConnection) async throws {
        _ = try await connection.query(NoteStaged(datasetID: datasetID, table: table))
    }

    /// Rows were merged, and noted when that was done. Gives whether the dataset has rollups.
    func merged(_ connection: PostgresConnection) async throws -> Bool {
        try await connection.query(HasRollups(datasetID: datasetID)).first ?? false
    }

    /// The dataset's table was made, or another one has its name now.
    func tableMade(_ connection: PostgresConnection) async throws {
        try await connection.execute(NoteTable(datasetID: datasetID))
    }
}
