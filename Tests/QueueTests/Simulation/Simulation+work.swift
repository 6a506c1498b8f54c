import Postgres

@testable import Queue

/// What a worker does with its leases.
extension Simulation {
    /// Begins to settle, retry or bury jobs of a lease; the transaction may stay open.
    func end() async throws {
        guard let worker = random.pick(workers), let (lease, jobs) = random.pick(worker.open) else { return }
        try await end(worker, lease, random.some(jobs), losesAnswer: true)
    }

    func end(_ worker: SimulatedWorker, _ lease: Int64, _ chosen: [Job], losesAnswer: Bool) async throws {
        // One whose attempts are used up can only be buried, by itself.
        let doomed = chosen.first(where: \.isDoomed)
        let isLast = doomed ?? chosen.first { $0.attempt >= $0.lastAttempt }
        let dies = doomed != nil || (isLast != nil && random.chance(mood.deaths))
        let jobs = dies ? [isLast ?? chosen[0]] : chosen
        let fails = !dies && isLast == nil && random.chance(25)
        guard try await start(jobs.filter { $0.traits.contains(.freesKey) && !$0.isDoomed }) else { return }
        guard let finish = try worker.leases[lease]?.state.begin(jobs.map(\.key), byHandler: true) else { return }
        guard let connection = try await connection(for: worker) else { return worker.reopen(lease, jobs) }
        note("\(worker.id) \(dies ? "buries" : fails ? "retries" : "settles") \(jobs.map(\.slice)) under \(lease)")
        try await connection.execute(script: "BEGIN")
        do {
            let ids = jobs.map(\.slice)
            let change: (inout SimulationModel) -> Void
            if dies {
                let failure = JobFailure(code: "planned", message: "")
                try await connection.execute(
                    BuryStatement(lease: lease, job: jobs[0], failure: failure, finish: finish))
                change = { $0.buried(ids[0], lease, finish: finish) }
            } else if fails {
                let failure = JobFailure(code: "planned", message: "")
                let delay = Duration.milliseconds(random.number(0...20_000))
                try await connection.execute(
                    RetryStatement(lease: lease, jobs: jobs.map { ($0, failure, delay) }, finish: finish))
                let dropped = Set(ids.filter(model.isInCancelledArray))
                change = { $0.retried(ids, lease, finish: finish, dropped: dropped) }
            } else {
                let items = PostgresValue.int8Array(jobs.flatMap(\.effects))
                _ = try await connection.query("INSERT INTO effect SELECT unnest(\(items))")
                let leaving = random.chance(20) ? random.some(jobs) : []
                let results = leaving.map { ($0, "\(random.number(0...9))") }
                try await settle(lease, jobs, finish, results, connection)
                let found = Dictionary(uniqueKeysWithValues: results.map { ($0.slice, $1) })
                change = { $0.settled(ids, lease, finish: finish, results: found) }
            }
            let work = OpenTransaction.Work.end(worker, lease: lease, jobs: jobs, finish: finish)
            let open = OpenTransaction(connection: connection, work: work, change: change)
            if losesAnswer, random.chance(60) {
                try await self.finish(open, random.chance(85) ? .commit : .loseAnswer)
            } else {
                transactions.append(open)
            }
        } catch let error as PostgresError where error.code == .server {
            try await connection.execute(script: "ROLLBACK")
            worker.idle.append(connection)
            worker.reopen(lease, jobs)
            try refused(error, worker, lease, jobs)
        }
    }

    /// As the library does: more is to be done where a job asks for it.
    private func settle(
        _ lease: Int64, _ jobs: [Job], _ finish: Bool, _ results: [(Job, String)], _ connection: PostgresConnection
    ) async throws(PostgresError) {
        if !results.isEmpty || jobs.contains(where: { $0.traits.contains(.concludes) }) {
            let texts = Dictionary(uniqueKeysWithValues: results.map { ($0.key, Array($1.utf8)) })
            try await connection.execute(SettleAllStatement(lease: lease, jobs: jobs, results: texts, finish: finish))
        } else if jobs[0].id % 2 == 0 {
            // By the statement for several leases, which raises nothing.
            let group = Settler.Group(lease: lease, jobs: jobs, finish: finish) { _ in }
            let lost = try await connection.query(SettleLeasesStatement(groups: [group]))
            if !lost.isEmpty {
                throw PostgresError(.server, "lease \(lost[0]) is lost", doing: "settle", sqlstate: Self.lost)
            }
        } else {
            try await connection.execute(SettleStatement(lease: lease, jobs: jobs, finish: finish))
        }
    }

    private func refused(_ error: PostgresError, _ worker: SimulatedWorker, _ lease: Int64, _ jobs: [Job]) throws {
        note("refused: \(error.sqlstate?.code ?? "")")
        switch error.sqlstate {
        case Self.lockTimeout: break
        case Self.lost:
            if model.leases[lease] != nil { model.refute("lease \(lease) was refused, and is not lost") }
            worker.leases[lease]?.state.lose()
        case SQLState.uniqueViolation:
            // An outcome is there: they were cancelled meanwhile.
            let cancelled = jobs.filter { model.jobs[$0.slice]?.place == .cancelled }
            if cancelled.isEmpty { model.refute("jobs \(jobs.map(\.slice)) had ended before: \(error.message)") }
            worker.close(lease, cancelled, finish: false)
        case LeaseFence.arrayCancelled:
            let cancelled = jobs.filter { model.isInCancelledArray($0.slice) }
            if cancelled.isEmpty { model.refute("arrays of \(jobs.map(\.slice)) had been cancelled: \(error.message)") }
            worker.close(lease, cancelled, finish: false)
        default: throw error
        }
    }

    /// Nil where the worker was declared lost. Its server process is recorded before the first work.
    private func connection(for worker: SimulatedWorker) async throws -> PostgresConnection? {
        if let connection = worker.idle.popLast() { return connection }
        let connection = try await lane.take()
        if worker.isPooled { return connection }
        let statement = RegisterBackendStatement(worker: worker.id)
        let isAlive = try await unlessLocked { try await connection.query(statement).first }
        if isAlive == true { return connection }
        lane.give(connection)
        if isAlive == false, model.workers[worker.id] == false { model.refute("worker \(worker.id) is not lost") }
        if isAlive == false { worker.lose() }
        return nil
    }

    /// What became of a commit whose answer was lost.
    func resolve() async throws {
        guard let worker = random.pick(workers), let lost = worker.unresolved.popLast() else { return }
        note("\(worker.id) resolves \(lost.jobs.map(\.slice)) under \(lost.lease)")
        let statement = ResolveStatement(worker: worker.id, pid: lost.pid, lease: lost.lease, jobs: lost.jobs)
        for _ in 0..<1000 {
            guard let row = try await lane.control.query(statement).first, row.isAlive else { break }
            try await Task.sleep(for: .milliseconds(1))
        }
        let settled = try await lane.control.query(statement).first?.settled ?? 0
        if settled != (lost.didCommit ? Int64(lost.jobs.count) : 0) {
            model.refute("of \(lost.jobs.map(\.slice)) \(settled) were found settled; committed: \(lost.didCommit)")
        }
        if settled > 0 {
            worker.close(lost.lease, lost.jobs, finish: lost.finish)
        } else {
            worker.reopen(lost.lease, lost.jobs)
        }
    }

    /// Before the handler begins. False where somebody has locked a key.
    private func start(_ jobs: [Job]) async throws -> Bool {
        if jobs.isEmpty { return true }
        note("\(jobs.map(\.id)) start")
        let statement = StartedStatement(jobs: jobs)
        guard try await unlessLocked({ try await lane.control.execute(statement) }) != nil else { return false }
        model.started(jobs.map(\.id))
        return true
    }

    /// Jobs that did nothing wrong. Where the answer is lost the worker asks once more.
    func giveBackSome() async throws {
        guard let worker = random.pick(workers), let (lease, open) = random.pick(worker.open) else { return }
        let jobs = random.some(open)
        guard let finish = try worker.leases[lease]?.state.begin(jobs.map(\.key), byHandler: false) else { return }
        note("\(worker.id) gives \(jobs.map(\.slice)) of \(lease) back")
        let statement = GiveBackSomeStatement(lease: lease, jobs: jobs, finish: finish)
        do {
            guard try await unlessLocked({ try await lane.control.execute(statement) }) != nil else {
                return worker.reopen(lease, jobs)
            }
            model.gaveBackSome(jobs.map(\.slice), lease, finish: finish)
            if random.chance(30) { try await lane.control.execute(statement) }
            worker.close(lease, jobs, finish: finish)
        } catch let error as PostgresError where error.sqlstate == Self.lost {
            note("refused")
            worker.reopen(lease, jobs)
            if model.leases[lease] != nil { model.refute("lease \(lease) was refused, and is not lost") }
            worker.leases[lease]?.state.lose()
        }
    }

    func giveBack() async throws {
        guard let worker = random.pick(workers), let lease = random.pick(worker.inOrder) else { return }
        note("\(worker.id) gives \(lease) back")
        let statement = GiveBackStatement(lease: lease)
        guard let answer = try await unlessLocked({ try await lane.control.query(statement).first ?? nil }) else {
            return
        }
        let isHeld = model.leases[lease] != nil
        let expected = model.gaveBack(lease, solo: false)
        if answer.map(Int.init) != (isHeld ? expected : nil) {
            model.refute("lease \(lease) gave \(answer.map { "\($0)" } ?? "nothing") back, not \(expected)")
        }
        // Else the answer was lost.
        if random.chance(60) { worker.leases[lease] = nil }
    }

    /// Not beside a claim of the same worker.
    func reconcile() async throws {
        guard let worker = random.pick(workers), !worker.isClaiming(in: transactions) else { return }
        let known = worker.leases.keys.sorted() + worker.done
        note("\(worker.id) reconciles")
        let statement = ReconcileStatement(worker: worker.id, known: known)
        guard let given = try await unlessLocked({ try await lane.control.query(statement).first ?? 0 }) else { return }
        var expected = 0
        for (lease, held) in model.leases where held.worker == worker.id && !known.contains(lease) {
            expected += model.gaveBack(lease, solo: false)
        }
        if given != expected { model.refute("\(given) jobs were reconciled, not \(expected)") }
        worker.isUncertain = false
    }
}
