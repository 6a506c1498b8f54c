/// The jobs of one lease, as its holder knows them.
///
/// Each job is *open*, *under way* in a transaction that settles, retries or buries it, or *closed* by one that
/// committed. The lease is deleted by the transaction that closes the last job (`finish`); when two such transactions
/// run side by side neither can know, and the lease is deleted later with the next claim.
struct LeaseState: Sendable {
    private enum JobState { case open, underway, closed }

    private var jobs: [Int64: JobState]
    private(set) var isFinished = false
    private(set) var isLost = false

    init(jobs: [Int64]) {
        self.jobs = Dictionary(jobs.map { ($0, .open) }) { first, _ in first }
    }

    /// Takes jobs under way. Returns whether the transaction is to finish the lease.
    mutating func begin(_ ids: [Int64]) throws(QueueError) -> Bool {
        if isLost { throw QueueError(.leaseLost, "the lease was taken over", doing: "settle") }
        for id in ids where jobs[id] != .open {
            throw QueueError(.notHeld, "job \(id) is not open under this lease", doing: "settle")
        }
        for id in ids { jobs[id] = .underway }
        return jobs.values.count { $0 != .closed } == ids.count
    }

    /// The transaction was rolled back.
    mutating func reopen(_ ids: [Int64]) {
        for id in ids { jobs[id] = .open }
    }

    /// The transaction committed. Returns whether the lease is now without open jobs and still has to be deleted.
    mutating func close(_ ids: [Int64], finished: Bool) -> Bool {
        for id in ids { jobs[id] = .closed }
        if finished { isFinished = true }
        guard !isFinished, jobs.values.allSatisfy({ $0 == .closed }) else { return false }
        isFinished = true
        return true
    }

    mutating func lose() {
        isLost = true
    }

    func isOpen(_ id: Int64) -> Bool {
        jobs[id] == .open
    }

    var hasOpenJobs: Bool { jobs.values.contains(.open) }
}
