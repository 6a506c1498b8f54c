import Foundation
import Glibc
import JSON

/// An HTTP client on a blocking socket of its own, on threads of its own: it reads as slowly, and leaves as early, as a
/// test wants.
final class QueryClient: Sendable {
    struct Gone: Error {}

    struct Answer: Sendable {
        var status: Int
        /// By names in lower case.
        var headers: [String: String]
        var body: [UInt8]
        /// False when a chunked body was not terminated.
        var isComplete: Bool

        var contentType: String { headers["content-type"] ?? "" }
        var text: String { String(decoding: body, as: UTF8.self) }
        var json: JSONValue { (try? JSONValue.parse(body)) ?? .null }
        var code: String { json["code"]?.string ?? "" }
        var rows: JSONValue { json["rows"] ?? .null }
        var rowsText: String { String(decoding: rows.serialized(), as: UTF8.self) }
    }

    private static let queue = DispatchQueue(label: "query clients", attributes: .concurrent)
    private let fd: Int32

    init(port: UInt16) throws {
        fd = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let connected = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe connect(fd, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard connected == 0 else { throw Gone() }
    }

    deinit { close(fd) }

    /// Leaves, as a client whose user has lost patience.
    func leave() { _ = shutdown(fd, Int32(SHUT_RDWR)) }

    func send(_ text: String) async throws {
        try await Self.offThread { [fd] in
            let bytes = Array(text.utf8)
            var sent = 0
            while sent < bytes.count {
                let count = unsafe bytes.withUnsafeBytes { bytes in
                    unsafe Glibc.send(
                        fd, bytes.baseAddress.map { unsafe $0 + sent }, bytes.count - sent,
                        Int32(MSG_NOSIGNAL))
                }
                guard count > 0 else { throw Gone() }
                sent += count
            }
        }
    }

    /// What comes next; empty at the end.
    func receive(_ most: Int = 1 << 16) async throws -> [UInt8] {
        try await Self.offThread { [fd] in
            var buffer = [UInt8](repeating: 0, count: most)
            let count = unsafe buffer.withUnsafeMutableBytes { unsafe recv(fd, $0.baseAddress, $0.count, 0) }
            return count > 0 ? Array(buffer[..<count]) : []
        }
    }

    /// The answer, up to the connection's end.
    func answer() async throws -> Answer {
        var all: [UInt8] = []
        while true {
            let piece = try await receive()
            if piece.isEmpty { break }
            all += piece
        }
        return try Self.parse(all)
    }

    private static func parse(_ octets: [UInt8]) throws -> Answer {
        let mark = Array("\r\n\r\n".utf8)
        guard let end = octets.indices.first(where: { octets[$0...].starts(with: mark) }) else { throw Gone() }
        let lines = String(decoding: octets[..<end], as: UTF8.self).components(separatedBy: "\r\n")
        var fields: [String: String] = [:]
        for line in lines.dropFirst() {
            let parts = line.split(separator: ":", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
            fields[parts[0].lowercased()] = parts[1]
        }
        let status = lines.first.flatMap { Int($0.split(separator: " ")[1]) } ?? 0
        var answer = Answer(
            status: status, headers: fields, body: Array(octets[(end + 4)...]), isComplete: true)
        if fields["transfer-encoding"] == "chunked" { dechunk(&answer) }
        return answer
    }

    private static func dechunk(_ answer: inout Answer) {
        let octets = answer.body
        var body: [UInt8] = []
        var at = 0
        answer.isComplete = false
        while let lineEnd = octets[at...].firstIndex(of: 13),
            let size = Int(String(decoding: octets[at..<lineEnd], as: UTF8.self), radix: 16)
        {
            if size == 0 {
                answer.isComplete = true
                break
            }
            let data = lineEnd + 2
            guard data + size + 2 <= octets.count else { break }
            body += octets[data..<(data + size)]
            at = data + size + 2
        }
        answer.body = body
    }

    private static func offThread<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
        try await withCheckedThrowingContinuation { continuation in
            queue.async { continuation.resume(with: Result { try body() }) }
        }
    }
}
