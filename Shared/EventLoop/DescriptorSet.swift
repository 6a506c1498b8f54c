private import CLinux

/// Descriptors that a library owns and has watched, waited for as one: an epoll instance inside the loop's.
///
/// Level-triggered: what is left unread or unwritten is reported again. One task waits at a time. Everything is called
/// on the loop's thread (it traps elsewhere), and the set is closed before its last reference goes.
public final class DescriptorSet {
    /// What a watched descriptor is ready for.
    public struct Event: Sendable, Hashable {
        public let fd: CInt
        public let isReadable: Bool
        public let isWritable: Bool
        /// The descriptor has failed, or both sides have ended.
        public let isBroken: Bool
    }

    private let epoll: CInt
    private let descriptor: PolledDescriptor
    public var loop: EventLoop { descriptor.loop }

    /// Errors: `.system`.
    public init(on loop: EventLoop) throws(EventLoopError) {
        epoll = try EventLoopError.check(clinux_epoll_create(), "epoll_create1")
        descriptor = try PolledDescriptor(adopting: epoll, owned: true, loop: loop)
    }

    /// Watches a descriptor, or changes what it is watched for. Errors: `.system`.
    public func watch(_ fd: CInt, reading: Bool, writing: Bool) throws(EventLoopError) {
        precondition(loop.isCurrent, "a set is changed on its loop's thread")
        let events = (reading ? CLINUX_EPOLL_IN : 0) | (writing ? CLINUX_EPOLL_OUT : 0)
        _ = try EventLoopError.check(
            clinux_epoll_set_level(epoll, fd, UInt32(events), UInt64(UInt32(bitPattern: fd))), "epoll_ctl")
    }

    /// Stops watching a descriptor, which must still be open. One that is not watched is ignored.
    public func forget(_ fd: CInt) {
        precondition(loop.isCurrent, "a set is changed on its loop's thread")
        _ = clinux_epoll_remove(epoll, fd)
    }

    /// Waits until a descriptor may be ready, or `wake` was called; may also end for nothing.
    /// Errors: `.timedOut`, `.cancelled`, `.closed`.
    public nonisolated(nonsending) func wait(until deadline: LoopTime) async throws(EventLoopError) {
        try await descriptor.waitReadable(until: deadline)
    }

    /// Ends the wait that is on, or the next one.
    public func wake() { descriptor.wakeReader() }

    /// Appends what is ready now, at most 256 events a call, each descriptor in its turn.
    public func take(into ready: inout [Event]) {
        precondition(loop.isCurrent, "a set is asked on its loop's thread")
        unsafe withUnsafeTemporaryAllocation(of: clinux_event.self, capacity: Int(CLINUX_EPOLL_BATCH)) { events in
            let count = unsafe clinux_epoll_wait(epoll, events.baseAddress, 0)
            for index in 0..<max(0, Int(count)) {
                let event = unsafe events[index]
                let bits = Int(event.events)
                ready.append(
                    Event(
                        fd: CInt(bitPattern: UInt32(truncatingIfNeeded: event.key)),
                        isReadable: bits & (CLINUX_EPOLL_IN | CLINUX_EPOLL_RDHUP) != 0,
                        isWritable: bits & CLINUX_EPOLL_OUT != 0,
                        isBroken: bits & (CLINUX_EPOLL_ERR | CLINUX_EPOLL_HUP) != 0))
            }
        }
    }

    /// Ends the set; the descriptors in it stay their owners'. Again is harmless.
    public func close() { descriptor.close() }
}
