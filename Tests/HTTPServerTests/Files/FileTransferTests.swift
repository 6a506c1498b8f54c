import CLinux
import Dispatch
import EventLoop
import Glibc
import HTTP
import Synchronization
import Testing

@testable import HTTPServer

/// What becomes of a file that changes while it is sent, and of a client that is slower than the disk.
@Suite struct FileTransferTests {
    /// More than all sockets' buffers hold.
    private static let length = 24 << 20
    private static let zeros = [UInt8](repeating: 0, count: 1 << 16)

    /// Requests a file of zeros, changes it when the answer has begun, and counts what came of the body: octets, and
    /// pieces with others than zeros.
    private func transfer(_ change: @Sendable (FileTree) throws -> Void) async throws -> (octets: Int, others: Int) {
        let tree = try FileTree()
        try tree.makeSparse("zeros", length: FileTransferTests.length)
        let counts = Mutex((octets: 0, others: 0))
        try await TestServer.run(try tree.routes()) { server in
            let client = try server.connect()
            defer { client.close() }
            try await client.send("GET /zeros HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            var octets = try await client.receive(limit: 4096)
            let end = try #require(octets.indices.first { octets[$0...].starts(with: "\r\n\r\n".utf8) })
            #expect(
                String(decoding: octets[..<end], as: UTF8.self).contains("content-length: \(FileTransferTests.length)"))
            octets.removeFirst(end + 4)
            try change(tree)
            while !octets.isEmpty {
                let isZero = unsafe memcmp(octets, FileTransferTests.zeros, octets.count) == 0
                counts.withLock { $0 = ($0.octets + octets.count, $0.others + (isZero ? 0 : 1)) }
                octets = try await client.receive()
            }
        }
        return counts.withLock { $0 }
    }

    @Test func headTellsTheLengthOfWhatGetWouldStream() async throws {
        let tree = try FileTree()
        try tree.makeSparse("zeros", length: FileTransferTests.length)
        try await TestServer.run(try tree.routes()) { server in
            let client = try server.connect()
            defer { client.close() }
            try await client.send("HEAD /zeros HTTP/1.1\r\nHost: a\r\n\r\n")
            let answer = try await client.answer(isHead: true)
            #expect(answer.fields["content-length"] == "\(FileTransferTests.length)")
            #expect(answer.fields["transfer-encoding"] == nil)
        }
    }

    @Test func aFileThatShrinksBreaksTheAnswerOff() async throws {
        let came = try await transfer { try $0.resize("zeros", to: 100) }
        #expect(came.octets < FileTransferTests.length && came.others == 0)
    }

    @Test func aFileThatIsWrittenToBreaksTheAnswerOff() async throws {
        let came = try await transfer { try $0.overwriteEnd(of: "zeros") }
        #expect(came.octets < FileTransferTests.length && came.others == 0)
    }

    @Test func aFileThatIsReplacedIsSentToItsEnd() async throws {
        let came = try await transfer { tree in
            try tree.write("another file", to: "next")
            try tree.rename("next", to: "zeros")
        }
        #expect(came.octets == FileTransferTests.length && came.others == 0)
    }

    /// Takes some pieces of a stream, and then no more.
    private final class Reluctant: ResponseSink {
        private let pieces = Mutex<[Int]>([])
        private let limit: Int
        var sizes: [Int] { pieces.withLock { $0 } }

        init(limit: Int) {
            self.limit = limit
        }

        func write(_ bytes: [UInt8]) async throws {
            let count = pieces.withLock { pieces in
                pieces.append(bytes.count)
                return pieces.count
            }
            if count == limit { throw CancellationError() }
        }
    }

    /// One piece is read when the one before was taken, and none is large.
    @Test func piecesAreReadAsTheyAreTaken() async throws {
        let tree = try FileTree()
        try tree.makeSparse("zeros", length: 1 << 40)
        let application = Fixture.application(try tree.routes())
        let response = await application.respond(to: try Fixture.request(.get, "/zeros"))
        guard case .stream(let write) = response.body else { return #expect(Bool(false)) }
        #expect(response.headers["content-length"] == String(1 << 40))
        let sink = Reluctant(limit: 5)
        await #expect(throws: CancellationError.self) { try await write(ResponseWriter(sink)) }
        #expect(sink.sizes == Array(repeating: FileBody.piece, count: 5))
    }

    /// Where `FileCalls` is called on a loop it traps; so this says that what is called there is called elsewhere.
    @Test func readsLeaveTheLoop() async throws {
        let loops = try EventLoopGroup(count: 1, name: "files")
        defer { loops.shutdown() }
        let reads = FileReads(limit: 1)
        try await loops.loops[0].run {
            let thread = clinux_thread_id()
            let other = try await reads.run { () throws(StaticFilesError) in clinux_thread_id() }
            #expect(other != thread && clinux_thread_id() == thread)
        }
    }

    private final class Highest: Sendable {
        private let highest = Mutex(0)
        var value: Int { highest.withLock { $0 } }
        func note(_ value: Int) { highest.withLock { $0 = max($0, value) } }
    }

    @Test func soManyReadsRunAtATime() async throws {
        let reads = FileReads(limit: 3)
        let running = Tally()
        let most = Highest()
        let release = DispatchSemaphore(value: 0)
        try await withThrowingTaskGroup(of: Int.self) { group in
            for index in 0..<20 {
                group.addTask {
                    try await reads.run { () throws(StaticFilesError) in
                        running.add(1)
                        most.note(running.value)
                        release.wait()
                        running.add(-1)
                        return index
                    }
                }
            }
            while running.value < 3 { await Task.yield() }
            for _ in 0..<20 { release.signal() }
            var answers: Set<Int> = []
            for try await index in group { answers.insert(index) }
            #expect(answers.count == 20)
        }
        #expect(most.value == 3)
    }

    @Test func aReadThatFailsIsThrown() async throws {
        let reads = FileReads(limit: 1)
        await #expect(throws: StaticFilesError.changed) {
            try await reads.run { () throws(StaticFilesError) -> Int in throw .changed }
        }
        #expect(try await reads.run { () throws(StaticFilesError) in 7 } == 7)
    }

    @Test(arguments: [
        (StaticFilesError.changed, 503), (.system(call: "openat", errno: 24), 503),
        (.system(call: "pread", errno: 5), 500),
    ])
    func failuresAreProblems(_ error: StaticFilesError, _ status: Int) {
        #expect(error.problem.status.code == status)
    }
}
