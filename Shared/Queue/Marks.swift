/// Where a fetcher looks for jobs, for each priority from 2 down to -2.
///
/// `low`: everything at or below is gone for good, by the seal (`queue.advance`). `fast` >= `low`: everything at or
/// below was looked at by this worker. What lies between was claimed by somebody, or commits late, or was rolled back:
/// that tail is swept when the queue looks empty and at least every `sweepInterval` otherwise. A sweep that takes
/// longer than `cheapSweep`, and more than what it found costs (a long writing transaction holds the seal), is rationed
/// to a twentieth of the time. One that fills its claim has found what committed late in bulk: `fast` goes back to
/// where it got to, and the next claims go on from there.
struct Marks: Sendable {
    struct Bounds: Sendable, Equatable {
        var low: [Int64]
        var fast: [Int64]

        static let zero = Bounds(low: .init(repeating: 0, count: 5), fast: .init(repeating: 0, count: 5))
    }

    /// The jobs of one workspace at one priority, and up to where the worker has looked for them.
    struct Flow: Sendable, Equatable {
        let flow: Int64
        let workspace: Int64
        let low: Int64
        var fast: Int64
    }

    static let sweepInterval: Duration = .seconds(1)
    static let cheapSweep: Duration = .milliseconds(5)
    /// What claiming a job costs on a slow machine.
    static let jobCost: Duration = .microseconds(50)

    private(set) var ordinary = Bounds.zero
    private(set) var solo = Bounds.zero
    private(set) var gateLow: Int64 = 0
    private(set) var sweepAllowedAt: ContinuousClock.Instant
    private var sweptAt: ContinuousClock.Instant

    init(now: ContinuousClock.Instant) {
        sweepAllowedAt = now
        sweptAt = now
    }

    func maySweep(at now: ContinuousClock.Instant) -> Bool {
        now >= sweepAllowedAt
    }

    /// The bounds for the next claim. When a sweep is overdue it starts from the low marks, so that a queue that is
    /// never empty does not hide what commits late.
    func bounds(solo isSolo: Bool, at now: ContinuousClock.Instant) -> Bounds {
        var bounds = isSolo ? solo : ordinary
        if isSolo || sweepIsDue(at: now) { bounds.fast = bounds.low }
        return bounds
    }

    /// Of a claim of up to `limit` jobs from `bounds` on. `swept`: what is new was claimed first, then the tail.
    mutating func claimed(
        _ jobs: [Job], limit: Int, from bounds: Bounds, solo isSolo: Bool, swept: Bool,
        began: ContinuousClock.Instant, ended: ContinuousClock.Instant
    ) {
        if !isSolo {
            let before = ordinary.fast
            for job in jobs {
                let index = Int(2 - job.priority)
                ordinary.fast[index] = max(ordinary.fast[index], job.position)
            }
            if swept, jobs.count >= limit { goBack(jobs, from: bounds, before: before) }
        }
        guard swept else { return }
        noteSweep(jobs: jobs.count, began: began, ended: ended)
    }

    /// Of the tail everything was looked at up to the last job found there. A sweep from the low marks on has come to
    /// nothing new; else what is above `before` is new and was claimed first.
    private mutating func goBack(_ jobs: [Job], from bounds: Bounds, before: [Int64]) {
        let isOverdue = bounds.fast == bounds.low
        let tail = jobs.filter { isOverdue || $0.position <= before[Int(2 - $0.priority)] }
        guard let reached = tail.map(\.priority).min() else { return }
        ordinary.fast[Int(2 - reached)] = tail.lazy.filter { $0.priority == reached }.map(\.position).max() ?? 0
    }

    /// Whether the tail is to be looked at again although the queue is not empty.
    func sweepIsDue(at now: ContinuousClock.Instant) -> Bool {
        maySweep(at: now) && now - sweptAt >= Self.sweepInterval
    }

    /// A claim by flows says nothing of the order of all, but when it swept it counts as a sweep.
    mutating func claimedByFlows(
        _ jobs: Int, swept: Bool, began: ContinuousClock.Instant, ended: ContinuousClock.Instant
    ) {
        guard swept else { return }
        noteSweep(jobs: jobs, began: began, ended: ended)
    }

    mutating func advanced(_ row: AdvanceStatement.Row) {
        ordinary.raise(to: row.low)
        solo.raise(to: row.soloLow)
        gateLow = max(gateLow, row.gateLow)
    }

    private mutating func noteSweep(jobs: Int, began: ContinuousClock.Instant, ended: ContinuousClock.Instant) {
        let took = max(.zero, ended - began - Self.jobCost * jobs)
        sweptAt = ended
        sweepAllowedAt = took > Self.cheapSweep ? ended + took * 20 : ended
    }
}

extension Marks.Bounds {
    mutating func raise(to marks: [Int64]) {
        for index in low.indices where index < marks.count {
            low[index] = max(low[index], marks[index])
            fast[index] = max(fast[index], low[index])
        }
    }
}
