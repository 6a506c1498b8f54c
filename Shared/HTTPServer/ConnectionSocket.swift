import Buffers
import EventLoop

/// An accepted socket on its loop, in the clear or by TLS. Used by one task at a time in each direction, on the loop's
/// thread.
final class ConnectionSocket {
    /// Why a transfer ended before it was complete.
    enum Failure: Error {
        /// The peer was slower than the deadline or the pace allows.
        case timedOut
        /// The peer has gone, or the task was cancelled.
        case gone
    }

    private let descriptor: PolledDescriptor
    /// Nil for a connection in the clear.
    private let tls: TLSSession?
    /// Whether a read may find something: not after one that gave less than it had room for, until epoll says so.
    /// An end that came with those octets is not lost, since the descriptor remembers it.
    private var mayHaveMore = true

    var loop: EventLoop { descriptor.loop }

    /// Adopts the descriptor; with `certificates` it speaks TLS, or is closed where that cannot be begun.
    init(_ fd: CInt, on loop: EventLoop, tls certificates: TLSCertificates? = nil) throws(EventLoopError) {
        descriptor = try PolledDescriptor(adopting: fd, owned: true, loop: loop, trigger: .edge)
        tls = certificates.flatMap { TLSSession(fd, $0) }
        if certificates != nil, tls == nil {
            descriptor.close()
            throw .system(call: "SSL_new", number: ConnectionSocket.noMemory)
        }
    }

    private static let noMemory: CInt = 12

    func close() {
        tls?.close()
        descriptor.close()
    }

    /// What is there now.
    func receive(into buffer: inout [UInt8]) -> Socket.Received {
        if let tls { return receive(into: &buffer, tls) }
        guard mayHaveMore else { return .blocked }
        let received = Socket.receive(descriptor.fd, into: &buffer)
        switch received {
        case .octets(let count): mayHaveMore = count == buffer.count
        case .blocked: mayHaveMore = false
        case .end, .failed: break
        }
        return received
    }

    private func receive(into buffer: inout [UInt8], _ tls: TLSSession) -> Socket.Received {
        let received = tls.receive(into: &buffer)
        // Epoll has told of what is left already.
        if tls.isCutShort { descriptor.wakeReader() }
        return received
    }

    /// Waits until something may have come, or `wakeReader` was called.
    nonisolated(nonsending) func waitReadable(until deadline: LoopTime) async throws(Failure) {
        if let tls, try await isReady(tls, until: deadline) { return }
        do throws(EventLoopError) {
            try await descriptor.waitReadable(until: deadline)
        } catch {
            throw error == .timedOut ? .timedOut : .gone
        }
        mayHaveMore = true
        tls?.mayRead()
    }

    /// Has `watcher` told when something may have come, or at the deadline. False if something may have come already,
    /// or the descriptor is no more.
    func watchReadable(until deadline: LoopTime, _ watcher: any DescriptorWatcher) -> Bool {
        let isWatching = (try? descriptor.watchReadable(until: deadline, watcher)) ?? false
        mayHaveMore = true
        tls?.mayRead()
        return isWatching
    }

    /// Reading cannot go on before there is room to write, which `waitReadable` sees to and a watcher cannot.
    var needsRoomToRead: Bool { tls?.needsRoomToRead ?? false }

    /// True after a wait for something else than octets.
    private nonisolated(nonsending) func isReady(_ tls: TLSSession, until deadline: LoopTime) async throws(Failure)
        -> Bool
    {
        if tls.isCutShort {
            // The loop's others go first; and who keeps the loop busy with nothing is not waited for any longer.
            await Task.yield()
            if loop.now >= deadline { throw .timedOut }
            if Task.isCancelled { throw .gone }
            return false
        }
        guard tls.needsRoomToRead else { return false }
        try await waitWritable(until: deadline)
        tls.flush()
        return true
    }

    /// Whether the client will send no more, or has gone. By TLS too the socket's end tells: a close_notify that came
    /// without it is not seen before it is read.
    var hasPeerEnded: Bool { Socket.hasPeerEnded(descriptor.fd) }

    func wakeReader() { descriptor.wakeReader() }

    /// Sends all of `octets` from `start` on.
    nonisolated(nonsending) func send(_ octets: [UInt8], from start: Int = 0, _ pace: inout TransferPace)
        async throws(Failure)
    {
        var start = start
        while start < octets.count {
            switch write(octets, from: start) {
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
            switch write(first, second, third, from: start) {
            case .octets(let count):
                start += count
                pace.moved(count)
            case .blocked: try await waitWritable(&pace)
            case .failed: throw .gone
            }
        }
    }

    /// One write without waiting. What it does not take is to be sent next, before anything else.
    func trySend(_ octets: [UInt8]) -> Socket.Sent { write(octets, from: 0) }

    /// The same with some of a buffer's octets.
    func trySend(_ octets: borrowing OctetBuffer, _ range: Range<Int>) -> Socket.Sent {
        if let tls { return tls.send(octets.array(range)) }
        return Socket.send(descriptor.fd, octets, range)
    }

    private func write(_ octets: [UInt8], from start: Int) -> Socket.Sent {
        if let tls { return tls.send(octets, from: start) }
        return Socket.send(descriptor.fd, octets, from: start)
    }

    private func write(_ first: [UInt8], _ second: [UInt8], _ third: [UInt8], from start: Int) -> Socket.Sent {
        if let tls { return tls.send(first, second, third, from: start) }
        return Socket.send(descriptor.fd, first, second, third, from: start)
    }

    func shutdownWrite() {
        if let tls { return tls.shutdownWrite() }
        Socket.shutdownWrite(descriptor.fd)
    }

    private nonisolated(nonsending) func waitWritable(_ pace: inout TransferPace) async throws(Failure) {
        let start = loop.now
        guard let deadline = pace.deadline(from: start) else {
            tls?.breakOff()
            throw .timedOut
        }
        try await waitWritable(until: deadline)
        pace.waited(loop.now - start)
    }

    private nonisolated(nonsending) func waitWritable(until deadline: LoopTime) async throws(Failure) {
        do throws(EventLoopError) {
            try await descriptor.waitWritable(until: deadline)
        } catch {
            tls?.breakOff()
            throw error == .timedOut ? .timedOut : .gone
        }
    }
}
