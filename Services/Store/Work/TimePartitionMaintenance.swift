import Observability
import Partitions
import Postgres

/// Makes the partitions of datasets ahead of time, and drops those that have expired. Whoever calls it holds the
/// leadership.
struct TimePartitionMaintenance: Sendable {
    let pool: PostgresPool
    /// For what it makes; who adds a column may hold the table for a moment.
    var makingTimeout = Duration.milliseconds(500)
    /// Longer than PostgreSQL's `deadlock_timeout`, after which an autovacuum gives way.
    var removalTimeout = Duration.seconds(2)
    let logger: Logger

    struct Outcome: Sendable, Equatable {
        var made = 0
        var dropped = 0
        /// Datasets and partitions that somebody's lock kept: to be tried again.
        var held = 0
    }

    /// One round. At rest it sends two statements, and one more for each partitioned dataset.
    func run() async throws -> Outcome {
        var outcome = Outcome()
        var leaving: [LeavingPartition] = []
        for dataset in try await pool.withConnection({ try await $0.query(ListPartitionedDatasets()) }) {
            guard let rule = dataset.rule else { continue }
            let window = rule.window
            let list = ListTimePartitions(schema: dataset.schema, table: dataset.name)
            let partitions = try await pool.withConnection { try await $0.query(list) }
            if let kept = window.kept {
                let expired = partitions.filter { $0.day < kept }
                if !expired.isEmpty, try await retain(from: kept, dataset, &outcome) {
                    leaving += expired.map { partition in
                        LeavingPartition(
                            schema: dataset.schema, parent: dataset.name, name: partition.name,
                            stage: partition.isPending ? .pending : .attached)
                    }
                }
            }
            let there = Set(partitions.map(\.day))
            let missing = rule.ahead(window).filter { !there.contains($0) }
            if !missing.isEmpty { try await make(missing, dataset, &outcome) }
        }
        leaving += try await pool.withConnection { try await $0.query(ListDetachedPartitions()) }
        let removed = try await PartitionRemoval(pool: pool, lockTimeout: removalTimeout, logger: logger).run(leaving)
        outcome.dropped = removed.dropped
        outcome.held += removed.held
        return outcome
    }

    /// Before rows go: what rollups say of them is not made anew. False where somebody holds the dataset.
    private func retain(
        from day: Int32, _ dataset: ListPartitionedDatasets.Dataset, _ outcome: inout Outcome
    ) async throws -> Bool {
        do {
            let timeout = "\(makingTimeout.milliseconds)ms"
            try await pool.withTransaction { connection in
                try await connection.query("set local lock_timeout = \(literal: timeout)")
                try await connection.execute(RetainFrom(datasetID: dataset.id, day: day))
            }
            return true
        } catch let error as PostgresError where error.sqlstate == .lockNotAvailable {
            outcome.held += 1
            logger.info("a dataset's partitions cannot be dropped yet", ["dataset": .string(dataset.name)])
            return false
        }
    }

    private func make(
        _ days: [Int32], _ dataset: ListPartitionedDatasets.Dataset, _ outcome: inout Outcome
    ) async throws {
        do {
            let making = TimePartitions(pool: pool)
            let made = try await making.make(days, of: dataset.id, lockTimeout: makingTimeout)
            outcome.made += made?.count ?? 0
        } catch let error as PostgresError where error.sqlstate == .lockNotAvailable {
            outcome.held += 1
            logger.info("a dataset's partitions cannot be made ahead yet", ["dataset": .string(dataset.name)])
        }
    }
}
