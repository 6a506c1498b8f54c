private import CLinux

/// Names one registration of a descriptor with one loop. It travels through epoll as 64 bits; an event, a cancellation
/// or a timer that arrives after the registration has gone finds another generation and is dropped.
struct DescriptorKey: Hashable, Sendable {
    let index: UInt32
    let generation: UInt32

    /// The loop's own eventfd; no slot has generation 0.
    static let wakeup = DescriptorKey(index: 0, generation: 0)

    var raw: UInt64 { UInt64(generation) << 32 | UInt64(index) }

    init(index: UInt32, generation: UInt32) {
        self.index = index
        self.generation = generation
    }

    init(raw: UInt64) {
        self.init(index: UInt32(truncatingIfNeeded: raw), generation: UInt32(truncatingIfNeeded: raw >> 32))
    }
}

/// What a wait ended with.
enum WaitOutcome: Sendable {
    case ready, timedOut, cancelled, closed
}

/// Reading or writing: each has at most one waiter.
enum Direction: Sendable {
    case read, write
}

/// Who waits for one direction of a descriptor.
@safe enum DirectionWaiter {
    case nobody
    case task(UnsafeContinuation<WaitOutcome, Never>)
    case watcher(any DescriptorWatcher)
}

/// One direction of a registered descriptor.
///
/// - `ready`: an event arrived while nobody waited; the next wait returns at once and clears it.
/// - `waiter` set: a task or a watcher waits; exactly one of event, deadline, cancellation and close resumes or tells
///   it, and clears it.
struct DirectionState {
    var ready = false
    var ticket: UInt32 = 0
    var deadline = LoopTime.never
    var waiter = DirectionWaiter.nobody

    var isWaitedFor: Bool {
        if case .nobody = waiter { false } else { true }
    }

    mutating func prepare(_ deadline: LoopTime, isOver: Bool) -> UInt32? {
        precondition(!isWaitedFor, "two tasks wait for the same direction")
        if ready || isOver {
            ready = false
            return nil
        }
        ticket &+= 1
        self.deadline = deadline
        return ticket
    }

    mutating func finish(_ outcome: WaitOutcome) {
        guard isWaitedFor else { return }
        var finished = DirectionWaiter.nobody
        swap(&finished, &waiter)
        deadline = .never
        switch finished {
        case .nobody: break
        case .task(let continuation): unsafe continuation.resume(returning: outcome)
        case .watcher(let watcher):
            switch outcome {
            case .ready: watcher.descriptorIsReady()
            case .timedOut: watcher.descriptorTimedOut()
            case .cancelled, .closed: break
            }
        }
    }

    /// An event for this direction. `keep`: remember it if nobody waits.
    mutating func signal(keep: Bool) {
        if isWaitedFor {
            finish(.ready)
        } else if keep {
            ready = true
        }
    }

    mutating func expire(now: LoopTime) {
        if deadline <= now { finish(.timedOut) }
    }
}

/// A registered descriptor's state.
struct DescriptorSlot {
    var generation: UInt32 = 1
    var fd: CInt = -1
    var trigger = PolledDescriptor.Trigger.level
    var read = DirectionState()
    var write = DirectionState()
    /// The peer has ended (`ended`) or the descriptor has failed (`failed`, both directions): edge-triggered epoll
    /// will not say so again, so waits return at once from then on and the caller's next system call tells which.
    var ended = false
    var failed = false
    /// One timer serves both directions; it may fire earlier than needed, since a wait that ends leaves it to the
    /// next one, and is then armed again.
    var timer: TimerID?
    var timerDeadline = LoopTime.never

    init(generation: UInt32 = 1) {
        self.generation = generation == 0 ? 1 : generation
    }

    subscript(direction: Direction) -> DirectionState {
        get { direction == .read ? read : write }
        set {
            if direction == .read { read = newValue } else { write = newValue }
        }
    }

    var earliestDeadline: LoopTime { min(read.deadline, write.deadline) }

    /// Nil if there is nothing to wait for; else the direction's new ticket, with the deadline set.
    mutating func prepare(_ direction: Direction, _ deadline: LoopTime) -> UInt32? {
        switch direction {
        case .read: read.prepare(deadline, isOver: failed || ended)
        case .write: write.prepare(deadline, isOver: failed)
        }
    }

    /// The epoll interest of a level-triggered descriptor: just what is waited for.
    func interest(adding direction: Direction) -> UInt32 {
        var interest = 0
        if direction == .read || read.isWaitedFor { interest |= CLINUX_EPOLL_IN | CLINUX_EPOLL_RDHUP }
        if direction == .write || write.isWaitedFor { interest |= CLINUX_EPOLL_OUT }
        return UInt32(interest)
    }

    mutating func receive(_ events: UInt32) {
        let events = Int(events)
        let level = trigger == .level
        let broken = events & (CLINUX_EPOLL_ERR | CLINUX_EPOLL_HUP) != 0
        if !level {
            if broken { failed = true }
            if events & CLINUX_EPOLL_RDHUP != 0 { ended = true }
        }
        if broken || events & (CLINUX_EPOLL_IN | CLINUX_EPOLL_RDHUP) != 0 { read.signal(keep: !level) }
        if broken || events & CLINUX_EPOLL_OUT != 0 { write.signal(keep: !level) }
    }

    mutating func expire(now: LoopTime) {
        read.expire(now: now)
        write.expire(now: now)
    }
}
