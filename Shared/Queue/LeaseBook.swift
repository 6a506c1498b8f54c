import Synchronization

/// The leases that a worker knows it holds. The fetcher adds, handlers take out.
final class LeaseBook: Sendable {
    private struct State {
        var held: [Int64: LeaseCore] = [:]
        var done: [Int64] = []
        var isLost = false
    }

    private let state = Mutex(State())

    func add(_ lease: LeaseCore) {
        state.withLock { $0.held[lease.id] = lease }
    }

    func remove(_ lease: LeaseCore) {
        state.withLock { $0.held[lease.id] = nil }
    }

    /// A lease without open jobs that still has to be deleted.
    func addDone(_ id: Int64) {
        state.withLock { $0.done.append(id) }
    }

    /// Takes out the leases to be deleted with the next claim; `restore` puts them back if it fails.
    func takeDone() -> [Int64] {
        state.withLock { state in
            defer { state.done = [] }
            return state.done
        }
    }

    func restore(done: [Int64]) {
        state.withLock { $0.done += done }
    }

    var held: [Int64] {
        state.withLock { Array($0.held.keys) + $0.done }
    }

    var isLost: Bool { state.withLock(\.isLost) }

    /// A job that may be under one of the leases was cancelled.
    func cancel(_ job: Int64) {
        for lease in state.withLock({ Array($0.held.values) }) { lease.cancel(job) }
    }

    /// The worker was declared lost: none of its leases can commit any more.
    func lose() {
        let leases = state.withLock { state in
            state.isLost = true
            return Array(state.held.values)
        }
        for lease in leases { lease.lose() }
    }
}
