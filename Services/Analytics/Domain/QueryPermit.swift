import Observability
import Synchronization

/// The right to run one query; given back with its last reference.
final class QueryPermit: Sendable {
    let workspaceID: Int64
    private let gate: QueryGate

    fileprivate init(_ workspaceID: Int64, _ gate: QueryGate) {
        self.workspaceID = workspaceID
        self.gate = gate
    }

    deinit { gate.leave(workspaceID) }
}

/// The workspace has as many queries running and waiting as it may, here or in all processes.
struct TooManyQueries: Error {}

/// Lets queries in as ``QuerySlots`` says.
final class QueryGate: Sendable {
    private struct Guarded {
        var slots: QuerySlots
        var waiting: [Int: CheckedContinuation<Bool, Never>] = [:]
        /// Let in before they had begun to wait.
        var early: Set<Int> = []
    }

    private let guarded: Mutex<Guarded>

    init(_ limits: QuerySlots.Limits) {
        guarded = Mutex(Guarded(slots: QuerySlots(limits)))
    }

    /// Shows how many queries run and how many wait.
    func show(in registry: MetricsRegistry) {
        registry.gauge("millrace_queries_running", help: "Users' queries and profiles under way.") {
            Double(self.guarded.withLock { $0.slots.total })
        }
        registry.gauge("millrace_queries_waiting", help: "Users' queries and profiles that wait for a slot.") {
            Double(self.guarded.withLock { $0.slots.waitingCount })
        }
    }

    /// Waits for a slot, at most as long as `patience`. Errors: `TooManyQueries`, `CancellationError`.
    func enter(_ workspaceID: Int64, patience: Duration) async throws -> QueryPermit {
        switch guarded.withLock({ $0.slots.enter(workspaceID) }) {
        case .run: return QueryPermit(workspaceID, self)
        case .refuse: throw TooManyQueries()
        case .wait(let id):
            let isIn = await withTaskGroup(of: Bool?.self) { group in
                group.addTask { await self.turn(id) }
                group.addTask {
                    try? await Task.sleep(for: patience)
                    return nil
                }
                let first = await group.next() ?? nil
                group.cancelAll()
                var isIn = first ?? false
                // The turn may come while the patience ends.
                for await other in group { isIn = isIn || other == true }
                return isIn
            }
            guard isIn else {
                try Task.checkCancellation()
                throw TooManyQueries()
            }
            return QueryPermit(workspaceID, self)
        }
    }

    fileprivate func leave(_ workspaceID: Int64) {
        let next: CheckedContinuation<Bool, Never>? = guarded.withLock { guarded in
            guard let id = guarded.slots.leave(workspaceID) else { return nil }
            if let waiter = guarded.waiting.removeValue(forKey: id) { return waiter }
            guarded.early.insert(id)
            return nil
        }
        next?.resume(returning: true)
    }

    /// True when it is the waiter's turn; false when the task was cancelled before.
    private func turn(_ id: Int) async -> Bool {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let outcome: Bool? = guarded.withLock { guarded in
                    if guarded.early.remove(id) != nil { return true }
                    if Task.isCancelled { return !guarded.slots.giveUp(id) }
                    guarded.waiting[id] = continuation
                    return nil
                }
                if let outcome { continuation.resume(returning: outcome) }
            }
        } onCancel: {
            let waiter: CheckedContinuation<Bool, Never>? = guarded.withLock { guarded in
                guard let waiter = guarded.waiting.removeValue(forKey: id), guarded.slots.giveUp(id) else { return nil }
                return waiter
            }
            waiter?.resume(returning: false)
        }
    }
}
