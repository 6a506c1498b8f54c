import Buffers
import EventLoop

/// An accepted socket on its loop. Used by one task at a time, on the loop's thread.
final class ConnectionSocket {
    /// Why a transfer ended before it was complete.
    enum Failure: Error {
        /// The peer was slower than the deadline or the pace allows.
        case timedOut
        /// The peer has gone, or the task was cancelled.
        case gone
    }

    private let descriptor: PolledDescriptor
    /// Whether a read may find something: not after one that gave less than it had room for, until epoll says so.
    /// An end that came with those octets is not lost, since the descriptor remembers it.
    private var mayHaveMore = true

    var loop: EventLoop { descriptor.loop }

    init(_ fd: CInt, on loop: EventLoop) throws(EventLoopError) {
        descriptor = try PolledDescriptor(adopting: fd, owned: true, loop: loop, trigger: .edge)
    }

    func close() { descriptor.close() }

    /// What is there now.
    func receive(into buffer: inout [UInt8]) -> Socket.Received {
        guard mayHaveMore else { return .blocked }
        let received = Socket.receive(descriptor.fd, into: &buffer)
        switch received {
        case .octets(let count): mayHaveMore = count == buffer.count
        case .blocked: mayHaveMore = false
        case .end, .failed: break
        }
        return received
    }

    /// Waits until something may have come, or `wakeReader` was called.
    nonisolated(nonsending) func waitReadable(until deadline: LoopTime) async throws(Failure) {
        do throws(EventLoopError) {
            try await descriptor.waitReadable(until: deadline)
        } catch {
            throw error == .timedOut ? .timedOut : .gone
        }
        mayHaveMore = true
    }

    /// Has `watcher` told when something may have come, or at the deadline. False if something may have come already,
    /// or the descriptor is no more.
    func watchReadable(until deadline: LoopTime, _ watcher: any DescriptorWatcher) -> Bool {
        let isWatching = (try? descriptor.watchReadable(until: deadline, watcher)) ?? false
        mayHaveMore = true
        return isWatching
    }

    /// Whether the client will send no more, or has gone.
    var hasPeerEnded: Bool { Socket.hasPeerEnded(descriptor.fd) }

    func wakeReader() { descriptor.wakeReader() }

    /// Sends all of `octets` from `start` on.
    nonisolated(nonsending) func send(_ octets: [UInt8], from start: Int = 0, _ pace: inout TransferPace)
        async throws(Failure)
    {
        var start = start
        while start < octets.count {
            switch Socket.send(descriptor.fd, octets, from: start) {
            case .octets(let count):
                start += count
                pace.moved(count)
            case .blocked: try await waitWritable(&pace)
            case .failed: throw .gone
            }
        }
    }

    /// Sends three arrays in order, as few writes as there is room for.
    nonisolated(nonsending) func send(
        _ first: [UInt8], _ second: [UInt8], _ third: [UInt8], _ pace: inout TransferPace
    ) async throws(Failure) {
        let total = first.count + second.count + third.count
        var start = 0
        while start < total {
            switch Socket.send(descriptor.fd, first, second, third, from: start) {
            case .octets(let count):
                start += count
                pace.moved(count)
            case .blocked: try await waitWritable(&pace)
            case .failed: throw .gone
            }
        }
    }

    /// One write without waiting.
    func trySend(_ octets: [UInt8]) -> Socket.Sent { Socket.send(descriptor.fd, octets) }

    /// One write without waiting.
    func trySend(_ octets: borrowing OctetBuffer, _ range: Range<Int>) -> Socket.Sent {
        Socket.send(descriptor.fd, octets, range)
    }

    func shutdownWrite() { Socket.shutdownWrite(descriptor.fd) }

    private nonisolated(nonsending) func waitWritable(_ pace: inout TransferPace) async throws(Failure) {
        let start = loop.now
        guard let deadline = pace.deadline(from: start) else { throw .timedOut }
        do throws(EventLoopError) {
            try await descriptor.waitWritable(until: deadline)
        } catch {
            throw error == .timedOut ? .timedOut : .gone
        }
        pace.waited(loop.now - start)
    }
}
