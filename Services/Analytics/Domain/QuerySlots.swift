/// Who may run a query now: so many of a workspace, so many in all, and a bounded number that wait their turn.
///
/// A waiter is let in when a slot of its workspace or of all becomes free, the longest waiting of all first.
struct QuerySlots: Sendable {
    struct Limits: Sendable {
        var perWorkspace: Int
        var total: Int
        var waiting: Int
    }

    enum Answer: Equatable, Sendable {
        case run
        case wait(Int)
        case refuse
    }

    private struct Waiter {
        let id: Int
        let workspace: Int64
    }

    private let limits: Limits
    private var running: [Int64: Int] = [:]
    private(set) var total = 0
    private var waiters: [Waiter] = []
    private var nextID = 0
    var waitingCount: Int { waiters.count }

    init(_ limits: Limits) {
        self.limits = limits
    }

    /// A query comes. `wait` has an id that `leave` later answers with, or that `giveUp` takes back.
    mutating func enter(_ workspace: Int64) -> Answer {
        if hasRoom(workspace) {
            take(workspace)
            return .run
        }
        guard waiters.count(where: { $0.workspace == workspace }) < limits.waiting else { return .refuse }
        nextID += 1
        waiters.append(Waiter(id: nextID, workspace: workspace))
        return .wait(nextID)
    }

    /// A query has ended. Gives the waiter that runs now, if one does: its slot is taken.
    mutating func leave(_ workspace: Int64) -> Int? {
        total -= 1
        let left = (running[workspace] ?? 1) - 1
        running[workspace] = left == 0 ? nil : left
        guard let index = waiters.firstIndex(where: { hasRoom($0.workspace) }) else { return nil }
        let waiter = waiters.remove(at: index)
        take(waiter.workspace)
        return waiter.id
    }

    /// A waiter has lost patience; false if it was let in before.
    mutating func giveUp(_ id: Int) -> Bool {
        guard let index = waiters.firstIndex(where: { $0.id == id }) else { return false }
        waiters.remove(at: index)
        return true
    }

    private func hasRoom(_ workspace: Int64) -> Bool {
        total < limits.total && running[workspace, default: 0] < limits.perWorkspace
    }

    private mutating func take(_ workspace: Int64) {
        total += 1
        running[workspace, default: 0] += 1
    }
}
