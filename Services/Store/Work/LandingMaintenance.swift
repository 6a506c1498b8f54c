import Lifecycle
import Observability
import Partitions
import Postgres
import Synchronization

/// Keeps landing in order under a leader row, one process of all at a time: partitions made ahead and dropped when they
/// have expired, those of datasets as well, uploads that broke off or stand still swept, old idempotency keys, streams
/// and deleted keys forgotten.
///
/// At rest the leader sends one statement each `interval`, four each `retirementInterval` and two each
/// `streamInterval`, with one more for each dataset that is partitioned or keeps deleted keys, a candidate one at the
/// end of each term that it sees.
final class LandingMaintenance: Service {
    struct Settings: Sendable {
        var interval = Duration.seconds(30)
        var term = Duration.seconds(75)
        /// How often partitions are looked at that may have expired.
        var retirementInterval = Duration.seconds(300)
        /// How long an upload may stand still.
        var uploadPatience = Duration.seconds(3600)
        var keyRetention = Duration.seconds(48 * 3600)
        var streamRetention = Duration.seconds(7 * 86_400)
        /// How often streams and deleted keys are looked at that may be old. Streams' times have no index: each commit
        /// changes one.
        var streamInterval = Duration.seconds(3600)
        /// How long a dataset remembers that a key was deleted.
        var deletionRetention = Duration.seconds(30 * 86_400)
        /// Batches, or keys or streams, that one transaction deletes.
        var batchLimit: Int32 = 200
        var keyLimit: Int32 = 5_000
    }

    let name = "landing maintenance"
    private let pool: PostgresPool
    private let retirement: PartitionRetirement
    private let settings: Settings
    private let logger: Logger
    private let holder = UniqueNumber.nextText()
    private let datasets: TimePartitionMaintenance
    private let mendsAt = Mutex<ContinuousClock.Instant?>(nil)
    private let retiresAt = Mutex<ContinuousClock.Instant?>(nil)
    private let sweepsStreamsAt = Mutex<ContinuousClock.Instant?>(nil)
    private let sweepsDeletionsAt = Mutex<ContinuousClock.Instant?>(nil)

    init(pool: PostgresPool, retirement: PartitionRetirement, settings: Settings, logger: Logger) {
        self.pool = pool
        self.retirement = retirement
        datasets = TimePartitionMaintenance(pool: pool, logger: logger)
        self.settings = settings
        self.logger = logger
    }

    func run(until shutdown: ShutdownSignal) async throws {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await shutdown.requested() }
            group.addTask {
                while !Task.isCancelled {
                    let pause = await self.tick()
                    try? await Task.sleep(for: pause)
                }
            }
            await group.next()
            group.cancelAll()
        }
        _ = try? await pool.withConnection { try await $0.execute(ResignLanding(holder: self.holder)) }
    }

    /// Does what is due; gives the time until the next tick.
    private func tick() async -> Duration {
        do {
            guard let row = try await maintain() else { return settings.interval }
            return row.isLeader
                ? settings.interval : .seconds(max(row.remaining, 0.1) + Double.random(in: 0...2))
        } catch {
            if !Task.isCancelled {
                logger.warning("landing's maintenance had trouble", ["error": .describing(error)])
            }
            return .seconds(Double.random(in: 2...5))
        }
    }

    /// One round: leads or finds who does; as leader sweeps what there is.
    func maintain() async throws -> LeadLanding.Row? {
        let lead = LeadLanding(
            holder: holder, term: settings.term.inSeconds, patience: settings.uploadPatience.inSeconds,
            retention: settings.keyRetention.inSeconds)
        let row = try await pool.withConnection { try await $0.query(lead, timeout: .seconds(30)).first }
        guard let row, row.isLeader else { return row }
        if row.partitions > 0 {
            logger.info("made partitions ahead", ["landing.partitions": .int(Int(row.partitions))])
        }
        if row.hasStalled {
            let statement = AbandonStalledUploads(patience: settings.uploadPatience.inSeconds)
            _ = try await pool.withConnection { try await $0.execute(statement) }
        }
        if row.hasAbandoned { try await sweepUploads() }
        if row.hasOldKeys {
            try await sweep(SweepOldKeys(retention: settings.keyRetention.inSeconds, limit: settings.keyLimit))
        }
        try await sweepStreams()
        try await sweepDeletions()
        try await retirePartitions()
        try await mendDatasets()
        return row
    }

    /// Where a partition is held, the next tick tries again.
    private func retirePartitions() async throws {
        if let due = retiresAt.withLock({ $0 }), due > .now { return }
        let outcome = try await retirement.run()
        if outcome.held == 0 { retiresAt.withLock { $0 = .now + settings.retirementInterval } }
    }

    private func mendDatasets() async throws {
        if let due = mendsAt.withLock({ $0 }), due > .now { return }
        try await dropChecks()
        let outcome = try await datasets.run()
        if outcome.held == 0 { mendsAt.withLock { $0 = .now + settings.retirementInterval } }
    }

    private func sweepUploads() async throws {
        let batches = SweepAbandonedBatches(limit: settings.batchLimit)
        var swept: Int64 = 0
        while true {
            try Task.checkCancellation()
            let count = try await pool.withConnection { try await $0.query(batches).first } ?? 0
            swept += count
            if count < Int64(settings.batchLimit) { break }
        }
        let uploads = try await pool.withConnection { try await $0.execute(SweepAbandonedUploads()) }
        logger.info("swept uploads that broke off", ["uploads": .int(uploads), "batches": .int(Int(swept))])
    }

    private func sweepStreams() async throws {
        if let due = sweepsStreamsAt.withLock({ $0 }), due > .now { return }
        try await sweep(SweepOldStreams(retention: settings.streamRetention.inSeconds, limit: settings.keyLimit))
        sweepsStreamsAt.withLock { $0 = .now + settings.streamInterval }
    }

    private func sweepDeletions() async throws {
        if let due = sweepsDeletionsAt.withLock({ $0 }), due > .now { return }
        for table in try await pool.withConnection({ try await $0.query(ListDeletionTables()) }) {
            let query = table.forget(after: settings.deletionRetention.inSeconds, limit: settings.keyLimit)
            do {
                try await sweep { try await $0.query(query).affectedRows }
            } catch let error as PostgresError where error.sqlstate == "42P01" {
                // The dataset was removed meanwhile.
            }
        }
        try await dropShadows()
        sweepsDeletionsAt.withLock { $0 = .now + settings.streamInterval }
    }

    /// What rebuilds that came to nothing have left. A table that somebody has locked is left for the next time.
    private func dropShadows() async throws {
        for dataset in try await pool.withConnection({ try await $0.query(ListLeftShadows()) }) {
            do {
                try await pool.withTransaction { connection in
                    try await connection.query("set local lock_timeout = '2s'")
                    guard let shape = try await connection.query(LockDatasetShape(datasetID: dataset)).first,
                        try await connection.query(ListLeftShadows()).contains(dataset)
                    else { return }
                    for name in [shape.shadow.name, DatasetTable.deletedName(shape.shadow.name)] {
                        try await connection.query("drop table if exists \(identifier: shape.schema, name)")
                    }
                    try await connection.execute(EndRebuild(datasetID: dataset))
                }
            } catch let error as PostgresError where error.sqlstate == .lockNotAvailable {}
        }
        _ = try await pool.withConnection { try await $0.execute(ForgetEndedParts()) }
    }

    /// What PUTs that died, or failed while the table was locked, have left. Of one that goes on, its scan holds the
    /// table; between two of its steps it loses the check, and adds it anew.
    private func dropChecks() async throws {
        for table in try await pool.withConnection({ try await $0.query(ListRequiredChecks()) }) {
            do {
                try await pool.withTransaction { connection in
                    try await connection.query("set local lock_timeout = '100ms'")
                    try await table.drop(connection)
                }
                logger.info("dropped the check of a change that was broken off", ["dataset": .string(table.table)])
            } catch let error as PostgresError
                where error.sqlstate == .lockNotAvailable || error.sqlstate == .undefinedTable
            {}
        }
    }

    private func sweep(_ statement: some PostgresStatement) async throws {
        try await sweep { try await $0.execute(statement) }
    }

    /// Deletes until less than the limit was left.
    private func sweep(_ delete: @escaping @Sendable (PostgresConnection) async throws -> Int) async throws {
        while true {
            try Task.checkCancellation()
            if try await pool.withConnection(delete) < Int(settings.keyLimit) { return }
        }
    }
}

extension Duration {
    var inSeconds: Double {
        let (seconds, attoseconds) = components
        return Double(seconds) + Double(attoseconds) * 1e-18
    }
}
