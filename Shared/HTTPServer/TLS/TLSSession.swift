private import COpenSSL
import Observability

/// OpenSSL's `SSL`: one connection's TLS, non-blocking; the only file that calls it. Only the loop's thread uses it.
///
/// It is in one of four states:
/// - **handshake**: keys are not agreed on yet. Reading carries the handshake on, nothing can be sent. Then *open*,
///   or *broken* when the client or OpenSSL gives up.
/// - **open**: data goes both ways. Then *ended*, or *broken*.
/// - **ended**: close_notify was sent; data may still come. Then *broken*.
/// - **broken**: there was a failure, or the connection was closed. OpenSSL is not called again but to free.
///
/// The handshake has no time limit of its own: to its connection it is a client that sends nothing yet, which has as
/// long as for a head. Its signature (RSA 2048: 0.6 ms, ECDSA P-256: 0.03 ms) is made on the loop: what a thread of its
/// own would save the others on the loop is less than two hand-overs and the second queue are worth.
@safe final class TLSSession {
    private enum State {
        case handshake, open, ended, broken
    }

    private let session: OpaquePointer
    private let transport: TLSTransport
    private let certificates: TLSCertificates
    private var state = State.handshake
    /// The end of the stream is to be told to the peer's kernel once all that was sent is on its way.
    private var owesEnd = false

    /// The most octets in a record (RFC 8446, 5.1).
    private static let recordSize = 16 * 1024
    private static let aborted = Socket.connectionAborted

    /// A session on a descriptor that stays the caller's; nil if memory is short.
    init?(_ fd: CInt, _ certificates: TLSCertificates) {
        let transport = TLSTransport(fd)
        guard let session = unsafe certificates.current.makeSession() else { return nil }
        guard let bio = unsafe transport.makeBIO() else {
            unsafe SSL_free(session)
            return nil
        }
        unsafe SSL_set_bio(session, bio, bio)
        unsafe SSL_set_accept_state(session)
        unsafe self.session = unsafe session
        self.transport = transport
        self.certificates = certificates
    }

    deinit { unsafe SSL_free(session) }

    // MARK: Reading

    /// What is there now, after the handshake if need be. `.end` is the client's close_notify; a stream that ends
    /// without one has failed (RFC 8446, 6.1), and then nothing can be sent either.
    func receive(into buffer: inout [UInt8]) -> Socket.Received {
        guard state != .broken else { return .failed(errno: TLSSession.aborted) }
        transport.beginTurn()
        flush()
        return unsafe buffer.withUnsafeMutableBytes { unsafe read(into: $0) }
    }

    private func read(into buffer: UnsafeMutableRawBufferPointer) -> Socket.Received {
        var count = 0
        repeat {
            var more = 0
            OpenSSLError.clear()
            let status = unsafe SSL_read_ex(
                session, buffer.baseAddress.map { unsafe $0 + count }, buffer.count - count, &more)
            if state == .handshake, unsafe SSL_is_init_finished(session) == 1 {
                state = .open
                certificates.handshakes.done.add()
            }
            guard status == 1 else {
                // What comes after octets is found again by the next call.
                let outcome = outcome(status)
                return count > 0 ? .octets(count) : outcome
            }
            count += more
        } while count < buffer.count && hasPending
        return .octets(count)
    }

    /// OpenSSL has read octets that it has not given yet, of a whole record or not.
    private var hasPending: Bool { unsafe SSL_has_pending(session) == 1 }

    private func outcome(_ status: CInt) -> Socket.Received {
        switch unsafe SSL_get_error(session, status) {
        case SSL_ERROR_WANT_READ: return .blocked
        case SSL_ERROR_ZERO_RETURN: return .end
        default:
            if state == .handshake, OpenSSLError.isPlainRequest { transport.sendPlain(TLSSession.plainAnswer) }
            breakOff()
            return .failed(errno: TLSSession.aborted)
        }
    }

    /// For a client that speaks plain HTTP, which it can read.
    private static let plainAnswer = Array(
        """
        HTTP/1.1 400 Bad Request\r
        Content-Type: text/plain\r
        Content-Length: 37\r
        Connection: close\r
        \r
        This port speaks TLS: use https URLs.
        """.utf8)

    /// Something may have come.
    func mayRead() { transport.mayRead() }

    /// There is more to read than one turn takes, of which nothing will be reported.
    var isCutShort: Bool { transport.isCutShort }

    /// Reading cannot go on before there is room to write: while there is no writer, who would see to that.
    var needsRoomToRead: Bool { transport.hasBacklog && (state == .handshake || state == .ended) }

    /// There may be room: sends what waits for it.
    func flush() {
        guard transport.hasBacklog || owesEnd else { return }
        if transport.flush(), owesEnd {
            owesEnd = false
            transport.shutdownWrite()
        }
    }

    // MARK: Writing

    /// Writes the octets from `start` on, as many records as there is room for. After `.blocked`, or less than all, the
    /// next call must bring the same octets from there on, or more: the next record may be half on its way.
    func send(_ octets: [UInt8], from start: Int = 0) -> Socket.Sent {
        unsafe octets.withUnsafeBytes { bytes in
            unsafe write(UnsafeRawBufferPointer(rebasing: bytes[start...]))
        }
    }

    /// Writes three arrays as if they were one, from the octet `start` of that on. For what follows, see above.
    func send(_ first: [UInt8], _ second: [UInt8], _ third: [UInt8], from start: Int) -> Socket.Sent {
        let total = first.count + second.count + third.count
        var sent = 0
        while start + sent < total {
            let record = TLSSession.record(first, second, third, from: start + sent)
            switch unsafe record.withUnsafeBytes({ unsafe write($0) }) {
            case .octets(let count):
                sent += count
                if count < record.count { return .octets(sent) }
            case .blocked: return sent > 0 ? .octets(sent) : .blocked
            case .failed(let errno): return .failed(errno: errno)
            }
        }
        return .octets(sent)
    }

    /// The next record's octets of three arrays: a copy only where it is of more than one of them.
    static func record(_ first: [UInt8], _ second: [UInt8], _ third: [UInt8], from start: Int) -> ArraySlice<UInt8> {
        let inSecond = start - first.count
        if inSecond >= 0, inSecond + recordSize <= second.count { return second[inSecond..<(inSecond + recordSize)] }
        var record: [UInt8] = []
        var skipped = start
        for part in [first, second, third] {
            record.append(contentsOf: part.dropFirst(skipped).prefix(recordSize - record.count))
            skipped = max(0, skipped - part.count)
        }
        return record[...]
    }

    private func write(_ octets: UnsafeRawBufferPointer) -> Socket.Sent {
        guard state == .open else { return .failed(errno: TLSSession.aborted) }
        guard transport.flush() else { return transport.isBroken ? failed() : .blocked }
        transport.refusesOverflow = true
        defer { transport.refusesOverflow = false }
        var sent = 0
        while sent < octets.count {
            var count = 0
            OpenSSLError.clear()
            let status = unsafe SSL_write_ex(
                session, octets.baseAddress.map { unsafe $0 + sent }, octets.count - sent, &count)
            if status == 1 {
                sent += count
                continue
            }
            // Nothing is ever to be read first: the handshake is over, and there is no second one.
            guard unsafe SSL_get_error(session, status) == SSL_ERROR_WANT_WRITE else { return failed() }
            return sent > 0 ? .octets(sent) : .blocked
        }
        return .octets(sent)
    }

    private func failed() -> Socket.Sent {
        breakOff()
        return .failed(errno: TLSSession.aborted)
    }

    // MARK: The end

    /// The client reads an end after what was written.
    func shutdownWrite() {
        guard state == .open else { return }
        state = .ended
        OpenSSLError.clear()
        unsafe SSL_shutdown(session)
        owesEnd = true
        flush()
    }

    /// A writer has given up, and left a record half sent; or there was a failure.
    func breakOff() {
        if state == .handshake { certificates.handshakeFailed(OpenSSLError.reason) }
        state = .broken
    }

    /// Tells the client of the end, if there is room to. The descriptor is closed next.
    func close() {
        shutdownWrite()
        if state == .handshake { OpenSSLError.clear() }
        breakOff()
    }
}
