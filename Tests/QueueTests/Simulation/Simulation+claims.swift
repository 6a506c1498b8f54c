import Postgres

@testable import Queue

/// Claims: alone, two at the same moment, in a transaction that stays open; some answers are lost.
extension Simulation {
    func claim() async throws {
        guard let worker = random.pick(workers) else { return }
        let hasSolo = model.jobs.values.contains { $0.place == .ready(.solo) }
        let isSolo = random.chance(hasSolo ? 60 : 5)
        if !isSolo, random.chance(20) { return try await claimByFlows(worker) }
        _ = try await claim(worker, solo: isSolo, losesAnswer: random.chance(10))
    }

    /// Gives how many jobs were claimed.
    func claim(_ worker: SimulatedWorker, solo: Bool, losesAnswer: Bool) async throws -> Int {
        let statement = self.statement(worker, solo: solo, limit: solo ? 1 : random.number(1...6))
        note("\(worker.id) claims\(solo ? " solo" : "")\(losesAnswer ? ", unanswered" : "")")
        return try await claimed(worker, statement, losesAnswer: losesAnswer) { connection in
            try await connection.query(statement)
        }
    }

    func statement(
        _ worker: SimulatedWorker, solo: Bool, limit: Int, flows: [Marks.Flow] = []
    ) -> ClaimStatement {
        // The library gives its done leases up for lost with the answer; they come back here.
        ClaimStatement(
            worker: worker.id, queue: worker.queue, solo: solo, limit: limit,
            marks: worker.marks.bounds(solo: solo, at: .now), soloLow: worker.marks.solo.low,
            gateLow: worker.marks.gateLow,
            sweep: flows.isEmpty && (solo || random.chance(70)), done: worker.done, flows: flows)
    }

    func claimed(
        _ worker: SimulatedWorker, _ statement: ClaimStatement, losesAnswer: Bool,
        _ send: (PostgresConnection) async throws -> [ClaimStatement.Row]
    ) async throws -> Int {
        let rows: [ClaimStatement.Row]
        do {
            guard let answer = try await unlessLocked({ try await send(lane.control) }) else { return 0 }
            rows = answer
        } catch let error as PostgresError where error.sqlstate == "55000" {
            return refused(worker)
        }
        let (lease, jobs) = take(rows)
        checkShares(statement, jobs)
        apply(worker, statement, lease, jobs)
        if losesAnswer {
            worker.isUncertain = true
            return 0
        }
        answered(worker, statement, lease, jobs)
        return jobs.count
    }

    /// What everybody sees once a claim has committed.
    private func apply(_ worker: SimulatedWorker, _ statement: ClaimStatement, _ lease: Int64?, _ jobs: [Job]) {
        for lease in statement.done { model.finished(lease) }
        if let lease {
            // One that was under way meanwhile is another matter: `claimSlowly`.
            if model.workers[worker.id] != false { model.refute("lost worker \(worker.id) has claimed") }
            if model.isPaused { model.refute("a paused queue was claimed from") }
            for job in jobs where model.isInCancelledArray(job.slice) {
                model.refute("\(job.slice) was claimed of a cancelled array")
            }
            model.claimed(lease, worker.id, solo: statement.solo, jobs.map(SimulationModel.Claimed.init))
        }
        checkNoneOverlooked(statement, jobs)
    }

    private func answered(_ worker: SimulatedWorker, _ statement: ClaimStatement, _ lease: Int64?, _ jobs: [Job]) {
        worker.done.removeAll { statement.done.contains($0) }
        if !statement.flows.isEmpty {
            worker.marks.claimedByFlows(jobs.count, swept: false, began: .now, ended: .now)
            if let lease { worker.hold(lease, jobs) }
            return
        }
        worker.marks.claimed(
            jobs, limit: statement.limit, from: statement.marks, solo: statement.solo, swept: statement.sweep,
            began: .now, ended: .now)
        if let lease { worker.hold(lease, jobs) }
    }

    private func take(_ rows: [ClaimStatement.Row]) -> (Int64?, [Job]) {
        var lease: Int64?
        if case .header(let header) = rows.first { lease = header.lease }
        return (lease, rows.compactMap { if case .job(let job) = $0 { job } else { nil } })
    }

    private func refused(_ worker: SimulatedWorker) -> Int {
        note("refused")
        if model.workers[worker.id] == false { model.refute("worker \(worker.id) was refused, and is not lost") }
        worker.lose()
        workers.removeAll { $0 === worker }
        stopped.append(worker)
        return 0
    }

    /// A sweep that has taken less than it might has left nothing of its lane but what others have locked.
    private func checkNoneOverlooked(_ statement: ClaimStatement, _ jobs: [Job]) {
        guard statement.sweep, jobs.count < statement.limit, !model.isPaused else { return }
        let locked = lockedSlices
        // The rest of an array that was cut stands at the end of its lane.
        let cut = Set(jobs.map(\.id))
        let lane: SimulationModel.Lane = statement.solo ? .solo : .ordinary
        for (id, job) in model.jobs where job.place == .ready(lane) && !locked.contains(id) {
            if cut.contains(id / SimulationModel.width) || model.isInCancelledArray(id) { continue }
            model.refute("a sweep has overlooked job \(id): \(model.describe(id))")
        }
    }

    /// What open transactions have taken out of where others find it still.
    var lockedSlices: Set<Int64> { transactions.reduce(into: []) { $0.formUnion($1.locked) } }

    func claimSideBySide() async throws {
        guard workers.count > 1 else { return }
        let pair = workers.shuffled(using: &random).prefix(2)
        let (left, right) = (pair[0], pair[1])
        let (one, other) = (statement(left, solo: false, limit: 3), statement(right, solo: false, limit: 3))
        note("\(left.id) and \(right.id) claim")
        let connection = try await lane.take()
        let control = lane.control
        async let first = Self.answer(one, control)
        async let second = Self.answer(other, connection)
        let answers = try await [first, second]
        lane.give(connection)
        var claims: [(SimulatedWorker, ClaimStatement, lease: Int64?, [Job])] = []
        for (worker, statement, rows) in [(left, one, answers[0]), (right, other, answers[1])] {
            guard let rows else {
                _ = refused(worker)
                continue
            }
            if rows.isEmpty { continue }
            let (lease, jobs) = take(rows)
            claims.append((worker, statement, lease, jobs))
        }
        // The later of two may have found what the earlier one left of an array that it cut.
        let order = try await orderOfClaims(claims.compactMap(\.lease))
        for (worker, statement, lease, jobs) in claims.sorted(by: {
            $0.lease.flatMap { order[$0] } ?? -1 < $1.lease.flatMap { order[$0] } ?? -1
        }) {
            for lease in statement.done { model.finished(lease) }
            if let lease {
                model.claimed(lease, worker.id, solo: false, jobs.map(SimulationModel.Claimed.init))
            }
            answered(worker, statement, lease, jobs)
        }
    }

    /// Leases are numbered at random; the later of two claims has written its own after it saw what the other left.
    private func orderOfClaims(_ leases: [Int64]) async throws -> [Int64: Int] {
        let rows = try await lane.control.query(
            "SELECT id FROM queue.lease WHERE id = ANY (\(.int8Array(leases))) ORDER BY claimed_at")
        var order: [Int64: Int] = [:]
        for index in 0..<rows.rowCount { order[try rows[index].int8(0)] = index }
        return order
    }

    /// Nil where the worker is not on the register, empty where a lock was not to be had.
    private static func answer(
        _ statement: ClaimStatement, _ connection: PostgresConnection
    ) async throws -> [ClaimStatement.Row]? {
        do {
            return try await connection.query(statement)
        } catch {
            if error.sqlstate == "55000" { return nil }
            if error.sqlstate == lockTimeout { return [] }
            throw error
        }
    }

    func claimSlowly() async throws {
        guard let worker = random.pick(workers), !worker.isClaiming(in: transactions) else { return }
        let solo = random.chance(20)
        let statement = self.statement(worker, solo: solo, limit: solo ? 1 : 3)
        note("\(worker.id) claims slowly")
        let connection = try await lane.take()
        try await connection.execute(script: "BEGIN")
        do {
            let (lease, jobs) = take(try await connection.query(statement))
            let id = worker.id
            let change: (inout SimulationModel) -> Void = { model in
                for lease in statement.done { model.finished(lease) }
                guard let lease else { return }
                model.claimed(lease, id, solo: solo, jobs.map(SimulationModel.Claimed.init))
            }
            worker.done.removeAll { statement.done.contains($0) }
            let work = OpenTransaction.Work.claim(worker, lease: lease, jobs: jobs)
            var open = OpenTransaction(connection: connection, work: work, change: change)
            open.done = statement.done
            transactions.append(open)
        } catch {
            guard error.code == .server else { throw error }
            try await connection.execute(script: "ROLLBACK")
            lane.give(connection)
            if error.sqlstate == "55000" {
                _ = refused(worker)
            } else if error.sqlstate != Self.lockTimeout {
                throw error
            }
        }
    }
}

extension SimulatedWorker {
    func isClaiming(in transactions: [OpenTransaction]) -> Bool {
        transactions.contains { open in
            if case .claim(let worker, _, _) = open.work { worker === self } else { false }
        }
    }
}
