/// Where a fetcher looks for jobs, for each priority from 2 down to -2.
///
/// `low`: everything at or below is gone for good, by the seal (`queue.advance`). `fast` >= `low`: everything at or
/// below was looked at by this worker. What lies between was claimed by somebody, or commits late, or was rolled back:
/// that tail is swept when the queue looks empty and at least every `sweepInterval` otherwise. A sweep that takes
/// longer than `cheapSweep` (a long writing transaction holds the seal) is rationed to a twentieth of the time.
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

    mutating func claimed(
        _ jobs: [Job], solo isSolo: Bool, swept: Bool, began: ContinuousClock.Instant, ended: ContinuousClock.Instant
    ) {
        if !isSolo {
            for job in jobs {
                let index = Int(2 - job.priority)
                ordinary.fast[index] = max(ordinary.fast[index], job.position)
            }
        }
        guard swept else { return }
        noteSweep(began: began, ended: ended)
    }

    /// Whether the tail is to be looked at again although the queue is not empty.
    func sweepIsDue(at now: ContinuousClock.Instant) -> Bool {
        maySweep(at: now) && now - sweptAt >= Self.sweepInterval
    }

    /// A claim by flows says nothing of the order of all, but when it swept it counts as a sweep.
    mutating func claimedByFlows(swept: Bool, began: ContinuousClock.Instant, ended: ContinuousClock.Instant) {
        guard swept else { return }
        noteSweep(began: began, ended: ended)
    }

    mutating func advanced(_ row: AdvanceStatement.Row) {
        ordinary.raise(to: row.low)
        solo.raise(to: row.soloLow)
        gateLow = max(gateLow, row.gateLow)
    }

    private mutating func noteSweep(began: ContinuousClock.Instant, ended: ContinuousClock.Instant) {
        let took = ended - began
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
