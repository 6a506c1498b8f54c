private import CLinux
private import COpenSSL
import Glibc

/// One blocking connection to this machine, with TLS or without. A certificate is not checked: the service's own names
/// its clients' host, and what is asked is only whether it serves. The only file that knows how to be TLS' client here.
@safe struct ProbeConnection: ~Copyable {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// How long each connect, read and write may take.
    static let patience = 3

    private let descriptor: CInt
    /// Nil where TLS is not spoken.
    private let session: OpaquePointer?

    private init(_ descriptor: CInt, _ session: OpaquePointer?) {
        self.descriptor = descriptor
        unsafe self.session = unsafe session
    }

    /// `address` is a numeric IPv4 or IPv6 address.
    static func open(address: String, port: UInt16, speaksTLS: Bool) throws(Failure) -> ProbeConnection {
        let descriptor = unsafe clinux_connect_tcp(address, port)
        guard descriptor >= 0 else { throw Failure(description: "cannot connect: \(Self.reason(-descriptor))") }
        var limit = timeval(tv_sec: Self.patience, tv_usec: 0)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            unsafe setsockopt(descriptor, SOL_SOCKET, option, &limit, socklen_t(MemoryLayout<timeval>.size))
        }
        guard speaksTLS else { return unsafe ProbeConnection(descriptor, nil) }
        guard let session = unsafe handshake(descriptor) else {
            _ = clinux_close(descriptor)
            throw Failure(description: "no TLS handshake")
        }
        return unsafe ProbeConnection(descriptor, session)
    }

    deinit {
        unsafe SSL_free(session)
        _ = clinux_close(descriptor)
    }

    /// A session whose handshake is done; nil if it fails.
    private static func handshake(_ descriptor: CInt) -> OpaquePointer? {
        guard let context = unsafe SSL_CTX_new(TLS_client_method()) else { return nil }
        defer { unsafe SSL_CTX_free(context) }
        guard let session = unsafe SSL_new(context) else { return nil }
        guard unsafe SSL_set_fd(session, descriptor) == 1, unsafe SSL_connect(session) == 1 else {
            unsafe SSL_free(session)
            return nil
        }
        return unsafe session
    }

    func send(_ octets: [UInt8]) throws(Failure) {
        let count = unsafe octets.withUnsafeBytes { bytes in
            if let session = unsafe session {
                return unsafe Int(SSL_write(session, bytes.baseAddress, CInt(bytes.count)))
            }
            return unsafe clinux_send(descriptor, bytes.baseAddress, bytes.count)
        }
        guard count == octets.count else { throw Failure(description: "the request cannot be sent") }
    }

    /// What comes until the service ends the connection; the rest of more than `limit` octets is left.
    func receiveAll(atMost limit: Int) throws(Failure) -> [UInt8] {
        var octets = [UInt8](repeating: 0, count: limit)
        var count = 0
        while count < limit {
            let start = count
            let more = unsafe octets.withUnsafeMutableBytes { bytes in
                let rest = unsafe UnsafeMutableRawBufferPointer(rebasing: bytes[start...])
                guard let session = unsafe session else {
                    return unsafe clinux_receive(descriptor, rest.baseAddress, rest.count)
                }
                return unsafe Int(SSL_read(session, rest.baseAddress, CInt(rest.count)))
            }
            if more == 0 || (more < 0 && count > 0) { break }
            guard more > 0 else { throw Failure(description: "no answer within \(Self.patience) s") }
            count += more
        }
        octets.removeLast(limit - count)
        return octets
    }

    private static func reason(_ code: CInt) -> String { unsafe String(cString: strerror(code)) }
}
