import Synchronization

/// A server's listening socket, which several loops accept from. It is closed when the last of them has stopped, so
/// that clients are refused from then on and go elsewhere instead of waiting in a queue that nobody serves.
final class ListeningSocket: Sendable {
    let fd: CInt
    let port: UInt16
    /// The loops that accept from it; none before `retain`.
    private let users = Atomic(0)
    private let isClosed = Atomic(false)

    /// Adopts a listening descriptor.
    init(adopting fd: CInt) {
        self.fd = fd
        port = Socket.port(of: fd)
    }

    /// It may have been bound and never run.
    deinit { close() }

    /// `count` loops are about to accept from it, each of which calls `release` once.
    func retain(by count: Int) { users.store(count, ordering: .sequentiallyConsistent) }

    func release() {
        if users.subtract(1, ordering: .sequentiallyConsistent).newValue == 0 { close() }
    }

    private func close() {
        if !isClosed.exchange(true, ordering: .relaxed) { Socket.close(fd) }
    }
}
