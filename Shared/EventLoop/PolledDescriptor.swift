private import CLinux
private import Synchronization

/// A non-blocking descriptor registered with one event loop's epoll.
///
/// All its methods must be called on that loop's thread (they trap elsewhere); the object itself may travel. One task
/// may wait for each direction at a time. Try the system call first and wait when it says EAGAIN: a wait may also end
/// although nothing is ready (a spurious wake-up), so the caller loops.
///
/// It must be closed before its last reference goes; a forgotten one traps in debug builds.
public final class PolledDescriptor: Sendable {
    /// How the kernel is asked about readiness.
    public enum Trigger: Sendable {
        /// A wait looks at the descriptor's state as it is now, so the caller may have left data unread (as libpq
        /// does). Costs one `epoll_ctl` a wait.
        case level
        /// Only changes are seen. The caller must have exhausted the descriptor: EAGAIN, or a read or write of less
        /// than it asked for. No system call a wait.
        case edge
        /// Like `edge`, for reading only, with EPOLLEXCLUSIVE: for one listening socket in several loops.
        case exclusive
    }

    public let loop: EventLoop
    /// The descriptor's number; still valid when `owned` is false and it has been closed here.
    public let fd: CInt
    private let owned: Bool
    private let key: DescriptorKey
    private let closed = Atomic(false)

    /// Registers `fd` and makes it non-blocking. `owned`: `close()` closes it, and so does a failure here.
    /// Errors: `.system`.
    public init(adopting fd: CInt, owned: Bool, loop: EventLoop, trigger: Trigger = .level) throws(EventLoopError) {
        do throws(EventLoopError) {
            key = try loop.register(fd, trigger: trigger)
        } catch {
            if owned { _ = clinux_close(fd) }
            throw error
        }
        self.loop = loop
        self.fd = fd
        self.owned = owned
    }

    deinit {
        assert(closed.load(ordering: .relaxed), "a polled descriptor was dropped without close()")
    }

    public var isClosed: Bool { closed.load(ordering: .relaxed) }

    /// Waits until reading may make progress: data, an end or an error.
    /// `shielded`: the wait goes on although the task is cancelled, for what must be finished even then; give it a
    /// deadline. Errors: `.timedOut`, `.cancelled`, `.closed`, and `.system` from re-arming.
    public func waitReadable(
        until deadline: ContinuousClock.Instant? = nil, shielded: Bool = false
    ) async throws(EventLoopError) {
        try await wait(.read, until: deadline.map { LoopTime($0) } ?? .never, shielded)
    }

    /// Waits until writing may make progress: room, or an error. `shielded` and errors as for `waitReadable`.
    public func waitWritable(
        until deadline: ContinuousClock.Instant? = nil, shielded: Bool = false
    ) async throws(EventLoopError) {
        try await wait(.write, until: deadline.map { LoopTime($0) } ?? .never, shielded)
    }

    /// As above, with a deadline on the loops' clock, and where the caller runs.
    public nonisolated(nonsending) func waitReadable(until deadline: LoopTime) async throws(EventLoopError) {
        try await wait(.read, until: deadline, false)
    }

    /// As above, with a deadline on the loops' clock, and where the caller runs.
    public nonisolated(nonsending) func waitWritable(until deadline: LoopTime) async throws(EventLoopError) {
        try await wait(.write, until: deadline, false)
    }

    /// Has `watcher` told, once, when reading may make progress or the deadline has come: a wait that needs no task.
    /// False if reading may make progress now; it is not told then. Errors: `.closed`, and `.system` from re-arming.
    public func watchReadable(until deadline: LoopTime, _ watcher: any DescriptorWatcher) throws(EventLoopError) -> Bool
    {
        try loop.watch(key, until: deadline, watcher)
    }

    /// How many bytes can be read now; 0 where that is not known.
    public var readableBytes: Int { clinux_readable_bytes(fd) }

    /// Ends the read wait that is on, or the next one, as if something had come: a spurious wake-up on purpose.
    public func wakeReader() {
        loop.wakeReader(key)
    }

    /// Unregisters, and closes the descriptor if it is owned. Waiters end with `.closed`. Again is harmless.
    /// A descriptor that is not owned must still be open here: close it elsewhere afterwards.
    public func close() {
        guard !closed.exchange(true, ordering: .relaxed) else { return }
        loop.unregister(key, closing: owned)
    }

    private nonisolated(nonsending) func wait(
        _ direction: Direction, until deadline: LoopTime, _ shielded: Bool
    ) async throws(EventLoopError) {
        guard let ticket = try loop.prepareWait(key, direction, until: deadline) else { return }
        let outcome =
            if shielded {
                await waitForOutcome(direction)
            } else {
                await withTaskCancellationHandler {
                    await waitForOutcome(direction)
                } onCancel: {
                    unsafe loop.post(.cancelWait(key, direction, ticket: ticket))
                }
            }
        switch outcome {
        case .ready: return
        case .timedOut: throw .timedOut
        case .cancelled: throw .cancelled
        case .closed: throw .closed
        }
    }

    private nonisolated(nonsending) func waitForOutcome(_ direction: Direction) async -> WaitOutcome {
        await unsafe withUnsafeContinuation { continuation in
            unsafe loop.beginWait(key, direction, continuation)
        }
    }
}
