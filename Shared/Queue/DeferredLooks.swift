/// How far back the leader looks for jobs that are due: the further, the rarer.
///
/// What was moved leaves dead index entries, which nothing takes away while a snapshot is held, and each look reads
/// those behind its mark. But what a slow transaction defers, or one on a clock that was set back, may be due before it
/// is visible, so the mark alone would miss it.
struct DeferredLooks: Sendable {
    private struct Level: Sendable {
        /// How long before the last move it begins; nil for all there is.
        let back: Duration?
        /// From the end of one to the next, or a hundred times what it took, where that is longer.
        let every: Duration
        var dueAt: ContinuousClock.Instant?
    }

    /// What was moved last is looked at each time, from so long before it.
    private static let shortest: Duration = .seconds(1)

    private var levels = [
        Level(back: nil, every: .seconds(10)), Level(back: .seconds(10), every: .seconds(1)),
    ]
    /// Until when all was moved, microseconds since 2000; nil before the first move.
    private var mark: Int64?
    /// The level of the look that is under way.
    private var current: Int?

    /// Begins a look: jobs due after this are looked at, microseconds since 2000. One that does not end is begun again.
    mutating func after(at now: ContinuousClock.Instant) -> Int64 {
        current = levels.firstIndex { $0.dueAt.map { now >= $0 } ?? true }
        guard let mark, let back = current.map({ levels[$0].back }) ?? Self.shortest else { return .min }
        return mark - Int64(back.seconds * 1e6)
    }

    /// The look has come to its end. It stands for the rarer ones' less deep ones too.
    mutating func looked(at now: ContinuousClock.Instant, took: Duration) {
        guard let current else { return }
        for place in levels.indices[current...] {
            let cost = place == current ? took * 100 : .zero
            levels[place].dueAt = now + max(levels[place].every, cost)
        }
    }

    mutating func moved(upTo now: Int64) {
        mark = now
    }
}
