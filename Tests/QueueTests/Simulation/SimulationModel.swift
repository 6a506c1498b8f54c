@testable import Queue

/// What the queue must hold: the committed state of every job of a history, and of the leases and workers.
///
/// A slice of a job array has a place of its own; its key is the job's id times `width` and its first item.
struct SimulationModel: Sendable {
    /// More than an array of a history has items.
    static let width: Int64 = 1000

    /// Of a queue's lanes.
    enum Lane: String, Sendable {
        case ordinary, solo, gate
    }

    enum Place: Equatable, Sendable {
        case ready(Lane)
        case deferred(Lane)
        /// For other jobs.
        case waiting
        /// At its key's limit.
        case blocked
        case leased(Int64)
        case succeeded
        case cancelled
        case dead
    }

    /// What was asked for at once for all of a job's slices.
    struct Body: Sendable {
        let workspace: Int64
        let priority: Int16
        let allowance: Int16
        let items: Int32
        let isDelayed: Bool
        let isJoinable: Bool
        let limitKey: String?
        let unique: JobRequest.UniqueKey?
        let runsAnyway: Bool

        init(_ request: JobRequest, isJoinable: Bool) {
            workspace = request.workspace
            priority = request.priority
            allowance = request.maxAttempts
            items = request.items ?? 0
            isDelayed = request.delay != nil
            self.isJoinable = isJoinable
            limitKey = request.limitKey
            unique = request.unique
            runsAnyway = request.runsAnyway
        }

        /// Where it is claimed, or asks its key.
        var lane: Lane { limitKey == nil ? .ordinary : .gate }
    }

    struct Dependency: Hashable, Sendable {
        let parent: Int64
        let child: Int64
    }

    /// What was left of an array when it was cancelled.
    struct Remainder: Sendable {
        let remaining: Int32
        let failed: Int32
    }

    /// A job that is no array, or a slice of one.
    struct Job: Sendable {
        var place: Place
        var attempt: Int16 = 1
        var last: Int16
        let priority: Int16
        let allowance: Int16
        /// How each attempt ended, by attempt.
        var outcomes: [Int16: String] = [:]
        /// Of a slice; 0 for a job that is no array.
        var items: Int32 = 0
    }

    /// A job or a slice under a new lease.
    struct Claimed: Sendable {
        let id: Int64
        let attempt: Int16
        let last: Int16
        let items: Int32

        init(_ job: Queue.Job) {
            id = job.slice
            attempt = job.attempt
            last = job.lastAttempt
            items = job.itemCount
        }
    }

    struct Lease: Sendable {
        let worker: Int64
        let isSolo: Bool
        var jobs: [Int64]
    }

    /// What a change was found to contradict. The first one ends the history.
    private(set) var violation: String?
    var jobs: [Int64: Job] = [:]
    private(set) var leases: [Int64: Lease] = [:]
    /// How often the work of each item was done.
    private(set) var effects: [Int64: Int] = [:]
    /// What the successful left behind.
    private(set) var results: [Int64: String] = [:]
    /// By the job's id, which is not multiplied by `width`; as are all of these.
    var bodies: [Int64: Body] = [:]
    var cancelledArrays: [Int64: Remainder] = [:]
    var uniqueKeys: [String: Int64] = [:]
    var joinable: Set<Int64> = []
    var dependencies: Set<Dependency> = []
    /// Of each key the jobs that are blocked, in the order in which they came.
    var blocked: [String: [Int64]] = [:]
    var permits: [Int64: String] = [:]
    /// How many jobs of a key may be let through at a time; nil: all.
    var concurrency: Int?
    /// Registered workers, and whether they were declared lost.
    var workers: [Int64: Bool] = [:]
    var isPaused = false

    mutating func refute(_ text: String) {
        if violation == nil { violation = text }
    }

    mutating func claimed(_ lease: Int64, _ worker: Int64, solo: Bool, _ found: [Claimed]) {
        leases[lease] = Lease(worker: worker, isSolo: solo, jobs: found.map(\.id))
        for claim in found {
            let (id, items) = (claim.id, claim.items)
            guard let job = jobs[id], job.place == .ready(solo ? .solo : .ordinary), job.attempt == claim.attempt,
                job.last == claim.last
            else {
                refute("lease \(lease) (solo \(solo)) claimed \(claim): \(describe(id))")
                continue
            }
            jobs[id]?.place = .leased(lease)
            split(id, items)
        }
    }

    /// What is more than `items` of a slice is one of its own.
    private mutating func split(_ id: Int64, _ items: Int32) {
        guard var job = jobs[id], items != job.items else { return }
        if items > job.items || items < 1 { return refute("\(items) items were taken of \(describe(id))") }
        let whole = job.items
        jobs[id]?.items = items
        job.items = whole - items
        if case .leased(let lease) = job.place { job.place = .ready(leases[lease]?.isSolo == true ? .solo : .ordinary) }
        job.outcomes = [:]
        jobs[id + Int64(items)] = job
    }

    /// An attempt ends under a lease.
    private mutating func end(_ id: Int64, _ lease: Int64, _ outcome: String) -> Bool {
        guard let job = jobs[id], job.place == .leased(lease), leases[lease] != nil, job.outcomes[job.attempt] == nil
        else {
            refute("lease \(lease) ended job \(id) as \(outcome): \(describe(id))")
            return false
        }
        jobs[id]?.outcomes[job.attempt] = outcome
        return true
    }

    mutating func settled(_ ids: [Int64], _ lease: Int64, finish: Bool, results found: [Int64: String]) {
        for id in ids where end(id, lease, "succeeded") {
            jobs[id]?.place = .succeeded
            results[id] = found[id]
            for item in 0..<Int64(max(1, jobs[id]?.items ?? 0)) { effects[id + item, default: 0] += 1 }
        }
        if finish { finished(lease) }
        ended(ids, .succeeded)
    }

    /// `dropped`: slices whose array had been cancelled when this began.
    mutating func retried(_ ids: [Int64], _ lease: Int64, finish: Bool, dropped: Set<Int64>) {
        for id in ids where end(id, lease, "failed") {
            release(id / Self.width)
            jobs[id]?.place = dropped.contains(id) ? .cancelled : .deferred(bodies[id / Self.width]?.lane ?? .ordinary)
            if dropped.contains(id) { continue }
            jobs[id]?.attempt += 1
            guard let items = jobs[id]?.items, items > 1 else { continue }
            // It comes back in halves, with an attempt more.
            jobs[id]?.last += 1
            split(id, items / 2)
        }
        if finish { finished(lease) }
    }

    mutating func buried(_ id: Int64, _ lease: Int64, finish: Bool) {
        if end(id, lease, "dead") { jobs[id]?.place = .dead }
        if finish { finished(lease) }
        ended([id], .dead)
    }

    /// A lease is deleted by its holder: none of its jobs may be open, but for what was cancelled with its array.
    mutating func finished(_ lease: Int64) {
        for id in open(lease) {
            if isInCancelledArray(id) {
                jobs[id]?.place = .cancelled
            } else {
                refute("lease \(lease) was finished with job \(id) open")
            }
        }
        leases[lease] = nil
    }

    func open(_ lease: Int64) -> [Int64] {
        leases[lease]?.jobs.filter { jobs[$0]?.place == .leased(lease) } ?? []
    }

    /// Uncharged. Gives how many.
    @discardableResult
    mutating func gaveBack(_ lease: Int64, solo: Bool) -> Int {
        let isSolo = solo || leases[lease]?.isSolo == true
        let ids = open(lease)
        for id in ids { jobs[id]?.place = .ready(isSolo ? .solo : .ordinary) }
        leases[lease] = nil
        return ids.count
    }

    /// Some of a lease's jobs, uncharged: it names them no longer.
    mutating func gaveBackSome(_ ids: [Int64], _ lease: Int64, finish: Bool) {
        guard let held = leases[lease] else { return refute("jobs of the lost lease \(lease) were given back") }
        for id in ids where jobs[id]?.place == .leased(lease) {
            jobs[id]?.place = .ready(held.isSolo ? .solo : .ordinary)
        }
        leases[lease]?.jobs.removeAll { ids.contains($0) }
        if finish { finished(lease) }
    }

    /// A lost worker's lease. Gives how many jobs were given back, and how many charged.
    mutating func rescued(_ lease: Int64) -> (given: Int, charged: Int) {
        guard leases[lease]?.isSolo == true else { return (gaveBack(lease, solo: true), 0) }
        var charged = 0
        for id in open(lease) {
            guard let job = jobs[id] else { continue }
            if isInCancelledArray(id) {
                jobs[id]?.place = .cancelled
                continue
            }
            charged += 1
            let isDead = job.attempt > job.last + 5
            _ = end(id, lease, isDead ? "dead" : "failed")
            jobs[id]?.place = isDead ? .dead : .deferred(.solo)
            if isDead { ended([id], .dead) } else { jobs[id]?.attempt += 1 }
        }
        leases[lease] = nil
        return (0, charged)
    }

    mutating func moved(_ id: Int64) {
        guard case .deferred(let lane) = jobs[id]?.place else {
            return refute("job \(id) became ready: \(describe(id))")
        }
        jobs[id]?.place = .ready(lane)
    }

    func describe(_ id: Int64) -> String {
        jobs[id].map {
            "\($0.place), attempt \($0.attempt) of \($0.last), \($0.items) items, \($0.outcomes), "
                + "\(effects[id] ?? 0) effects"
        } ?? "unknown"
    }
}

extension Queue.Job {
    /// As the model has it.
    var slice: Int64 { id * SimulationModel.width + Int64(first) }

    /// One for each item.
    var effects: [Int64] { (0..<Int64(max(1, itemCount))).map { slice + $0 } }
}
