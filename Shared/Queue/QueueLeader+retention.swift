import Observability
import Partitions
import Postgres

/// Retention: ids move on to a new partition in time, and partitions in which every job is finished leave after
/// `LeaderConfiguration.retention`. What may leave is for `queue.retire` to say; ``PartitionRemoval`` takes it out.
extension QueueLeader {
    /// The longest that one look may go on drawing ids and forgetting dead letters before the leader's other work.
    private static let turn: Duration = .seconds(2)

    func retire(_ state: inout LeaderState) async throws {
        let statement = RetireStatement(configuration)
        let began = ContinuousClock.now
        var again = true
        while again, ContinuousClock.now - began < Self.turn, !Task.isCancelled {
            let row = try await pool.withConnection { try await $0.query(statement, timeout: .seconds(60)).first }
            guard let row else { break }
            again = row.again
            if row.leaving.isEmpty { continue }
            let removal = PartitionRemoval(pool: pool, lockTimeout: configuration.lockTimeout, logger: logger)
            let outcome = try await removal.run(row.leaving)
            metrics.dropped.add(outcome.dropped)
            if outcome.held > 0 { break }
            again = true
        }
        state.retired(again: again, at: .now)
    }
}
