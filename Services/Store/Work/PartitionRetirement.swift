import EventLoop
import Observability
import Postgres

/// Drops landing's partitions that nothing keeps any more: raw batches and quarantine after their retention, chunks
/// once they are stored.
///
/// What may leave is decided and marked by `landing.retire`; here it is detached and dropped. A partition is detached
/// concurrently, outside a transaction, and each lock is waited for no longer than `lockTimeout`: who inserts, reads or
/// holds a snapshot meanwhile waits for none of it. What cannot be had now is tried again at the next run, from where
/// it stands. Two leaders at once do no harm: the second one's statements fail.
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

    struct Outcome: Sendable, Equatable {
        /// Partitions that are gone.
        var dropped = 0
        /// Partitions that somebody's lock kept.
        var held = 0
    }

    let pool: PostgresPool
    /// Where the connection of a run lives: it has a lock timeout, so it is none of the pool's.
    let loop: EventLoop
    let settings: Settings
    let logger: Logger

    /// One round. Whoever calls it holds the leadership.
    func run() async throws -> Outcome {
        let statement = RetirePartitions(
            rawRetention: settings.rawRetention.inSeconds, quarantineRetention: settings.quarantineRetention.inSeconds,
            batchRotation: settings.batchRotation.inSeconds, chunkRotation: settings.chunkRotation.inSeconds,
            margin: settings.margin.inSeconds, limit: settings.limit)
        let leaving = try await pool.withConnection { try await $0.query(statement, timeout: .seconds(300)) }
        if leaving.isEmpty { return Outcome() }
        var configuration = pool.configuration
        configuration.sessionSettings.append(("lock_timeout", "\(settings.lockTimeout.milliseconds)ms"))
        let connection = try await PostgresConnection.connect(configuration, on: loop)
        do {
            let outcome = try await drop(leaving, connection)
            await connection.close()
            return outcome
        } catch {
            await connection.close()
            throw error
        }
    }

    /// Of a parent whose partition is held the others are left for the next run: the same lock would hold them, and
    /// only one can be pending.
    private func drop(_ leaving: [LeavingPartition], _ connection: PostgresConnection) async throws -> Outcome {
        var outcome = Outcome()
        var heldParents: Set<String> = []
        for partition in leaving.sorted(by: { $0.stage == .pending && $1.stage != .pending }) {
            if heldParents.contains(partition.parent) && partition.stage != .detached { continue }
            do {
                try await drop(partition, connection)
                outcome.dropped += 1
                logger.info("dropped a partition that has expired", ["landing.partition": .string(partition.name)])
            } catch let error as PostgresError where error.code == .server {
                heldParents.insert(partition.parent)
                outcome.held += 1
                logger.info(
                    "a partition that has expired is held",
                    ["landing.partition": .string(partition.name), "error": .describing(error)])
            }
        }
        return outcome
    }

    private func drop(_ partition: LeavingPartition, _ connection: PostgresConnection) async throws {
        let (parent, name) = (partition.parent, partition.name)
        let detach: PostgresQuery =
            "alter table \(identifier: "landing", parent) detach partition \(identifier: "landing", name)"
        switch partition.stage {
        case .attached: try await connection.query("\(unsafeText: detach.sql) concurrently")
        case .pending: try await connection.query("\(unsafeText: detach.sql) finalize")
        case .detached: break
        }
        try await connection.transaction { connection in
            try await connection.query("drop table if exists \(identifier: "landing", name)")
            try await connection.execute(MarkPartitionDropped(parent: parent, name: name))
        }
    }
}
