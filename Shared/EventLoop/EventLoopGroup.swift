private import CLinux
public import Observability
private import Synchronization

/// The process's event loops, one thread each.
public final class EventLoopGroup: Sendable {
    public let loops: [EventLoop]
    private let threads: [UInt64]
    private let turn = Atomic(0)
    private let down = Atomic(false)

    /// Starts `count` loops (at least one), whose threads are called `<name>-<index>` (the kernel keeps 15 bytes).
    /// `watch` has jobs reported that hold a loop up; it costs each job a look at the clock. With `metrics` each loop's
    /// lag is one; it costs each turn a look at the clock, and wakes nobody.
    /// Errors: `.system`, when the process is out of descriptors or threads.
    public init(
        count: Int, name: String, watch: LoopWatchSettings? = nil, metrics: MetricsRegistry? = nil
    ) throws(EventLoopError) {
        var loops: [EventLoop] = []
        var threads: [UInt64] = []
        for index in 0..<max(1, count) {
            let lag = metrics?.histogram(
                "millrace_event_loop_lag_seconds",
                help: "How long what is ready may wait for its loop: the time from a poll to the end of its turn.",
                labels: [("loop", "\(index)")], buckets: Self.lagBuckets)
            let loop = try EventLoop(name: "\(name)-\(index)", watch: watch, lag: lag)
            threads.append(try loop.start())
            loops.append(loop)
        }
        self.loops = loops
        self.threads = threads
    }

    /// Bounds for lags in seconds, from a tenth of a millisecond to ten seconds.
    private static let lagBuckets: [Double] = [
        0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 10,
    ]

    /// The caller's loop if it is one of these, else each in turn.
    public func next() -> EventLoop {
        if let current = EventLoop.current, loops.contains(where: { $0 === current }) { return current }
        let index = turn.wrappingAdd(1, ordering: .relaxed).oldValue
        return loops[Int(UInt(bitPattern: index) % UInt(loops.count))]
    }

    /// Lets what is ready run, ends the threads and waits for them. Tasks that still wait for something on a loop are
    /// never resumed, so end them first. Not to be called on one of the loops. Again is harmless.
    public func shutdown() {
        precondition(EventLoop.current == nil, "a loop cannot wait for its own thread")
        guard !down.exchange(true, ordering: .relaxed) else { return }
        for loop in loops { loop.stop() }
        for thread in threads { clinux_thread_join(thread) }
    }
}

extension EventLoop {
    /// Starts the thread, which keeps the loop alive. Returns its handle.
    func start() throws(EventLoopError) -> UInt64 {
        let context = unsafe Unmanaged.passRetained(self)
        var handle: UInt64 = 0
        let status = unsafe clinux_thread_start(
            name,
            { context in
                guard let context = unsafe context else { return }
                unsafe Unmanaged<EventLoop>.fromOpaque(context).takeRetainedValue().runThread()
            }, context.toOpaque(), &handle)
        if status < 0 {
            unsafe context.release()
            throw .system(call: "pthread_create", number: -status)
        }
        return handle
    }

    func stop() { post(.stop) }
}
