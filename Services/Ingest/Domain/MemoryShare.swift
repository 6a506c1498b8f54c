import Synchronization

/// Shares the memory for large requests' bodies: each that is being read may hold an equal part of the budget, as far
/// as the others leave it.
///
/// The part shrinks as requests come and grows as they go; a request that holds more lands what it has. Those that
/// came first may still hold more than an equal part: later ones get what is free, or ``smallestPart``. So the sum is
/// about the budget, beside ``smallestPart`` and a piece of its body for each request.
final class MemoryShare: Sendable {
    /// A part is never smaller, in bytes.
    static let smallestPart = 64 << 10
    /// Nor larger: one batch is one unit of work.
    static let largestPart = 4 << 20

    private let budget: Int
    private let maxRequests: Int
    private let active = Atomic<Int>(0)
    /// What the requests hold, in bytes, as far as they say so.
    private let held = Atomic<Int>(0)

    init(budget: Int, maxRequests: Int) {
        self.budget = budget
        self.maxRequests = maxRequests
    }

    /// Bytes that a request may hold now which holds `own`.
    func part(holding own: Int) -> Int {
        let share = budget / max(1, active.load(ordering: .relaxed))
        let free = budget - (held.load(ordering: .relaxed) - own)
        return min(max(min(share, free), Self.smallestPart), Self.largestPart)
    }

    /// Says how much a request holds, in bytes, and how much it said before.
    func hold(_ bytes: Int, insteadOf before: Int) {
        held.add(bytes - before, ordering: .relaxed)
    }

    /// Counts a large request in; false when too many are being read.
    func enter() -> Bool {
        let (before, _) = active.add(1, ordering: .relaxed)
        if before < maxRequests { return true }
        active.subtract(1, ordering: .relaxed)
        return false
    }

    /// Counts a request out, which said that it held `bytes`.
    func leave(holding bytes: Int) {
        held.subtract(bytes, ordering: .relaxed)
        active.subtract(1, ordering: .relaxed)
    }
}
