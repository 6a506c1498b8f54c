import Postgres

@testable import Queue

/// What the leader and the marks do, and a queue's pause.
extension Simulation {
    func rescue() async throws {
        note("rescue")
        if random.chance(30) { try await retire() }
        let statement = LostWorkersStatement(timeout: .seconds(1))
        guard let lost = try await unlessLocked({ try await lane.control.query(statement) }) else { return }
        for worker in lost {
            if model.workers[worker] == nil { model.refute("worker \(worker) is lost, and was not registered") }
            model.workers[worker] = true
        }
        for worker in lost where random.chance(80) { try await rescue(worker) }
    }

    /// Nothing leaves here; but a claim that committed after its worker was rescued is found.
    func retire() async throws {
        var configuration = LeaderConfiguration()
        configuration.rotation = .seconds(86_400 * 3650)
        let statement = RetireStatement(configuration)
        guard try await unlessLocked({ try await lane.control.execute(statement) }) != nil else { return }
        for lease in model.leases.values where model.workers[lease.worker] == nil {
            note("\(lease.worker) is adopted")
            model.workers[lease.worker] = true
        }
    }

    private func rescue(_ worker: Int64) async throws {
        let statement = TerminateBackendsStatement(worker: worker)
        for _ in 0..<1000 {
            guard let alive = try await lane.control.query(statement).first, alive > 0 else { break }
            try await Task.sleep(for: .milliseconds(1))
        }
        for index in transactions.indices {
            if case .end(let holder, _, _, _) = transactions[index].work, holder.id == worker, !holder.isPooled {
                transactions[index].isTerminated = true
            }
        }
        for process in workers + stopped where process.id == worker && !process.isPooled { await close(process) }
        let backoff = Backoff(base: .seconds(1), cap: .seconds(2))
        let rescue = RescueStatement(worker: worker, backoff: backoff)
        guard let row = try await unlessLocked({ try await lane.control.query(rescue).first }), let row else { return }
        let locked = Set(transactions.filter { !$0.isTerminated }.flatMap(\.leases))
        var (given, charged, left) = (0, 0, 0)
        for (lease, held) in model.leases where held.worker == worker {
            if locked.contains(lease) {
                left += 1
                continue
            }
            let counts = model.rescued(lease)
            given += counts.given
            charged += counts.charged
        }
        note("of \(worker): \(row.given) given, \(row.charged) charged, \(row.leftOver) left")
        if (Int(row.given), Int(row.charged), Int(row.leftOver)) != (given, charged, left) {
            model.refute("rescue of \(worker): \(row), not \(given), \(charged), \(left)")
        }
        if row.leftOver == 0 { model.workers[worker] = nil }
    }

    /// Which jobs were due is the database's to say; that they were deferred is the model's.
    func moveDue(limit: Int) async throws {
        let statement = MoveDueStatement(after: .min, limit: limit)
        guard let row = try await unlessLocked({ try await lane.control.query(statement).first }), let row else {
            return
        }
        let left = try await lane.control.query(
            "SELECT coalesce(array_agg(job * 1000 + first), '{}') FROM queue.deferred")
        let deferred = Set(try left[0].int8Array(0))
        var moved = 0
        for (id, job) in model.jobs {
            guard case .deferred = job.place, !deferred.contains(id) else { continue }
            model.moved(id)
            moved += 1
        }
        note("\(moved) become ready")
        if moved != row.moved { model.refute("\(row.moved) jobs were moved, and \(moved) are not deferred any more") }
    }

    func advance() async throws {
        note("advance")
        let queue = workers.first?.queue ?? 0
        guard let row = try await lane.control.query(AdvanceStatement(queue: queue)).first else { return }
        random.pick(workers)?.marks.advanced(row)
    }

    func pause() async throws {
        model.isPaused.toggle()
        note("paused: \(model.isPaused)")
        try await lane.control.execute(PauseStatement(queue: "transform", paused: model.isPaused))
    }
}
