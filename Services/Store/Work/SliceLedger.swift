import Postgres
import Queue

/// Chunks of runs that read a table: jobs of kind `run.load`.
///
/// Each is the first of an output that there has not been, since a slice has a batch id of its own; so replacing what
/// is there finds nothing, and the rest is as with a replay: one transaction writes the rows, quarantine and ledger,
/// moves the run on and settles the job. But what was read cannot be read again once the run's snapshot is gone.
struct SliceLedger: RunLedger {
    private let replace = ReplaceLedger()

    let transformJob = "run.slice"

    func begin(_ chunks: [ChunkHead], _ connection: PostgresConnection) async throws {
        try await replace.begin(chunks, connection)
    }

    func finish(_ chunks: [ChunkHead], _ connection: PostgresConnection) async throws {
        try await replace.finish(chunks, connection)
    }

    /// Of all slices of a run, also where there is none.
    func finish(_ chunks: [ChunkHead], run: Int64, _ connection: PostgresConnection) async throws {
        try await connection.execute(CountRunBatches(batches: chunks.oneForEachBatch))
        try await advance([run], connection)
    }

    /// Gives the chunks up: their run has failed.
    func transformAgain(
        _ chunks: [ChunkHead], _ workspaceID: Int64, delay: Double, _ connection: PostgresConnection
    ) async throws {
        let runs = try await connection.query(GiveUpSlices(chunks: chunks, error: TableReplacement.changed.description))
        _ = try await connection.query(AdvanceRuns(runs: Array(Set(runs))))
    }
}
