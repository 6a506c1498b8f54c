import EventLoop
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
        /// The same, for a task on a loop.
        case resting(LoopBound<LoopWaiter>)
    }

    private let state = Mutex(State.idle)

    func raise() {
        let waiting: State = state.withLock { state in
            switch state {
            case .waiting, .resting:
                defer { state = .idle }
                return state
            case .idle, .raised:
                state = .raised
                return .raised
            }
        }
        switch waiting {
        case .waiting(let continuation): continuation.resume()
        case .resting(let waiter) where waiter.loop.isCurrent: waiter.value.wake()
        case .resting(let waiter): waiter.loop.submit { waiter.value.wake() }
        case .idle, .raised: break
        }
    }

    /// Returns when the flag is raised, at the deadline, or when the task is cancelled.
    func wait(until deadline: ContinuousClock.Instant?) async {
        if let loop = EventLoop.current { return await rest(on: loop, until: deadline) }
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

    /// By the loop's own timer, without another task.
    private func rest(on loop: EventLoop, until deadline: ContinuousClock.Instant?) async {
        let waiter = LoopBound(LoopWaiter(on: loop), to: loop)
        let isRaised = state.withLock { state in
            if case .raised = state {
                state = .idle
                return true
            }
            state = .resting(waiter)
            return false
        }
        if isRaised { return }
        try? await waiter.value.wait(until: deadline.map { LoopTime($0) } ?? .never)
        state.withLock { if case .resting = $0 { $0 = .idle } }
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
