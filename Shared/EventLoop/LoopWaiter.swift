/// A wait of one task on its loop, which another one on that loop ends.
///
/// A `wake` that comes while nobody waits is remembered for the next wait; two count as one. So the waiter looks at
/// what it waits for first, and again after each wait. Everything is called on the loop's thread.
public final class LoopWaiter {
    private let loop: EventLoop
    private var sleep: TimerID?
    private var isWoken = false

    public init(on loop: EventLoop) {
        self.loop = loop
    }

    /// Waits for `wake`. Errors: `.timedOut` at the deadline, `.cancelled` when the task is.
    public nonisolated(nonsending) func wait(until deadline: LoopTime = .never) async throws(EventLoopError) {
        precondition(loop.isCurrent, "a waiter is used on its loop's thread")
        precondition(sleep == nil, "two tasks wait for the same thing")
        if isWoken {
            isWoken = false
            return
        }
        let id = loop.insertSleep(until: deadline)
        sleep = id
        let outcome = await loop.sleepUntilResumed(id)
        sleep = nil
        switch outcome {
        case .ready: return
        case .timedOut: throw .timedOut
        case .cancelled: throw .cancelled
        case .closed: throw .closed
        }
    }

    public func wake() {
        precondition(loop.isCurrent, "a waiter is used on its loop's thread")
        // One whose time has come or that was cancelled is on its way already; the wake is kept for its next wait.
        guard let sleep, loop.endSleep(sleep, .ready) else {
            isWoken = true
            return
        }
        self.sleep = nil
    }
}
