import Postgres

@testable import Queue

/// What the gate does, and an operator with jobs.
extension Simulation {
    /// A cancellation may stay open, and be rolled back.
    func cancel() async throws {
        let live = model.bodies.keys.filter { id in model.cancellation(of: id).answer != .finished }
        let ids = random.chance(80) ? live : Array(model.bodies.keys)
        guard let id = random.pick(ids.sorted()) else { return }
        let connection = try await lane.take()
        try await connection.execute(script: "BEGIN")
        let answer: CancelResult?
        do {
            answer = try await connection.query(CancelStatement(job: id)).first
        } catch {
            guard error.sqlstate == Self.lockTimeout else { throw error }
            try await connection.execute(script: "ROLLBACK")
            lane.give(connection)
            return note("cancel \(id): locked")
        }
        note("cancel \(id): \(answer?.rawValue ?? "")")
        let expected = model.cancellation(of: id)
        if answer != expected.answer {
            model.refute(
                "cancel \(id): \(answer?.rawValue ?? "nothing"), but \(model.describe(id * SimulationModel.width))")
        }
        let isEnd = answer != .finished
        let work = OpenTransaction.Work.cancel(lease: expected.lease, removed: expected.removed)
        let open = OpenTransaction(connection: connection, work: work) { model in
            if isEnd {
                model.cancelled(id, removed: expected.removed)
            } else {
                model.swept(expected.removed)
            }
        }
        if random.chance(60) { try await finish(open, .commit) } else { transactions.append(open) }
    }

    func redrive() async throws {
        let statement = RedriveStatement(queue: "transform", jobs: nil, limit: random.number(1...3))
        guard let answer = try await unlessLocked({ try await lane.control.query(statement).first }), let answer else {
            return
        }
        let (slices, held) = model.redrive(limit: statement.limit, locked: lockedSlices)
        note("redrive \(answer.jobs), not \(answer.held)")
        // The slices of an array count each.
        let expected = Redrive(jobs: Set(slices.map { $0 / SimulationModel.width }).sorted(), held: held)
        if answer != expected { model.refute("redriven were \(answer), not \(expected)") }
        for slice in slices { model.redriven(slice) }
    }

    /// Which jobs stand at the gate, and in which order, is the database's to say.
    func admit(limit: Int) async throws {
        let low = random.pick(workers)?.marks.gateLow ?? 0
        let rows = try await lane.control.query(
            "SELECT job FROM queue.ready WHERE lane < 0 AND position > \(.int8(low)) ORDER BY position")
        let standing = try (0..<rows.rowCount).map { try rows[$0].int8(0) }
        let locked = lockedSlices
        let taken = standing.filter { !locked.contains($0 * SimulationModel.width) }.prefix(limit)
        let statement = AdmitStatement(queue: workers.first?.queue ?? 0, low: low, limit: limit)
        guard let row = try await unlessLocked({ try await lane.control.query(statement).first }), let row else {
            return
        }
        let moved = model.admitted(Array(taken))
        note("of \(taken) \(row.moved) are admitted")
        if row.moved != moved { model.refute("\(row.moved) jobs were let through, not \(moved)") }
        if row.isMore != (taken.count == limit) { model.refute("of \(standing) \(taken) were admitted: \(row)") }
    }

    /// As many jobs of a key at a time, whatever it was before.
    func limit(to concurrency: Int?) async throws {
        let limit = QueueLimit(concurrency: concurrency.map(Int32.init))
        let statement = SetLimitStatement(queue: "transform", name: "host", limit: limit)
        guard try await unlessLocked({ try await lane.control.execute(statement) }) != nil else { return }
        note("at most \(concurrency.map(String.init) ?? "all") of a key")
        model.concurrency = concurrency
        for key in model.blocked.keys.sorted() { model.open(key) }
    }
}
