import Postgres

@testable import Queue

/// The ends of transactions that were left open.
extension Simulation {
    enum Ending { case commit, loseAnswer, rollBack, breakOff }

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
        case .enqueue, .cancel: break
        case .claim(let worker, let lease, let jobs):
            if let lease, didCommit {
                if ending == .commit { worker.hold(lease, jobs) } else { worker.isUncertain = true }
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

    func skipPositions() async throws {
        note("skip positions")
        _ = try await lane.control.query("SELECT max(nextval('queue.position')) FROM generate_series(1, 1100)")
    }
}

extension OpenTransaction {
    var worker: SimulatedWorker? {
        switch work {
        case .enqueue, .cancel: nil
        case .claim(let worker, _, _), .end(let worker, _, _, _): worker
        }
    }

    var label: String {
        switch work {
        case .enqueue: "an enqueue"
        case .cancel(_, let removed): "a cancellation of \(removed.sorted())"
        case .claim(let worker, let lease, let jobs):
            "claim \(lease ?? 0) of \(worker.id) with \(jobs.map(\.slice))"
        case .end(let worker, let lease, let jobs, let finish):
            "the end of \(jobs.map(\.slice)) under \(lease) by \(worker.id)\(finish ? ", finishing" : "")"
        }
    }
}
