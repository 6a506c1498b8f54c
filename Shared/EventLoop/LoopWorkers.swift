/// What the tasks of a `LoopWorkers` do.
public protocol LoopWork: AnyObject {
    /// There is something that nobody has taken up.
    var isReady: Bool { get }
    /// Something was put off until the next turn: the loop does not sleep then.
    var isPutOff: Bool { get }
    /// The loop has polled: what was put off is ready.
    func beginTurn()
    /// All that was ready has been done or waits for something; the loop is about to poll.
    func endTurn()
    /// Takes up one piece after the other until there is none left. Several tasks may be in it, each suspended by a
    /// piece of its own.
    nonisolated(nonsending) func work() async
}

/// Tasks of one loop that take up work as it comes.
///
/// One task does whatever is ready, piece after piece, for as long as no piece suspends it; when one does, the loop has
/// another task go on with the rest in the same turn. So there are never more tasks than pieces that wait for
/// something, work that never waits costs no switch of tasks, and what rests, a connection between two requests, holds
/// none at all.
///
/// Everything is called on the loop's thread.
public final class LoopWorkers {
    private let loop: EventLoop
    private let spawner: LoopWaiter
    private var work: (any LoopWork)?
    private var resting = RestingTasks()
    /// A task is on its way that has not begun yet.
    private var isSpawning = false
    private var isStopped = false

    /// Tasks that are kept for later; further ones end.
    private static let restingLimit = 64

    public init(on loop: EventLoop) {
        self.loop = loop
        spawner = LoopWaiter(on: loop)
    }

    /// Makes tasks as they are needed for `work`, until `stop` or cancellation; returns when all have ended.
    public nonisolated(nonsending) func run(_ work: any LoopWork) async {
        self.work = work
        loop.attach(self)
        await withDiscardingTaskGroup { group in
            while !isStopped, (try? await spawner.wait()) != nil, !isStopped {
                let workers = LoopBound(self, to: loop)
                group.addTask(executorPreference: loop) { await workers.value.serve() }
            }
            stop()
        }
        loop.detach(self)
        self.work = nil
    }

    /// No more work is taken up; tasks end when they have done what is ready.
    public func stop() {
        guard !isStopped else { return }
        isStopped = true
        spawner.wake()
        while resting.resumeLast() {}
    }

    private nonisolated(nonsending) func serve() async {
        isSpawning = false
        while !isStopped, let work {
            await work.work()
            guard !isStopped, resting.count < LoopWorkers.restingLimit else { return }
            await unsafe withUnsafeContinuation { continuation in
                unsafe resting.append(continuation)
            }
        }
    }
}

// MARK: - What the loop asks

extension LoopWorkers {
    /// Whether there is something to do before the loop may sleep.
    var isPending: Bool {
        guard !isStopped, let work else { return false }
        return work.isReady || work.isPutOff
    }

    /// A turn has polled.
    func beginTurn() { work?.beginTurn() }

    /// A turn is over.
    func endTurn() { work?.endTurn() }

    /// Makes a task ready that takes up what nobody has taken. False if there is nothing, or a new task is on its way.
    func resumeTask() -> Bool {
        guard !isSpawning, !isStopped, let work, work.isReady else { return false }
        if resting.resumeLast() { return true }
        isSpawning = true
        spawner.wake()
        return true
    }
}

/// Suspended tasks, the last of which goes on first.
@safe private struct RestingTasks {
    private var continuations: [UnsafeContinuation<Void, Never>] = unsafe []

    var count: Int { unsafe continuations.count }

    mutating func append(_ continuation: UnsafeContinuation<Void, Never>) {
        unsafe continuations.append(continuation)
    }

    mutating func resumeLast() -> Bool {
        guard let last = unsafe continuations.popLast() else { return false }
        unsafe last.resume()
        return true
    }
}
