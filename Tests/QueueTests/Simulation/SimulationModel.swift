/// What the queue must hold: the committed state of every job of a history, and of the leases and workers.
struct SimulationModel: Sendable {
    enum Place: Equatable, Sendable {
        case ready(solo: Bool)
        case deferred(solo: Bool)
        case leased(Int64)
        case succeeded
        case cancelled
        case dead
    }

    struct Job: Sendable {
        var place: Place
        var attempt: Int16 = 1
        var last: Int16
        let priority: Int16
        let allowance: Int16
        /// How each attempt ended, by attempt.
        var outcomes: [Int16: String] = [:]
        var effects = 0
    }

    struct Lease: Sendable {
        let worker: Int64
        let isSolo: Bool
        let jobs: [Int64]
    }

    /// What a change was found to contradict. The first one ends the history.
    private(set) var violation: String?
    private(set) var jobs: [Int64: Job] = [:]
    private(set) var leases: [Int64: Lease] = [:]
    /// Registered workers, and whether they were declared lost.
    var workers: [Int64: Bool] = [:]
    var isPaused = false

    mutating func refute(_ text: String) {
        if violation == nil { violation = text }
    }

    mutating func enqueued(_ id: Int64, priority: Int16, isDelayed: Bool, allowance: Int16) {
        if jobs[id] != nil { refute("job \(id) was enqueued twice") }
        jobs[id] = Job(
            place: isDelayed ? .deferred(solo: false) : .ready(solo: false), last: allowance, priority: priority,
            allowance: allowance)
    }

    mutating func claimed(
        _ lease: Int64, _ worker: Int64, solo: Bool, _ found: [(id: Int64, attempt: Int16, last: Int16)]
    ) {
        leases[lease] = Lease(worker: worker, isSolo: solo, jobs: found.map(\.id))
        for (id, attempt, last) in found {
            guard let job = jobs[id], job.place == .ready(solo: solo), job.attempt == attempt, job.last == last else {
                refute("job \(id) was claimed by lease \(lease) (solo \(solo), attempt \(attempt)): \(describe(id))")
                continue
            }
            jobs[id]?.place = .leased(lease)
        }
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

    mutating func settled(_ ids: [Int64], _ lease: Int64, finish: Bool) {
        for id in ids where end(id, lease, "succeeded") {
            jobs[id]?.place = .succeeded
            jobs[id]?.effects += 1
        }
        if finish { finished(lease) }
    }

    mutating func retried(_ ids: [Int64], _ lease: Int64, finish: Bool) {
        for id in ids where end(id, lease, "failed") {
            jobs[id]?.place = .deferred(solo: false)
            jobs[id]?.attempt += 1
        }
        if finish { finished(lease) }
    }

    mutating func buried(_ id: Int64, _ lease: Int64, finish: Bool) {
        if end(id, lease, "dead") { jobs[id]?.place = .dead }
        if finish { finished(lease) }
    }

    /// A lease is deleted by its holder: none of its jobs may be open.
    mutating func finished(_ lease: Int64) {
        for id in open(lease) { refute("lease \(lease) was finished with job \(id) open") }
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
        for id in ids { jobs[id]?.place = .ready(solo: isSolo) }
        leases[lease] = nil
        return ids.count
    }

    /// A lost worker's lease. Gives how many jobs were given back, and how many charged.
    mutating func rescued(_ lease: Int64) -> (given: Int, charged: Int) {
        guard leases[lease]?.isSolo == true else { return (gaveBack(lease, solo: true), 0) }
        let ids = open(lease)
        for id in ids {
            guard let job = jobs[id] else { continue }
            let isDead = job.attempt > job.last + 5
            _ = end(id, lease, isDead ? "dead" : "failed")
            jobs[id]?.place = isDead ? .dead : .deferred(solo: true)
            if !isDead { jobs[id]?.attempt += 1 }
        }
        leases[lease] = nil
        return (0, ids.count)
    }

    mutating func moved(_ id: Int64) {
        guard case .deferred(let solo) = jobs[id]?.place else {
            return refute("job \(id) became ready: \(describe(id))")
        }
        jobs[id]?.place = .ready(solo: solo)
    }

    mutating func cancelled(_ id: Int64) {
        guard let job = jobs[id] else { return refute("unknown job \(id) was cancelled") }
        jobs[id]?.outcomes[job.attempt + (job.place == .dead ? 1 : 0)] = "cancelled"
        jobs[id]?.place = .cancelled
    }

    mutating func redriven(_ id: Int64) {
        guard let job = jobs[id], job.place == .dead else { return refute("job \(id) was redriven: \(describe(id))") }
        jobs[id]?.place = .ready(solo: false)
        jobs[id]?.last = job.attempt + job.allowance
        jobs[id]?.attempt += 1
    }

    func describe(_ id: Int64) -> String {
        jobs[id].map { "\($0.place), attempt \($0.attempt) of \($0.last), \($0.outcomes), \($0.effects) effects" }
            ?? "unknown"
    }
}
