import Buffers
private import CLinux

/// System calls on sockets: outside TLS, and with `FileCalls`, the only file of this module that handles memory by
/// address.
enum Socket {
    /// What one non-blocking read gave.
    enum Received: Equatable {
        case octets(Int)
        /// The peer will send no more.
        case end
        /// Nothing is there now.
        case blocked
        case failed(errno: CInt)
    }

    /// What one non-blocking write took.
    enum Sent: Equatable {
        case octets(Int)
        /// There is no room now.
        case blocked
        /// The peer has gone.
        case failed(errno: CInt)
    }

    /// One accepted connection.
    struct Accepted: Sendable {
        let fd: CInt
        /// The peer's numeric address.
        let peer: String
    }

    static let wouldBlock: CInt = 11
    static let connectionAborted: CInt = 103

    /// A listening socket or an errno.
    static func listen(address: String, port: UInt16, backlog: Int) -> (fd: CInt, errno: CInt) {
        let fd = unsafe clinux_listen_tcp(address, port, CInt(clamping: backlog))
        return (fd, fd < 0 ? -fd : 0)
    }

    static func port(of fd: CInt) -> UInt16 { UInt16(clamping: clinux_local_port(fd)) }

    /// The next connection in the queue; nil and 0 when there is none, nil and an errno on failure.
    static func accept(_ listener: CInt) -> (accepted: Accepted?, errno: CInt) {
        unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { peer in
            let fd = unsafe clinux_accept(listener, peer.baseAddress, peer.count)
            guard fd >= 0 else { return (nil, -fd == wouldBlock ? 0 : -fd) }
            guard let text = peer.baseAddress else { return (Accepted(fd: fd, peer: ""), 0) }
            return unsafe (Accepted(fd: fd, peer: String(cString: text)), 0)
        }
    }

    /// Whether the peer will send no more, or has gone; what it sent before may still lie unread.
    static func hasPeerEnded(_ fd: CInt) -> Bool { clinux_peer_has_ended(fd) }

    static func receive(_ fd: CInt, into buffer: inout [UInt8]) -> Received {
        let count = unsafe buffer.withUnsafeMutableBytes { bytes in
            unsafe clinux_receive(fd, bytes.baseAddress, bytes.count)
        }
        switch count {
        case 1...: return .octets(count)
        case 0: return .end
        case -Int(wouldBlock): return .blocked
        default: return .failed(errno: CInt(-count))
        }
    }

    /// Writes the octets from `start` on.
    static func send(_ fd: CInt, _ octets: [UInt8], from start: Int = 0) -> Sent {
        let count = unsafe octets.withUnsafeBytes { bytes in
            let rest = unsafe UnsafeRawBufferPointer(rebasing: bytes[start...])
            return unsafe clinux_send(fd, rest.baseAddress, rest.count)
        }
        return outcome(count)
    }

    /// Writes some of the octets.
    static func send(_ fd: CInt, _ octets: borrowing OctetBuffer, _ range: Range<Int>) -> Sent {
        outcome(unsafe octets.withOctets(range) { unsafe clinux_send(fd, $0.baseAddress, $0.count) })
    }

    /// Writes three arrays as if they were one, from the octet `start` of that on.
    static func send(_ fd: CInt, _ first: [UInt8], _ second: [UInt8], _ third: [UInt8], from start: Int) -> Sent {
        let skipped = (min(start, first.count), min(max(0, start - first.count), second.count))
        let third0 = min(max(0, start - first.count - second.count), third.count)
        let count = unsafe first.withUnsafeBytes { a in
            unsafe second.withUnsafeBytes { b in
                unsafe third.withUnsafeBytes { c in
                    let (x, y) = unsafe (
                        UnsafeRawBufferPointer(rebasing: a[skipped.0...]),
                        UnsafeRawBufferPointer(rebasing: b[skipped.1...])
                    )
                    let z = unsafe UnsafeRawBufferPointer(rebasing: c[third0...])
                    return unsafe clinux_send_parts(
                        fd, x.baseAddress, x.count, y.baseAddress, y.count, z.baseAddress, z.count)
                }
            }
        }
        return outcome(count)
    }

    private static func outcome(_ count: Int) -> Sent {
        if count >= 0 { return .octets(count) }
        return count == -Int(wouldBlock) ? .blocked : .failed(errno: CInt(-count))
    }

    /// The peer reads an end after what was written.
    static func shutdownWrite(_ fd: CInt) { _ = clinux_shutdown_write(fd) }

    static func close(_ fd: CInt) { _ = clinux_close(fd) }

    /// Seconds since 1970.
    static var wallSeconds: Int64 { clinux_wall_seconds() }
}
