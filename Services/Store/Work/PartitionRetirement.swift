import Observability
import Partitions
import Postgres

/// Drops landing's partitions that nothing keeps any more: raw batches and quarantine after their retention, chunks
/// once they are stored.
///
/// What may leave is decided and marked by `landing.retire`; ``PartitionRemoval`` then detaches and drops it. What is
/// held is tried again at the next run.
struct PartitionRetirement: Sendable {
    struct Settings: Sendable {
        /// How long raw batches are kept, unless their source says otherwise.
        var rawRetention = Duration.seconds(7 * 86_400)
        /// How long quarantined records are kept, and the raw bytes of batches among the dead letters.
        var quarantineRetention = Duration.seconds(30 * 86_400)
        /// How long ids are drawn from one slot, where records come too slowly to fill it.
        var batchRotation = Duration.seconds(86_400)
        var chunkRotation = Duration.seconds(3_600)
        /// How long after its last id a slot is left alone at least.
        var margin = Duration.seconds(60)
        /// Longer than PostgreSQL's `deadlock_timeout`, after which an autovacuum gives way.
        var lockTimeout = Duration.seconds(2)
        /// Partitions of each kind that one run marks.
        var limit: Int32 = 8
    }

    let pool: PostgresPool
    let settings: Settings
    let logger: Logger

    /// One round. Whoever calls it holds the leadership.
    func run() async throws -> PartitionRemoval.Outcome {
        let statement = RetirePartitions(
            rawRetention: settings.rawRetention.inSeconds, quarantineRetention: settings.quarantineRetention.inSeconds,
            batchRotation: settings.batchRotation.inSeconds, chunkRotation: settings.chunkRotation.inSeconds,
            margin: settings.margin.inSeconds, limit: settings.limit)
        let leaving = try await pool.withConnection { try await $0.query(statement, timeout: .seconds(300)) }
        let removal = PartitionRemoval(pool: pool, lockTimeout: settings.lockTimeout, logger: logger)
        return try await removal.run(leaving) { partition, connection in
            let mark = MarkPartitionDropped(parent: partition.parent, name: partition.name)
            try await connection.execute(mark)
        }
    }
}
