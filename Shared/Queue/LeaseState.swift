/// The jobs of one lease, as its holder knows them.
///
/// Each job is *open*, *under way* in a transaction that settles, retries or buries it, or *closed* by one that
/// committed. The lease is deleted by the transaction that closes the last job (`finish`); when two such transactions
/// run side by side neither can know, and the lease is deleted later with the next claim.
///
/// A job that was *cancelled* has been ended by who cancelled it: no transaction may begin with it, and it counts as
/// closed once the handler has let go of it. When the lease has *expired* the handler may begin nothing any more.
struct LeaseState: Sendable {
    private enum JobState { case open, underway, closed }

    private var jobs: [Job.Key: JobState]
    private var cancelled: Set<Job.Key> = []
    private(set) var isFinished = false
    private(set) var isLost = false
    private(set) var isExpired = false

    init(jobs: [Job.Key]) {
        self.jobs = Dictionary(jobs.map { ($0, .open) }) { first, _ in first }
    }

    /// Takes jobs under way. Returns whether the transaction is to finish the lease.
    mutating func begin(_ keys: [Job.Key], byHandler: Bool) throws(QueueError) -> Bool {
        if isLost { throw QueueError(.leaseLost, "the lease was taken over", doing: "settle") }
        if byHandler, isExpired {
            throw QueueError(.timedOut, JobFailure.timedOut.message, doing: "settle")
        }
        for key in keys where cancelled.contains(key) {
            throw QueueError(.cancelled, "job \(key.job) was cancelled", doing: "settle")
        }
        for key in keys where jobs[key] != .open {
            throw QueueError(.notHeld, "job \(key.job) is not open under this lease", doing: "settle")
        }
        for key in keys { jobs[key] = .underway }
        return jobs.values.count { $0 != .closed } == keys.count
    }

    /// The transaction was rolled back.
    mutating func reopen(_ keys: [Job.Key]) {
        for key in keys where jobs[key] == .underway { jobs[key] = .open }
    }

    /// The transaction committed. Returns whether the lease is now without open jobs and still has to be deleted.
    mutating func close(_ keys: [Job.Key], finished: Bool) -> Bool {
        for key in keys { jobs[key] = .closed }
        if finished { isFinished = true }
        guard !isFinished, jobs.values.allSatisfy({ $0 == .closed }) else { return false }
        isFinished = true
        return true
    }

    mutating func lose() {
        isLost = true
    }

    mutating func expire() {
        isExpired = true
    }

    /// Marks the jobs as cancelled. Returns whether the handler has nothing left to do.
    mutating func cancel(_ keys: some Sequence<Job.Key>) -> Bool {
        for key in keys where jobs[key] != nil && jobs[key] != .closed { cancelled.insert(key) }
        return jobs.allSatisfy { $0.value == .closed || cancelled.contains($0.key) }
    }

    func isOpen(_ key: Job.Key) -> Bool {
        jobs[key] == .open
    }

    func isCancelled(_ key: Job.Key) -> Bool {
        cancelled.contains(key)
    }
}
