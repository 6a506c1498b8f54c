import Observability
import Partitions
import Postgres

/// Retention: ids move on to a new partition in time, and partitions in which every job is finished leave after
/// `LeaderConfiguration.retention`. What may leave is for `queue.retire` to say; ``PartitionRemoval`` takes it out.
extension QueueLeader {
    /// The longest that one look may go on drawing ids and forgetting dead letters before the leader's other work.
    private static let turn: Duration = .seconds(2)

    /// What goes wrong here is told and tried again later: it must not keep the leader from its other work.
    func retire(_ state: inout LeaderState) async {
        do {
            let (again, isHeld) = try await retire()
            state.retired(again: again, isHeld: isHeld, at: .now)
        } catch {
            state.retired(again: false, isHeld: true, at: .now)
            logger.warning("old partitions could not be looked at", ["error": .describing(error)])
        }
    }

    private func retire() async throws -> (again: Bool, isHeld: Bool) {
        let statement = RetireStatement(configuration)
        let began = ContinuousClock.now
        var again = true
        while again, ContinuousClock.now - began < Self.turn, !Task.isCancelled {
            let row = try await pool.withConnection { try await $0.query(statement, timeout: .seconds(60)).first }
            again = row?.again ?? false
            guard let row, !row.leaving.isEmpty else { continue }
            let removal = PartitionRemoval(pool: pool, lockTimeout: configuration.lockTimeout, logger: logger)
            let outcome = try await removal.run(row.leaving)
            metrics.dropped.add(outcome.dropped)
            if outcome.held > 0 { return (true, true) }
            again = true
        }
        return (again, false)
    }
}
