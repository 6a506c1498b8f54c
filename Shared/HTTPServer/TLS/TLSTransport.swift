private import CLinux
private import COpenSSL

/// A connection's socket as OpenSSL reads and writes it: a BIO of our own. OpenSSL's writes by write(), whose SIGPIPE
/// would end the process.
///
/// What OpenSSL writes of its own accord (its part of the handshake, alerts) is never refused: what the kernel has no
/// room for is kept in `backlog` and goes before anything else. So reading never waits for room, and a reader and a
/// writer of the same connection, which are two tasks, never wait for the same thing. Data is refused while there is no
/// room, for its writer waits.
///
/// One turn of reading takes at most `readsPerTurn` times 16 KiB from the socket: records that carry no data (handshake
/// messages in pieces, key updates) are worked off inside OpenSSL, and a client that sends nothing else would have the
/// loop to itself.
@safe final class TLSTransport {
    /// The most octets kept; more than any handshake of ours has, the chain of a certificate file included.
    private static let backlogLimit = 256 * 1024
    private static let readsPerTurn = 4

    private let fd: CInt
    private var backlog: [UInt8] = []
    /// Whether what there is no room for is refused.
    var refusesOverflow = false
    /// Whether a read may find something: not after one that gave less than it had room for, until epoll says so.
    private var mayHaveMore = true
    private var readsLeft = readsPerTurn
    /// The turn ended before the socket was exhausted, and nothing will be reported of what is left.
    private(set) var isCutShort = false
    /// Nothing can be sent any more.
    private(set) var isBroken = false

    init(_ fd: CInt) { self.fd = fd }

    /// Octets wait for room.
    var hasBacklog: Bool { !backlog.isEmpty }

    /// Something may have come.
    func mayRead() { mayHaveMore = true }

    func beginTurn() {
        readsLeft = TLSTransport.readsPerTurn
        isCutShort = false
    }

    /// Whether all of the backlog is gone.
    func flush() -> Bool {
        while !backlog.isEmpty, !isBroken {
            switch Socket.send(fd, backlog) {
            case .octets(backlog.count): backlog = []
            case .octets(let count): backlog.removeFirst(count)
            case .blocked: return false
            case .failed: isBroken = true
            }
        }
        return !isBroken
    }

    /// Writes octets past OpenSSL, as far as there is room.
    func sendPlain(_ octets: [UInt8]) { _ = Socket.send(fd, octets) }

    func shutdownWrite() { Socket.shutdownWrite(fd) }

    // MARK: For OpenSSL

    /// A BIO for this socket, the caller's to free and not to be used after this object's end; nil if memory is short.
    func makeBIO() -> OpaquePointer? {
        guard let bio = unsafe BIO_new(TLSTransport.method) else { return nil }
        unsafe BIO_set_data(bio, Unmanaged.passUnretained(self).toOpaque())
        unsafe BIO_set_init(bio, 1)
        return unsafe bio
    }

    private func receive(_ buffer: UnsafeMutablePointer<CChar>, _ room: Int) -> Socket.Received {
        guard mayHaveMore else { return .blocked }
        guard readsLeft > 0 else {
            isCutShort = true
            return .blocked
        }
        readsLeft -= 1
        let count = unsafe clinux_receive(fd, buffer, room)
        mayHaveMore = count == room
        switch count {
        case 1...: return .octets(count)
        case 0: return .end
        default: return count == -Int(Socket.wouldBlock) ? .blocked : .failed(errno: CInt(-count))
        }
    }

    private func send(_ octets: UnsafePointer<CChar>, _ count: Int) -> Socket.Sent {
        guard !isBroken else { return .failed(errno: Socket.connectionAborted) }
        var sent = 0
        if !hasBacklog {
            sent = unsafe clinux_send(fd, octets, count)
            if sent == count { return .octets(sent) }
            if sent < 0, sent != -Int(Socket.wouldBlock) { return fail(CInt(-sent)) }
            sent = max(0, sent)
        }
        if refusesOverflow { return sent > 0 ? .octets(sent) : .blocked }
        guard backlog.count + count - sent <= TLSTransport.backlogLimit else { return fail(Socket.connectionAborted) }
        let rest = unsafe UnsafeRawBufferPointer(start: octets + sent, count: count - sent)
        unsafe backlog.append(contentsOf: rest)
        return .octets(count)
    }

    private func fail(_ errno: CInt) -> Socket.Sent {
        isBroken = true
        return .failed(errno: errno)
    }

    /// What OpenSSL calls; made once in a process, as OpenSSL's own are. Nil if memory was short.
    private static nonisolated(unsafe) let method: OpaquePointer? = {
        guard let method = unsafe BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "millrace socket") else {
            return nil
        }
        unsafe BIO_meth_set_read_ex(method) { bio, buffer, room, count in
            guard let buffer = unsafe buffer else { return -1 }
            let received = unsafe TLSTransport.of(bio).receive(buffer, room)
            switch received {
            case .octets(let octets): unsafe count?.pointee = octets
            case .end: return 0
            case .blocked: unsafe BIO_set_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY)
            case .failed: break
            }
            if case .octets = received { return 1 }
            return -1
        }
        unsafe BIO_meth_set_write_ex(method) { bio, octets, length, count in
            guard let octets = unsafe octets else { return -1 }
            let sent = unsafe TLSTransport.of(bio).send(octets, length)
            switch sent {
            case .octets(let taken): unsafe count?.pointee = taken
            case .blocked: unsafe BIO_set_flags(bio, BIO_FLAGS_WRITE | BIO_FLAGS_SHOULD_RETRY)
            case .failed: break
            }
            if case .octets = sent { return 1 }
            return -1
        }
        // Nothing is buffered here that a flush would have to write.
        unsafe BIO_meth_set_ctrl(method) { _, command, _, _ in command == BIO_CTRL_FLUSH ? 1 : 0 }
        return unsafe method
    }()

    /// Whose BIO it is; what an earlier call asked for is forgotten.
    private static func of(_ bio: OpaquePointer?) -> TLSTransport {
        unsafe BIO_clear_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_WRITE | BIO_FLAGS_SHOULD_RETRY)
        guard let data = unsafe BIO_get_data(bio) else { preconditionFailure("a BIO of no transport") }
        return unsafe Unmanaged<TLSTransport>.fromOpaque(data).takeUnretainedValue()
    }
}
