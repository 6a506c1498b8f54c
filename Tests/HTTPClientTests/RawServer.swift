import CLinux
import EventLoop

/// A TCP server that says exactly what a script says, on a loop of its own: for what no HTTP server would do.
final class RawServer: Sendable {
    /// One accepted connection, on the server's loop.
    struct Peer: Sendable {
        struct Gone: Error {}

        let descriptor: PolledDescriptor

        func send(_ octets: [UInt8]) async throws {
            var sent = 0
            while sent < octets.count {
                let count = unsafe octets.withUnsafeBytes { bytes in
                    unsafe clinux_send(descriptor.fd, bytes.baseAddress.map { unsafe $0 + sent }, bytes.count - sent)
                }
                if count == -11 {
                    try await descriptor.waitWritable()
                } else if count < 0 {
                    throw Gone()
                } else {
                    sent += count
                }
            }
        }

        func send(_ text: String) async throws { try await send(Array(text.utf8)) }

        /// What comes next; empty at the end.
        func receive() async throws -> [UInt8] {
            var buffer = [UInt8](repeating: 0, count: 65_536)
            while true {
                let count = unsafe buffer.withUnsafeMutableBytes { bytes in
                    unsafe clinux_receive(descriptor.fd, bytes.baseAddress, bytes.count)
                }
                if count >= 0 { return Array(buffer[..<count]) }
                guard count == -11 else { return [] }
                try await descriptor.waitReadable()
            }
        }

        /// Reads a request's head and throws away what came with it.
        func receiveHead() async throws -> String {
            var text = ""
            while !text.contains("\r\n\r\n") {
                let octets = try await receive()
                if octets.isEmpty { throw Gone() }
                text += String(decoding: octets, as: UTF8.self)
            }
            return text
        }

        /// Waits until the client has gone.
        func end() async throws {
            while try await !receive().isEmpty {}
        }
    }

    let port: UInt16
    let loop: EventLoop
    var url: String { "http://127.0.0.1:\(port)/" }

    private init(port: UInt16, loop: EventLoop) {
        self.port = port
        self.loop = loop
    }

    /// Runs `body` while each connection is answered by `script`; what the script throws ends its connection.
    static func run(
        _ script: @escaping @Sendable (Peer) async throws -> Void, _ body: @Sendable (RawServer) async throws -> Void
    ) async throws {
        let loops = try EventLoopGroup(count: 1, name: "raw-server")
        let loop = loops.loops[0]
        let listener = unsafe clinux_listen_tcp("127.0.0.1", 0, 128)
        precondition(listener >= 0)
        let server = RawServer(port: UInt16(clinux_local_port(listener)), loop: loop)
        let result: Result<Void, any Error>
        do {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask(executorPreference: loop) { try await accept(listener, on: loop, script) }
                defer { group.cancelAll() }
                try await body(server)
            }
            result = .success(())
        } catch {
            result = .failure(error)
        }
        loops.shutdown()
        try result.get()
    }

    private static func accept(
        _ listener: CInt, on loop: EventLoop, _ script: @escaping @Sendable (Peer) async throws -> Void
    ) async throws {
        let descriptor = try PolledDescriptor(adopting: listener, owned: true, loop: loop)
        defer { descriptor.close() }
        await withDiscardingTaskGroup { group in
            while !Task.isCancelled {
                let fd = clinux_accept(listener, nil, 0)
                if fd >= 0 {
                    group.addTask(executorPreference: loop) { await serve(fd, on: loop, script) }
                } else {
                    try? await descriptor.waitReadable()
                }
            }
        }
    }

    private static func serve(_ fd: CInt, on loop: EventLoop, _ script: (Peer) async throws -> Void) async {
        guard let descriptor = try? PolledDescriptor(adopting: fd, owned: true, loop: loop) else { return }
        defer { descriptor.close() }
        try? await script(Peer(descriptor: descriptor))
    }
}
