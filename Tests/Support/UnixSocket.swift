import Glibc

/// A blocking Unix-domain stream socket, for what stands between a test and its server.
struct UnixSocket: Sendable {
    private let descriptor: CInt

    /// Listens at a path that does not exist yet.
    static func listening(at path: String) throws -> UnixSocket {
        try opened { descriptor in
            unsafe withAddress(path) { unsafe bind(descriptor, $0, $1) } == 0 && listen(descriptor, 64) == 0
        }
    }

    static func connected(to path: String) throws -> UnixSocket {
        try opened { descriptor in
            unsafe withAddress(path) { unsafe connect(descriptor, $0, $1) } == 0
        }
    }

    /// Nil once the listener is shut down.
    func accepted() -> UnixSocket? {
        let accepted = Glibc.accept(descriptor, nil, nil)
        return accepted < 0 ? nil : UnixSocket(descriptor: accepted)
    }

    /// The next bytes; none at the end or after a failure.
    func read() -> [UInt8] {
        unsafe [UInt8](unsafeUninitializedCapacity: 65536) { buffer, count in
            count = max(0, unsafe recv(descriptor, buffer.baseAddress, 65536, 0))
        }
    }

    /// False when the other side has gone.
    func write(_ bytes: [UInt8]) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let count = unsafe bytes[sent...].withUnsafeBytes {
                unsafe send(descriptor, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL))
            }
            if count <= 0 { return false }
            sent += count
        }
        return true
    }

    /// Ends both directions: whoever waits on either side sees the end.
    func shutDown() { shutdown(descriptor, CInt(SHUT_RDWR)) }
    func close() { Glibc.close(descriptor) }

    private static func opened(_ prepare: (CInt) -> Bool) throws -> UnixSocket {
        let descriptor = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0, prepare(descriptor) else {
            let number = errno
            _ = Glibc.close(descriptor)
            throw TestSupportError("no Unix socket: errno \(number)")
        }
        return UnixSocket(descriptor: descriptor)
    }

    private static func withAddress(_ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> CInt) -> CInt {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { bytes in
            // Room for the NUL, which is there already.
            unsafe bytes.copyBytes(from: path.utf8.prefix(bytes.count - 1))
        }
        return unsafe withUnsafeBytes(of: &address) { bytes in
            unsafe bytes.withMemoryRebound(to: sockaddr.self) { addresses in
                guard let start = addresses.baseAddress else { return -1 }
                return unsafe body(start, socklen_t(bytes.count))
            }
        }
    }
}
