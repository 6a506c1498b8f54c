import Postgres

@testable import Queue

/// A worker process as a history plays it: what it knows, which need not be what is so.
final class SimulatedWorker {
    struct Held {
        let jobs: [Job]
        var state: LeaseState
        /// Leases are numbered at random; by this they have an order that a seed repeats.
        let number: Int
    }

    /// An attempt to close jobs whose answer was lost.
    struct Unresolved {
        let pid: Int32
        let lease: Int64
        let jobs: [Job]
        let finish: Bool
        /// What the history knows and the worker does not.
        let didCommit: Bool
    }

    let id: Int64
    let queue: Int16
    /// Its server processes are not recorded, as behind a transaction pooler: rescue cannot end them.
    let isPooled: Bool
    var marks = Marks(now: .now)
    var leases: [Int64: Held] = [:]
    private var held = 0
    var done: [Int64] = []
    var unresolved: [Unresolved] = []
    /// A claim's answer was lost.
    var isUncertain = false
    var idle: [PostgresConnection] = []

    init(_ row: RegisterWorkerStatement.Row, isPooled: Bool) {
        id = row.worker
        queue = row.queue
        self.isPooled = isPooled
    }

    /// Leases with jobs that nothing is under way for.
    var open: [(lease: Int64, jobs: [Job])] {
        inOrder.compactMap { lease in
            guard let held = leases[lease], !held.state.isLost else { return nil }
            let jobs = held.jobs.filter { held.state.isOpen($0.key) }
            return jobs.isEmpty ? nil : (lease, jobs)
        }
    }

    /// Its leases, from the first on.
    var inOrder: [Int64] { leases.sorted { $0.value.number < $1.value.number }.map(\.key) }

    func hold(_ lease: Int64, _ jobs: [Job]) {
        held += 1
        leases[lease] = Held(jobs: jobs, state: LeaseState(jobs: jobs.map(\.key)), number: held)
    }

    func lose() {
        for lease in leases.keys { leases[lease]?.state.lose() }
    }

    /// What a transaction that was rolled back leaves.
    func reopen(_ lease: Int64, _ jobs: [Job]) {
        leases[lease]?.state.reopen(jobs.map(\.key))
    }

    func close(_ lease: Int64, _ jobs: [Job], finish: Bool) {
        guard let isDone = leases[lease]?.state.close(jobs.map(\.key), finished: finish) else { return }
        if isDone { done.append(lease) }
        if leases[lease]?.state.isFinished == true { leases[lease] = nil }
    }
}

/// A transaction that a history has left open, and what it will have changed if it commits.
struct OpenTransaction {
    enum Work {
        case enqueue
        case claim(SimulatedWorker, lease: Int64?, jobs: [Job])
        case end(SimulatedWorker, lease: Int64, jobs: [Job], finish: Bool)
        /// An operator's, with the lease that it has locked and the slices that it has taken out of where they stood.
        case cancel(lease: Int64?, removed: Set<Int64>)
    }

    let connection: PostgresConnection
    let work: Work
    let change: (inout SimulationModel) -> Void
    /// Rescue has ended its server process: it must not commit.
    var isTerminated = false

    /// Leases that a claim deletes, since they are done.
    var done: [Int64] = []

    /// The leases that it has locked.
    var leases: [Int64] {
        switch work {
        case .end(_, let lease, _, _): [lease]
        case .cancel(let lease, _): lease.map { [$0] } ?? []
        case .enqueue, .claim: done
        }
    }

    /// The slices that stand where they stood for others, and are locked there.
    var locked: Set<Int64> {
        switch work {
        case .claim(_, _, let jobs): Set(jobs.map(\.slice))
        case .cancel(_, let removed): removed
        case .enqueue, .end: []
        }
    }
}
