import Postgres

@testable import Queue

/// Enqueueing, and the ends of transactions that were left open.
extension Simulation {
    enum Ending { case commit, loseAnswer, rollBack, breakOff }

    /// Two enqueuers side by side, while the marks move: the first may commit long before the second.
    func overlap() async throws {
        if random.chance(50) { try await skipPositions() }
        try await enqueue(staysOpen: true)
        try await enqueue(staysOpen: true)
        try await advance()
        if random.chance(70) { try await finish(transactions.remove(at: transactions.count - 2), .commit) }
        if random.chance(70) { try await advance() }
    }

    func enqueue(staysOpen: Bool = false) async throws {
        var requests: [JobRequest] = []
        for _ in 0..<random.number(1...4) {
            let delay: Duration? = random.chance(25) ? .milliseconds(random.number(1...20_000)) : nil
            requests.append(
                JobRequest(
                    queue: "transform", kind: "sim", arguments: Array("{}".utf8), workspace: 1,
                    priority: random.pick([0, 0, 0, 2, -2]) ?? 0, delay: delay,
                    maxAttempts: Int16(random.number(1...3))))
            guard random.chance(15) else { continue }
            requests[requests.count - 1].items = Int32(random.number(1...12))
            if random.chance(50) { requests[requests.count - 1].slice = Int32(random.number(1...5)) }
        }
        let connection = try await lane.take()
        try await connection.execute(script: "BEGIN")
        let ids = try await connection.query(try Enqueue.statement(requests)).map(\.id)
        note("enqueue \(ids)")
        let made = zip(ids, requests).map { ($0, $1) }
        let open = OpenTransaction(connection: connection, work: .enqueue) { model in
            for (id, request) in made {
                model.enqueued(
                    id * SimulationModel.width, priority: request.priority, isDelayed: request.delay != nil,
                    allowance: request.maxAttempts, items: request.items ?? 0)
            }
        }
        if !staysOpen, random.chance(60) { try await finish(open, .commit) } else { transactions.append(open) }
    }

    func finishTransaction() async throws {
        guard !transactions.isEmpty else { return }
        let open = transactions.remove(at: random.number(0...(transactions.count - 1)))
        let ending: Ending =
            switch random.number(1...10) {
            case ...6: .commit
            case ...7: .loseAnswer
            case ...9: .rollBack
            default: .breakOff
            }
        try await finish(open, ending)
    }

    func finish(_ open: OpenTransaction, _ ending: Ending) async throws {
        note("\(ending) \(open.label)")
        var didCommit = false
        var isBroken = open.isTerminated || ending == .breakOff
        let pid = await open.connection.backendPID
        switch ending {
        case .commit, .loseAnswer:
            do {
                try await open.connection.execute(script: "COMMIT")
                didCommit = true
                if open.isTerminated { model.refute("a transaction committed whose server process was ended") }
            } catch {
                guard open.isTerminated else { throw error }
                note("refused: \(error.code)")
            }
        case .rollBack:
            if !open.isTerminated { try await open.connection.execute(script: "ROLLBACK") }
        case .breakOff: break
        }
        if didCommit { open.change(&model) }
        switch open.work {
        case .enqueue: break
        case .claim(let worker, let lease, let jobs, let solo):
            if let lease, didCommit {
                if ending == .commit { hold(worker, lease, jobs, solo) } else { worker.isUncertain = true }
            }
        case .end(let worker, let lease, let jobs, let finish):
            switch ending {
            case .commit where didCommit: worker.close(lease, jobs, finish: finish)
            case .rollBack: worker.reopen(lease, jobs)
            default:
                worker.unresolved.append(
                    .init(pid: pid, lease: lease, jobs: jobs, finish: finish, didCommit: didCommit))
                isBroken = true
            }
        }
        if isBroken {
            try await lane.breakOff(open.connection)
        } else if case .end(let worker, _, _, _) = open.work {
            worker.idle.append(open.connection)
        } else {
            lane.give(open.connection)
        }
    }

    func hold(_ worker: SimulatedWorker, _ lease: Int64, _ jobs: [Job], _ solo: Bool) {
        worker.leases[lease] = .init(jobs: jobs, isSolo: solo, state: LeaseState(jobs: jobs.map(\.key)))
    }

    func skipPositions() async throws {
        note("skip positions")
        _ = try await lane.control.query("SELECT max(nextval('queue.position')) FROM generate_series(1, 1100)")
    }
}

extension OpenTransaction {
    var worker: SimulatedWorker? {
        switch work {
        case .enqueue: nil
        case .claim(let worker, _, _, _), .end(let worker, _, _, _): worker
        }
    }

    var label: String {
        switch work {
        case .enqueue: "an enqueue"
        case .claim(let worker, let lease, let jobs, _):
            "claim \(lease ?? 0) of \(worker.id) with \(jobs.map(\.slice))"
        case .end(let worker, let lease, let jobs, let finish):
            "the end of \(jobs.map(\.slice)) under \(lease) by \(worker.id)\(finish ? ", finishing" : "")"
        }
    }
}
