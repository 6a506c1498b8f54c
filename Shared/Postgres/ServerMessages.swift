private import Glibc

/// A look at what the server has sent and libpq has not read (PostgreSQL manual, 55.7: a type byte, then the length).
enum ServerMessages {
    private static let error = UInt8(ascii: "E")
    /// How much is looked at; the messages during a COPY IN are few.
    private static let window = 4096

    /// Whether an error waits on a plain socket. It may miss one that libpq has just read.
    static func errorIsWaiting(on socket: CInt) -> Bool {
        unsafe withUnsafeTemporaryAllocation(byteCount: window, alignment: 1) { bytes in
            let flags = CInt(MSG_PEEK | MSG_DONTWAIT)
            let count = unsafe recv(socket, bytes.baseAddress, bytes.count, flags)
            var offset = 0
            while offset + 5 <= count {
                if unsafe bytes[offset] == error { return true }
                var length = 0
                for index in 1...4 { length = length << 8 | Int(unsafe bytes[offset + index]) }
                offset += 1 + max(length, 4)
            }
            return false
        }
    }
}
