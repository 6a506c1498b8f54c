import Glibc

/// What the operating system knows: the process's variables, and files.
public enum ProcessEnvironment {
    /// All variables; of a name set twice the first counts, as for `getenv`. Call before threads change any.
    static func variables() -> [String: String] {
        var result: [String: String] = [:]
        var entry = unsafe environ
        while let text = unsafe entry.pointee {
            let pair = unsafe String(cString: text)
            if let split = pair.firstIndex(of: "=") {
                let name = String(pair[..<split])
                if result[name] == nil { result[name] = String(pair[pair.index(after: split)...]) }
            }
            unsafe entry += 1
        }
        return result
    }

    /// Reads a file of at most `Environment.maximumFileSize` bytes.
    public static func read(path: String) throws(Environment.FileFault) -> [UInt8] {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .init("cannot be opened: \(reason(errno))") }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: Environment.maximumFileSize + 1)
        var count = 0
        while count < bytes.count {
            let free = bytes.count - count
            let received = unsafe bytes.withUnsafeMutableBytes { buffer in
                guard let start = buffer.baseAddress else { return 0 }
                return unsafe Glibc.read(descriptor, start + count, free)
            }
            if received < 0 && errno == EINTR { continue }
            guard received >= 0 else { throw .init("cannot be read: \(reason(errno))") }
            if received == 0 { break }
            count += received
        }
        guard count <= Environment.maximumFileSize else { throw .init("is larger than 64 KiB") }
        bytes.removeLast(bytes.count - count)
        return bytes
    }

    private static func reason(_ code: CInt) -> String {
        unsafe String(cString: strerror(code))
    }
}
