public import Observability
public import Postgres

/// Detaches partitions and drops them, while everybody else goes on.
///
/// A partition is detached concurrently, outside a transaction, and each lock is waited for no longer than
/// `lockTimeout`: who inserts, reads or holds a snapshot meanwhile waits for none of it. What cannot be had now is to
/// be tried again later, from where it stands; the catalog says where that is. Two who remove the same at once do no
/// harm: the second one's statements fail. Whether a partition may leave is for the caller to know.
public struct PartitionRemoval: Sendable {
    public struct Outcome: Sendable, Equatable {
        /// Partitions that are gone.
        public var dropped: Int
        /// Partitions that somebody's lock kept.
        public var held: Int

        public init(dropped: Int = 0, held: Int = 0) {
            self.dropped = dropped
            self.held = held
        }
    }

    let pool: PostgresPool
    let lockTimeout: Duration
    let logger: Logger

    /// A `lockTimeout` shorter than PostgreSQL's `deadlock_timeout` (1 s) does not outlast an autovacuum, which gives
    /// way after that.
    public init(pool: PostgresPool, lockTimeout: Duration = .seconds(2), logger: Logger) {
        self.pool = pool
        self.lockTimeout = lockTimeout
        self.logger = logger
    }

    /// Removes what it can. `dropped` is called in the transaction that drops a partition's table.
    ///
    /// Of a parent whose partition is held the others are left for the next time: the same lock would hold them, and
    /// only one can be pending. Errors: those of the connection and of `dropped`; the server's own count as `held`.
    public func run(
        _ leaving: [LeavingPartition],
        dropped: @Sendable (LeavingPartition, PostgresConnection) async throws -> Void = { _, _ in }
    ) async throws -> Outcome {
        var outcome = Outcome()
        if leaving.isEmpty { return outcome }
        let connection = try await connect()
        do {
            var heldParents: Set<String> = []
            for partition in leaving.sorted(by: { $0.stage == .pending && $1.stage != .pending }) {
                if heldParents.contains(partition.place), partition.stage != .detached { continue }
                do {
                    try await remove(partition, connection, dropped)
                    outcome.dropped += 1
                    logger.info("dropped a partition that has expired", ["partition": .string(partition.name)])
                } catch let error as PostgresError where error.code == .server {
                    heldParents.insert(partition.place)
                    outcome.held += 1
                    logger.info(
                        "a partition that has expired is held",
                        ["partition": .string(partition.name), "error": .describing(error)])
                }
            }
        } catch {
            await connection.close()
            throw error
        }
        await connection.close()
        return outcome
    }

    /// A connection of its own: it has a lock timeout, so it is none of the pool's.
    private func connect() async throws -> PostgresConnection {
        var configuration = pool.configuration
        configuration.sessionSettings.append(("lock_timeout", "\(lockTimeout.inMilliseconds)ms"))
        let loop = try await pool.withConnection { $0.loop }
        return try await PostgresConnection.connect(configuration, on: loop)
    }

    private func remove(
        _ partition: LeavingPartition, _ connection: PostgresConnection,
        _ dropped: @Sendable (LeavingPartition, PostgresConnection) async throws -> Void
    ) async throws {
        let table: PostgresQuery = "\(identifier: partition.schema, partition.name)"
        let detach: PostgresQuery = """
            alter table \(identifier: partition.schema, partition.parent) detach partition \(unsafeText: table.sql)
            """
        switch partition.stage {
        case .attached: try await connection.query("\(unsafeText: detach.sql) concurrently")
        case .pending: try await connection.query("\(unsafeText: detach.sql) finalize")
        case .detached: break
        }
        try await connection.transaction { connection in
            try await connection.query("drop table if exists \(unsafeText: table.sql)")
            try await dropped(partition, connection)
        }
    }
}

extension LeavingPartition {
    /// No schema's name holds a dot.
    fileprivate var place: String { "\(schema).\(parent)" }
}

extension Duration {
    fileprivate var inMilliseconds: Int64 {
        components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000
    }
}
