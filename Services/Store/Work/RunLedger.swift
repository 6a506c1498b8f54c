import Postgres

/// Runs that were ended while their chunks were loaded: nothing of the transaction may commit.
struct RunsEnded: Error {
    let runs: [Int64]
}

/// Chunks that a run has made. Locks in this order: outputs, batches of runs, runs.
protocol RunLedger: ChunkLedger {}

extension RunLedger {
    func transformAgain(
        _ chunks: [ChunkHead], _ workspaceID: Int64, delay: Double, _ connection: PostgresConnection
    ) async throws {
        _ = try await connection.query(ReplayAgain(workspaceID: workspaceID, chunks: chunks, delay: delay))
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
