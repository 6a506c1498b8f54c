import Observability
import Postgres

/// The rescue of lost workers' jobs: declare the worker lost (from then on it cannot come back), end the server
/// processes that it worked through, wait until they are gone, then give the jobs away.
extension QueueLeader {
    private static let endLimit: Duration = .seconds(10)

    func rescue() async throws {
        let statement = LostWorkersStatement(timeout: configuration.livenessTimeout)
        let lost = try await ask(statement)
        for worker in lost {
            metrics.lostWorkers.add()
            logger.warning("a worker is lost; its jobs are given away", ["worker.id": .int(Int(worker))])
            if try await endBackends(of: worker) { try await giveAway(worker) }
        }
    }

    /// Returns false when they did not end in time: the next tick tries again.
    private func endBackends(of worker: Int64) async throws -> Bool {
        let statement = TerminateBackendsStatement(worker: worker)
        let deadline = ContinuousClock.now + Self.endLimit
        var pause = Duration.milliseconds(10)
        while ContinuousClock.now < deadline {
            let alive = try await ask(statement).first ?? 0
            if alive == 0 { return true }
            try await Task.sleep(for: pause)
            pause = min(pause * 2, .milliseconds(500))
        }
        logger.warning("a lost worker's server processes do not end", ["worker.id": .int(Int(worker))])
        return false
    }

    private func giveAway(_ worker: Int64) async throws {
        let statement = RescueStatement(worker: worker, backoff: backoff)
        guard let row = try await ask(statement).first else { return }
        metrics.rescued.add(Int(row.given))
        metrics.charged.add(Int(row.charged))
        logger.info(
            "a lost worker's jobs were given away",
            [
                "worker.id": .int(Int(worker)), "queue.given": .int(Int(row.given)),
                "queue.charged": .int(Int(row.charged)), "queue.left": .int(Int(row.leftOver)),
            ])
        guard let queue = row.queue, row.given > 0 else { return }
        let notify = NotifyStatement(queues: [queue])
        try await tell(notify)
    }
}
