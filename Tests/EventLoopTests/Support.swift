import CLinux
import EventLoop
import Glibc
import Synchronization

/// Runs `body` with loops of its own and ends them afterwards.
func withLoops<T: Sendable>(
    _ count: Int = 1, _ body: @Sendable (EventLoopGroup) async throws -> T
) async throws -> T {
    let group = try EventLoopGroup(count: count, name: "test")
    let result: Result<T, any Error>
    do { result = .success(try await body(group)) } catch { result = .failure(error) }
    group.shutdown()
    return try result.get()
}

/// Runs `body` on one loop of its own.
func onLoop<T: Sendable>(_ body: @Sendable (EventLoop) async throws -> T) async throws -> T {
    try await withLoops { group in
        let loop = group.loops[0]
        return try await loop.run { try await body(loop) }
    }
}

/// Two connected stream sockets.
struct SocketPair: Sendable {
    let near: CInt
    let far: CInt

    init() {
        var ends: [CInt] = [0, 0]
        let status = unsafe socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends)
        precondition(status == 0)
        (near, far) = (ends[0], ends[1])
    }

    static func send(_ text: String, to descriptor: CInt) {
        let bytes = Array(text.utf8)
        let sent = unsafe clinux_send(descriptor, bytes, bytes.count)
        precondition(sent == bytes.count)
    }

    /// What one read gives, at most `limit` bytes; nil for EAGAIN, an empty text at the end.
    static func receive(from descriptor: CInt, limit: Int = 4096) -> String? {
        var bytes = [UInt8](repeating: 0, count: limit)
        let count = unsafe clinux_receive(descriptor, &bytes, limit)
        return count < 0 ? nil : String(decoding: bytes[0..<count], as: UTF8.self)
    }
}

extension SocketPair {
    /// How many bytes one non-blocking write took; 0 for EAGAIN.
    static func trySend(_ bytes: [UInt8], to descriptor: CInt) -> Int {
        max(0, unsafe clinux_send(descriptor, bytes, bytes.count))
    }

    static func shutdownWrite(_ descriptor: CInt) { _ = clinux_shutdown_write(descriptor) }

    static func close(_ descriptor: CInt) { _ = clinux_close(descriptor) }
}

/// A number several tasks count up.
final class Counter: Sendable {
    private let count = Atomic(0)
    var value: Int { count.load(ordering: .acquiring) }
    func increment() { count.add(1, ordering: .acquiringAndReleasing) }
}

/// What several tasks did, in order.
final class Journal: Sendable {
    private let noted = Mutex<[Int]>([])
    var entries: [Int] { noted.withLock { $0 } }
    func note(_ entry: Int) { noted.withLock { $0.append(entry) } }
}
