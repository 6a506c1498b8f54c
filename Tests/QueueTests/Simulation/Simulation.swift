import Postgres

@testable import Queue

/// A random history of the queue on a real database: enqueuers, workers, the leader, an operator and the clock take
/// turns, transactions stay open while others go on, answers are lost, processes end. After each few steps the database
/// must hold what the model says. Used by one task.
final class Simulation {
    static let lockTimeout: SQLState = "55P03"
    static let lost: SQLState = "MR001"

    let lane: SimulationLane
    let seed: UInt64
    var random: SimulationRandom
    let mood: SimulationMood
    var model = SimulationModel()
    var workers: [SimulatedWorker] = []
    /// Stopped processes that may go on.
    var stopped: [SimulatedWorker] = []
    var transactions: [OpenTransaction] = []
    private(set) var steps: [String] = []
    private var first: Int64 = 0

    /// `mood`: nil for what the seed says.
    init(_ lane: SimulationLane, seed: UInt64, mood: SimulationMood? = nil) {
        self.lane = lane
        self.seed = seed
        random = SimulationRandom(seed: seed)
        let drawn = random.pick(SimulationMood.all) ?? .ordinary
        self.mood = mood ?? drawn
    }

    /// Gives what was violated, or nil.
    func run() async throws -> String? {
        first = try await lane.reset()
        try await limit(to: random.number(1...2))
        for _ in 0..<random.number(0...2) { try await register() }
        for step in 1...random.number(20...70) {
            try await self.step()
            if step % 3 == 0 { try await check() }
            if model.violation != nil { return failure }
        }
        try await drain()
        try await check()
        model.checkDrained()
        return failure
    }

    private var failure: String? {
        model.violation.map { $0 + story }
    }

    /// What has happened so far.
    var story: String { "\n  steps: \(steps.joined(separator: "; "))" }

    func note(_ step: String) {
        steps.append(step)
    }

    func check() async throws {
        guard model.violation == nil else { return }
        model.check(try await lane.control.query(SimulationTruth(from: first)))
    }

    /// Gives nil where a lock was not to be had: nothing has happened then.
    func unlessLocked<T>(_ body: () async throws -> T) async throws -> T? {
        do {
            return try await body()
        } catch let error as PostgresError where error.sqlstate == Self.lockTimeout {
            note("locked")
            return nil
        }
    }

    private func step() async throws {
        switch random.number(1...95 + mood.operations) {
        case ...12: try await enqueue()
        case ...24: try await claim()
        case ...26: try await claimSideBySide()
        case ...29: try await claimSlowly()
        case ...45: try await end()
        case ...54: try await finishTransaction()
        case ...58: try await resolve()
        case ...61: try await giveBack()
        case ...63: try await reconcile()
        case ...65: try await leave()
        case ...69: try await register()
        case ...72: try await crash()
        case ...76: resume()
        case ...79: try await stepClock(random.number(-20...40))
        case ...84: try await rescue()
        case ...88: try await moveDue(limit: random.number(1...5))
        case ...91: try await advance()
        case ...93: try await skipPositions()
        case ...95: try await overlap()
        default: try await operate()
        }
    }

    /// What the gate, and operators, do besides.
    private func operate() async throws {
        switch random.number(1...22) {
        case ...6: try await admit(limit: random.number(1...4))
        case ...12: try await cancel()
        case ...16: try await redrive()
        case ...20: try await giveBackSome()
        case 21: try await limit(to: random.pick([1, 1, 2, 3, nil]) ?? nil)
        default: try await pause()
        }
    }

    /// Everything comes to its end: open transactions, processes, waits; then one worker does all that is left.
    private func drain() async throws {
        note("drain")
        while !transactions.isEmpty { try await finishTransaction() }
        if model.isPaused { try await pause() }
        for worker in workers + stopped { await close(worker) }
        workers = []
        stopped = []
        for _ in 0..<60 {
            try await stepClock(3600)
            try await retire()
            try await rescue()
            try await moveDue(limit: 1000)
            try await register()
            try await admit(limit: 1000)
            for isSolo in [false, true] { try await work(solo: isSolo) }
            if model.violation != nil { return }
            if model.leases.isEmpty, model.jobs.allSatisfy({ model.isOver($0.key, $0.value) }) { return }
        }
    }

    private func work(solo: Bool) async throws {
        while let worker = workers.last, try await claim(worker, solo: solo, losesAnswer: false) > 0 {
            while let (lease, jobs) = worker.open.first {
                try await end(worker, lease, jobs, losesAnswer: false)
                while !transactions.isEmpty { try await finish(transactions.removeFirst(), .commit) }
                if model.violation != nil { return }
            }
        }
    }

    func close(_ worker: SimulatedWorker) async {
        for connection in worker.idle { await connection.close() }
        worker.idle = []
    }
}
