import EventLoop
import Synchronization

/// Calls on files, off the event loops, so many at a time; the others wait in order. Who waits is a request, so that as
/// many wait as there may be connections, at most.
final class FileReads: Sendable {
    private struct State {
        var running = 0
        var waiting: [@Sendable () -> Void] = []
    }

    private let limit: Int
    private let state = Mutex(State())

    /// - Parameter limit: at least one.
    init(limit: Int) {
        precondition(limit > 0, "no call could ever run")
        self.limit = limit
    }

    nonisolated(nonsending) func run<T: Sendable>(
        _ body: @escaping @Sendable () throws(StaticFilesError) -> T
    ) async throws(StaticFilesError) -> T {
        let result = await withCheckedContinuation { continuation in
            submit { continuation.resume(returning: Result(catching: body)) }
        }
        return try result.get()
    }

    private func submit(_ call: @escaping @Sendable () -> Void) {
        let starts = state.withLock { state in
            guard state.running < limit else {
                state.waiting.append(call)
                return false
            }
            state.running += 1
            return true
        }
        if starts { BlockingCalls.start { self.work(call) } }
    }

    /// Makes the call, and then those that wait, until none does.
    private func work(_ first: @Sendable () -> Void) {
        first()
        while let next = next() { next() }
    }

    private func next() -> (@Sendable () -> Void)? {
        state.withLock { state in
            if !state.waiting.isEmpty { return state.waiting.removeFirst() }
            state.running -= 1
            return nil
        }
    }
}
