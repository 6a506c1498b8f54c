import CLinux
import CNameLookup
import EventLoop
import Glibc
import HTTP
import Synchronization

@testable import HTTPClient

/// A DNS server on loopback (RFC 1035, over UDP) for one zone that it answers as a test says, with a time to live of 0.
final class NameServer: Sendable {
    /// The answer to the nth question for a name's IPv4 addresses, from 0.
    typealias Zone = @Sendable (_ name: String, _ index: Int) -> [String]

    let port: UInt16
    private let asked = Mutex<[String: Int]>([:])

    private init(port: UInt16) { self.port = port }

    /// How often a name's addresses were asked for.
    func count(_ name: String) -> Int { asked.withLock { $0[name] ?? 0 } }

    /// Runs `body` while questions are answered from `zone`.
    static func run(_ zone: @escaping Zone, _ body: @Sendable (NameServer) async throws -> Void) async throws {
        let loops = try EventLoopGroup(count: 1, name: "name-server")
        let loop = loops.loops[0]
        let fd = socket(AF_INET, CInt(SOCK_DGRAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let bound = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                unsafe bind(fd, pointer, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        precondition(bound == 0)
        let server = NameServer(port: UInt16(clinux_local_port(fd)))
        let result: Result<Void, any Error>
        do {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask(executorPreference: loop) { try await server.serve(fd, on: loop, zone) }
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

    private func serve(_ fd: CInt, on loop: EventLoop, _ zone: Zone) async throws {
        let descriptor = try PolledDescriptor(adopting: fd, owned: true, loop: loop)
        defer { descriptor.close() }
        var buffer = [UInt8](repeating: 0, count: 1500)
        while !Task.isCancelled {
            var from = sockaddr_storage()
            var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
            let count = unsafe withUnsafeMutablePointer(to: &from) { pointer in
                unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                    unsafe recvfrom(fd, &buffer, buffer.count, 0, pointer, &length)
                }
            }
            guard count > 0 else {
                try? await descriptor.waitReadable()
                continue
            }
            guard let answer = answer(Array(buffer[..<count]), zone) else { continue }
            unsafe withUnsafePointer(to: &from) { pointer in
                unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                    _ = unsafe sendto(fd, answer, answer.count, 0, pointer, length)
                }
            }
        }
    }

    /// The message that answers a question: its header with other flags, the question again, and addresses.
    private func answer(_ question: [UInt8], _ zone: Zone) -> [UInt8]? {
        guard question.count > 16 else { return nil }
        var labels: [String] = []
        var at = 12
        while at < question.count, question[at] != 0 {
            let end = at + 1 + Int(question[at])
            guard end < question.count else { return nil }
            labels.append(String(decoding: question[(at + 1)..<end], as: UTF8.self))
            at = end
        }
        guard at + 5 <= question.count else { return nil }
        let name = labels.joined(separator: ".").lowercased()
        let isV4 = question[at + 1] == 0 && question[at + 2] == 1
        var addresses: [String] = []
        if isV4 {
            let index = asked.withLock { asked in
                asked[name, default: 0] += 1
                return (asked[name] ?? 1) - 1
            }
            addresses = zone(name, index)
        }
        let records = addresses.compactMap { IPAddress($0) }
        var message = Array(question[0..<2]) + [0x84, 0, 0, 1, 0, UInt8(records.count), 0, 0, 0, 0]
        message += question[12..<(at + 5)]
        for record in records {
            // The name by its place in the question, type A, class IN, no time to live, four octets.
            message += [0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]
            message += stride(from: 24, through: 0, by: -8).map { UInt8(truncatingIfNeeded: record.bits >> $0) }
        }
        return message
    }
}

/// The system's resolver, asking a test's name server.
struct ServedNames: NameResolver {
    let server: NameServer

    func resolve(_ name: String, _ done: @escaping @Sendable ([IPAddress]) -> Void) {
        let port = server.port
        BlockingCalls.start {
            var text = [CChar](repeating: 0, count: 1024)
            unsafe cnamelookup(name, port, &text, CInt(text.count))
            let bytes = text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
            done(String(decoding: bytes, as: UTF8.self).split(separator: " ").compactMap { IPAddress($0) })
        }
    }
}
