import Observability

/// What other threads, and cancellation handlers, ask of a loop.
@safe enum Command {
    case job(UnownedJob)
    case call(@Sendable () -> Void)
    case cancelSleep(TimerID)
    case cancelWait(DescriptorKey, Direction, ticket: UInt32)
    case stop
}

/// The part of a loop that other threads touch, under its lock.
///
/// `asleep`: the loop is in `epoll_wait` or about to enter it, and has seen an empty inbox under the lock; whoever
/// appends then must signal the eventfd. When it is false the loop will look into the inbox before it sleeps, so
/// nobody needs to wake it. Thus no wake-up is lost and a busy loop costs no system calls.
struct Inbox {
    private var commands: [Command] = []
    private var asleep = false
    private var stopped = false

    enum Decision {
        /// Nothing to do: `epoll_wait` may block.
        case sleep
        /// There is work: `epoll_wait` must not block.
        case proceed
        /// The loop was asked to stop and everything has run; later commands are refused.
        case stopped
    }

    mutating func append(_ command: Command) -> (wake: Bool, stopped: Bool) {
        guard !stopped else { return (false, true) }
        commands.append(command)
        let wake = asleep
        asleep = false
        return (wake, false)
    }

    /// Moves the commands out and decides whether the loop may sleep. `taken` is empty.
    mutating func take(into taken: inout [Command], idle: Bool, stopping: Bool) -> Decision {
        swap(&commands, &taken)
        guard idle && taken.isEmpty else { return .proceed }
        if stopping {
            stopped = true
            return .stopped
        }
        asleep = true
        return .sleep
    }

    /// Moves out what arrived during the sleep. `taken` is empty.
    mutating func wake(into taken: inout [Command]) {
        asleep = false
        swap(&commands, &taken)
    }
}

/// The part of a loop that only its thread touches.
final class LoopState {
    var ready: [UnownedJob] = []
    var running: [UnownedJob] = []
    var commands: [Command] = []
    var timers = TimerHeap<TimerPayload>()
    var slots: [DescriptorSlot] = []
    var freeSlots: [UInt32] = []
    var workers: [LoopWorkers] = []
    var now = LoopTime.now
    var stopping = false
    /// Nil where nobody wants to know.
    var watch: LoopWatch?
    /// How long turns take, from their poll to their end; nil where nobody wants to know.
    var lag: Histogram?

    /// Nothing is to be done before something happens.
    var isIdle: Bool { ready.isEmpty && !workers.contains { $0.isPending } }

    /// Milliseconds until the next timer, rounded up so that it does not fire early; -1 without timers.
    func timeout() -> CInt {
        guard let deadline = timers.nextDeadline else { return -1 }
        guard deadline != .never else { return -1 }
        let nanoseconds = (deadline - .now).nanoseconds
        return nanoseconds <= 0 ? 0 : CInt(clamping: (nanoseconds - 1) / 1_000_000 + 1)
    }
}

/// What a timer of a loop does when it fires.
@safe enum TimerPayload {
    case sleep(UnsafeContinuation<WaitOutcome, Never>)
    case descriptor(DescriptorKey)
}

/// Counts of a loop since its start.
public struct EventLoopStatistics: Hashable, Sendable {
    /// Returns of `epoll_wait`.
    public var polls: Int
    /// Times another thread had to wake the loop.
    public var wakeups: Int
    /// Pieces of tasks run.
    public var jobs: Int
}
