import Synchronization

/// A flag that one task waits for and any may raise. Raised while nobody waits, it is found by the next wait.
final class WakeSignal: Sendable {
    private enum State {
        /// Nobody waits; the flag is down.
        case idle
        /// Nobody waits; the flag is up. The next wait takes it down and returns.
        case raised
        /// One task waits.
        case waiting(CheckedContinuation<Void, Never>)
    }

    private let state = Mutex(State.idle)

    func raise() {
        let waiter: CheckedContinuation<Void, Never>? = state.withLock { state in
            if case .waiting(let continuation) = state {
                state = .idle
                return continuation
            }
            state = .raised
            return nil
        }
        waiter?.resume()
    }

    /// Returns when the flag is raised, at the deadline, or when the task is cancelled.
    func wait(until deadline: ContinuousClock.Instant?) async {
        if take() { return }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.raised() }
            if let deadline {
                group.addTask { try? await ContinuousClock().sleep(until: deadline) }
            }
            await group.next()
            group.cancelAll()
        }
    }

    private func take() -> Bool {
        state.withLock { state in
            guard case .raised = state else { return false }
            state = .idle
            return true
        }
    }

    private func raised() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isReady = state.withLock { state in
                    if case .raised = state {
                        state = .idle
                        return true
                    }
                    if Task.isCancelled { return true }
                    state = .waiting(continuation)
                    return false
                }
                if isReady { continuation.resume() }
            }
        } onCancel: {
            let waiter: CheckedContinuation<Void, Never>? = state.withLock { state in
                guard case .waiting(let continuation) = state else { return nil }
                state = .idle
                return continuation
            }
            waiter?.resume()
        }
    }
}
