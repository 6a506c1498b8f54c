import Postgres

@testable import Queue

/// Processes that come, go, stop and end.
extension Simulation {
    func register() async throws {
        guard workers.count < 3 else { return }
        let statement = RegisterWorkerStatement(queue: "transform", name: "sim")
        guard let row = try await lane.control.query(statement).first else { return }
        let worker = SimulatedWorker(row, isPooled: random.chance(30))
        model.workers[worker.id] = false
        workers.append(worker)
        note("\(worker.id) registers\(worker.isPooled ? ", pooled" : "")")
    }

    /// A worker that holds nothing says so and leaves.
    func leave() async throws {
        guard
            let worker = random.pick(workers), worker.leases.isEmpty, worker.unresolved.isEmpty,
            !transactions.contains(where: { $0.worker === worker })
        else { return }
        note("\(worker.id) leaves")
        let rest = RestStatement(worker: worker.id, isUncertain: true, done: worker.done)
        guard let isAlive = try await unlessLocked({ try await lane.control.query(rest).first ?? false }) else {
            return
        }
        if isAlive != (model.workers[worker.id] == false) { model.refute("worker \(worker.id) is alive: \(isAlive)") }
        for lease in worker.done where model.leases[lease] != nil { model.finished(lease) }
        for (lease, held) in model.leases where held.worker == worker.id { model.gaveBack(lease, solo: false) }
        if isAlive {
            try await lane.control.execute(LeaveStatement(worker: worker.id))
            model.workers[worker.id] = nil
        }
        await close(worker)
        workers.removeAll { $0 === worker }
    }

    /// A process ends without a word, its connections with it; or it stops, and they stay as they are.
    func crash() async throws {
        guard let worker = random.pick(workers) else { return }
        workers.removeAll { $0 === worker }
        if random.chance(50) {
            note("\(worker.id) stops")
            return stopped.append(worker)
        }
        note("\(worker.id) is killed")
        for open in transactions where open.worker === worker { try await lane.breakOff(open.connection) }
        transactions.removeAll { $0.worker === worker }
        await close(worker)
    }

    func resume() {
        guard !stopped.isEmpty else { return }
        let worker = stopped.remove(at: random.number(0...(stopped.count - 1)))
        note("\(worker.id) goes on")
        workers.append(worker)
    }

    /// The clock steps forward: what the tables say of times is so much longer ago.
    func stepClock(_ seconds: Int) async throws {
        note("the clock steps \(seconds) s")
        let step = PostgresValue.float8(Double(seconds))
        _ = try await unlessLocked {
            try await lane.control.query("UPDATE queue.deferred SET run_at = run_at - make_interval(secs => \(step))")
        }
        _ = try await unlessLocked {
            try await lane.control.query("UPDATE queue.worker SET seen_at = seen_at - make_interval(secs => \(step))")
        }
    }
}
