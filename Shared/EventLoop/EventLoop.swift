private import CLinux
import Observability
private import Synchronization

/// One thread with one epoll instance, on which Swift tasks run: a `TaskExecutor`.
///
/// A task that prefers a loop runs all its nonisolated code there, and so do its child tasks; it leaves the thread only
/// through an actor with an executor of its own or through `withTaskExecutorPreference(globalConcurrentExecutor)`,
/// which is where work longer than about a millisecond belongs. See README.md for the invariants.
public final class EventLoop: TaskExecutor, Sendable {
    public let name: String
    let epoll: CInt
    private let wakeup: CInt
    private let inbox = Mutex(Inbox())
    private let polls = Atomic(0)
    private let wakeups = Atomic(0)
    private let jobs = Atomic(0)
    /// Only the loop's thread touches it, and its maker before the thread runs.
    nonisolated(unsafe) let state = LoopState()

    /// The loop whose thread is calling, if it is one.
    public static var current: EventLoop? {
        guard let slot = unsafe clinux_thread_slot() else { return nil }
        return unsafe Unmanaged<EventLoop>.fromOpaque(slot).takeUnretainedValue()
    }

    /// Whether the caller is on this loop's thread.
    public var isCurrent: Bool {
        unsafe clinux_thread_slot() == Unmanaged.passUnretained(self).toOpaque()
    }

    /// What the loop has done since it started; may be read from any thread.
    public var statistics: EventLoopStatistics {
        EventLoopStatistics(
            polls: polls.load(ordering: .relaxed), wakeups: wakeups.load(ordering: .relaxed),
            jobs: jobs.load(ordering: .relaxed))
    }

    /// The time as of this turn of the loop; off the loop's thread the time itself.
    public var now: LoopTime { isCurrent ? unsafe state.now : .now }

    /// Makes the epoll instance; `EventLoopGroup` starts the thread.
    init(name: String, watch: LoopWatchSettings? = nil, lag: Histogram? = nil) throws(EventLoopError) {
        self.name = name
        epoll = try EventLoopError.check(clinux_epoll_create(), "epoll_create1")
        wakeup = try EventLoopError.check(clinux_eventfd(), "eventfd")
        let added = clinux_epoll_add(epoll, wakeup, UInt32(CLINUX_EPOLL_IN), DescriptorKey.wakeup.raw, false)
        _ = try EventLoopError.check(added, "epoll_ctl")
        unsafe state.watch = watch.map { LoopWatch(name, $0) }
        unsafe state.lag = lag
    }

    /// Runs `body` and everything it awaits on this loop, and returns to where the caller runs.
    public func run<T: Sendable>(_ body: @Sendable () async throws -> T) async rethrows -> T {
        try await withTaskExecutorPreference(self) { try await body() }
    }

    /// Part of `TaskExecutor`: called by the runtime from any thread.
    public func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        if isCurrent {
            unsafe state.ready.append(job)
        } else {
            post(.job(job))
        }
    }

    /// Runs a short closure on the loop's thread, in order of submission, after what is running there now. Once the
    /// loop has stopped, nothing.
    public func submit(_ body: @escaping @Sendable () -> Void) {
        post(.call(body))
    }

    /// Hands a command to the loop's thread; also from there, so that it never takes effect inside a running job.
    func post(_ command: Command) {
        let (wake, stopped) = inbox.withLock { inbox in inbox.append(command) }
        if wake { clinux_eventfd_signal(wakeup) }
        // A task that outlives its loop must still end somewhere.
        if stopped, case .job(let job) = command {
            globalConcurrentExecutor.enqueue(job)
        }
    }
}

// MARK: - The thread

extension EventLoop {
    /// The thread's body: turns until `stop`, then closes what the loop owns.
    func runThread() {
        unsafe clinux_set_thread_slot(Unmanaged.passUnretained(self).toOpaque())
        let events = UnsafeMutablePointer<clinux_event>.allocate(capacity: Int(CLINUX_EPOLL_BATCH))
        while unsafe turn(events) {}
        unsafe events.deallocate()
        clinux_set_thread_slot(nil)
        _ = clinux_close(wakeup)
        _ = clinux_close(epoll)
    }

    /// One turn: take commands, poll, fire timers, run what was made ready. False once stopped with nothing left.
    private func turn(_ events: UnsafeMutablePointer<clinux_event>) -> Bool {
        let state = unsafe self.state
        let idle = state.isIdle
        let asleep: Bool
        switch inbox.withLock({ $0.take(into: &state.commands, idle: idle, stopping: state.stopping) }) {
        case .sleep: asleep = true
        case .proceed: asleep = false
        case .stopped: return false
        }
        apply(state)
        let count = unsafe clinux_epoll_wait(epoll, events, asleep ? state.timeout() : 0)
        precondition(count >= 0, "epoll_wait failed")
        polls.store(polls.load(ordering: .relaxed) &+ 1, ordering: .relaxed)
        if asleep { inbox.withLock { $0.wake(into: &state.commands) } }
        state.now = .now
        for index in 0..<Int(count) {
            let event = unsafe events[index]
            let key = DescriptorKey(raw: event.key)
            if key == .wakeup {
                wakeups.store(wakeups.load(ordering: .relaxed) &+ 1, ordering: .relaxed)
                clinux_eventfd_drain(wakeup)
            } else {
                handle(event.events, for: key)
            }
        }
        fireTimers()
        apply(state)
        for workers in state.workers { workers.beginTurn() }
        runReady(state)
        for workers in state.workers {
            while workers.resumeTask() { runReady(state) }
            workers.endTurn()
        }
        // As long may something have waited that became ready right after the poll.
        if let lag = state.lag { lag.observe(Double((LoopTime.now - state.now).nanoseconds) * 1e-9) }
        return true
    }

    /// Carries out the commands that were taken from the inbox.
    private func apply(_ state: LoopState) {
        guard !state.commands.isEmpty else { return }
        for command in state.commands {
            switch command {
            case .job(let job): state.ready.append(job)
            case .call(let body): body()
            case .cancelSleep(let id): cancelSleep(id)
            case .cancelWait(let key, let direction, let ticket): cancelWait(key, direction, ticket: ticket)
            case .stop: state.stopping = true
            }
        }
        state.commands.removeAll(keepingCapacity: true)
    }

    /// From now on the workers' tasks are resumed in each turn while there is something for them to do.
    func attach(_ workers: LoopWorkers) {
        precondition(isCurrent, "workers are used on their loop's thread")
        unsafe state.workers.append(workers)
    }

    func detach(_ workers: LoopWorkers) {
        precondition(isCurrent, "workers are used on their loop's thread")
        unsafe state.workers.removeAll { $0 === workers }
    }

    /// Runs the jobs that are ready now; those they make ready wait for the next turn, so that no job starves epoll.
    private func runReady(_ state: LoopState) {
        guard !state.ready.isEmpty else { return }
        swap(&state.ready, &state.running)
        let executor = unsafe asUnownedTaskExecutor()
        var began = state.watch == nil ? state.now : .now
        for job in state.running {
            unsafe job.runSynchronously(on: executor)
            if let watch = state.watch { began = watch.jobEnded(since: began) }
        }
        let ran = state.running.count
        jobs.store(jobs.load(ordering: .relaxed) &+ ran, ordering: .relaxed)
        state.running.removeAll(keepingCapacity: true)
    }
}
