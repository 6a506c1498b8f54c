import Postgres

/// Runs that were ended while their chunks were loaded: nothing of the transaction may commit.
struct RunsEnded: Error {
    let runs: [Int64]
}

/// Chunks that a run has made, those of all outputs of a batch in one job. Locks in this order: outputs, batches of
/// runs, runs.
protocol RunLedger: ChunkLedger {
    /// The kind of the jobs that transform a batch again.
    var transformJob: String { get }
}

extension RunLedger {
    var settlesEarlier: Bool { false }

    func find(_ ids: [Int64], _ connection: PostgresConnection) async throws -> [ChunkHead] {
        try await connection.query(FindReplacements(ids: ids))
    }

    func leave(_ chunks: [ChunkHead], _ connection: PostgresConnection) async throws {
        try await connection.execute(MoveRunBatches(batches: chunks.oneForEachBatch, to: .superseded))
        _ = try await connection.query(AdvanceRuns(runs: chunks.compactMap(\.runPlace?.run)))
    }

    func transformAgain(
        _ chunks: [ChunkHead], _ workspaceID: Int64, delay: Double, _ connection: PostgresConnection
    ) async throws {
        _ = try await connection.query(
            ReplayAgain(workspaceID: workspaceID, kind: transformJob, chunks: chunks, delay: delay))
    }

    func giveUp(_ chunkID: Int64, job: Int64, error: String, _ connection: PostgresConnection) async throws {
        let runs = try await connection.query(GiveUpReplacing(chunkID: chunkID, error: error, job: job))
        _ = try await connection.query(AdvanceRuns(runs: runs))
    }

    /// Moves runs on, last in the transaction.
    func advance(_ runs: [Int64], _ connection: PostgresConnection) async throws {
        let ended = try await connection.query(AdvanceRuns(runs: Array(Set(runs)))).first ?? []
        guard ended.isEmpty else { throw RunsEnded(runs: ended) }
    }
}
