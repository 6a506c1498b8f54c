import CLinux
import EventLoop

/// An HTTP answer as it came over the wire.
struct Answer: Equatable {
    var status: Int
    var fields: [String: String]
    var body: String

    /// Nil unless `octets` begin with one whole answer; 1xx count as answers without a body. `atEnd` says that no more
    /// will come, which ends a body of unknown length.
    static func parse(_ octets: [UInt8], isHead: Bool = false, atEnd: Bool = false) -> (answer: Answer, length: Int)? {
        guard let end = find(Array("\r\n\r\n".utf8), in: octets, from: 0) else { return nil }
        let lines = String(decoding: octets[..<end], as: UTF8.self).split(separator: "\r\n")
        guard let status = lines.first.flatMap({ Int($0.split(separator: " ")[1]) }) else { return nil }
        var fields: [String: String] = [:]
        for line in lines.dropFirst() {
            let parts = line.split(separator: ":", maxSplits: 1)
            fields[parts[0].lowercased()] = parts[1].trimmingSpaces
        }
        let start = end + 4
        if isHead || status < 200 || status == 204 || status == 304 {
            return (Answer(status: status, fields: fields, body: ""), start)
        }
        if fields["transfer-encoding"] == "chunked" {
            guard let (body, length) = dechunk(octets, from: start) else { return nil }
            return (Answer(status: status, fields: fields, body: body), length)
        }
        let announced = fields["content-length"].flatMap { Int($0) }
        guard let length = announced ?? (atEnd ? octets.count - start : nil), octets.count >= start + length else {
            return nil
        }
        let body = String(decoding: octets[start..<(start + length)], as: UTF8.self)
        return (Answer(status: status, fields: fields, body: body), start + length)
    }

    private static func dechunk(_ octets: [UInt8], from start: Int) -> (String, Int)? {
        var body: [UInt8] = []
        var at = start
        while let lineEnd = find([13, 10], in: octets, from: at) {
            guard let size = Int(String(decoding: octets[at..<lineEnd], as: UTF8.self), radix: 16) else { return nil }
            let data = lineEnd + 2
            guard octets.count >= data + size + 2 else { return nil }
            if size == 0 { return (String(decoding: body, as: UTF8.self), data + 2) }
            body.append(contentsOf: octets[data..<(data + size)])
            at = data + size + 2
        }
        return nil
    }

    private static func find(_ pattern: [UInt8], in octets: [UInt8], from start: Int) -> Int? {
        guard octets.count >= start + pattern.count else { return nil }
        return (start...(octets.count - pattern.count)).first { at in
            pattern.indices.allSatisfy { octets[at + $0] == pattern[$0] }
        }
    }
}

extension Substring {
    fileprivate var trimmingSpaces: String { String(drop { $0 == " " }) }
}

/// A TCP client on an event loop, which speaks exactly the octets it is given.
final class TestClient: Sendable {
    struct Gone: Error {}

    private let descriptor: PolledDescriptor

    /// Must be called on the loop.
    init(port: UInt16, loop: EventLoop) throws {
        let fd = unsafe clinux_connect_tcp("127.0.0.1", port)
        guard fd >= 0 else { throw Gone() }
        descriptor = try PolledDescriptor(adopting: fd, owned: true, loop: loop)
    }

    /// A test that fails leaves its clients: they must not end the process that tells why.
    deinit { descriptor.close() }

    func close() { descriptor.close() }
    func shutdownWrite() { _ = clinux_shutdown_write(descriptor.fd) }

    /// One write without waiting; how many octets it took.
    func trySend(_ octets: [UInt8], from start: Int = 0) throws -> Int {
        let count = unsafe octets.withUnsafeBytes { bytes in
            unsafe clinux_send(descriptor.fd, bytes.baseAddress.map { unsafe $0 + start }, bytes.count - start)
        }
        if count >= 0 { return count }
        if count == -11 { return 0 }
        throw Gone()
    }

    func send(_ octets: [UInt8]) async throws {
        var sent = 0
        while sent < octets.count {
            let count = try trySend(octets, from: sent)
            sent += count
            if count == 0 { try await descriptor.waitWritable(until: .now + .seconds(30)) }
        }
    }

    func send(_ text: String) async throws { try await send(Array(text.utf8)) }

    /// What comes next, at most `limit` octets; empty at the end. A reset counts as an end.
    func receive(limit: Int = 65_536) async throws -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: limit)
        while true {
            let count = unsafe buffer.withUnsafeMutableBytes { bytes in
                unsafe clinux_receive(descriptor.fd, bytes.baseAddress, bytes.count)
            }
            if count >= 0 { return Array(buffer[..<count]) }
            guard count == -11 else { return [] }
            try await descriptor.waitReadable(until: .now + .seconds(30))
        }
    }

    /// All octets up to the end.
    func receiveAll() async throws -> [UInt8] {
        var all: [UInt8] = []
        while true {
            let piece = try await receive()
            if piece.isEmpty { return all }
            all.append(contentsOf: piece)
        }
    }

    /// The next `count` answers, which must be all that comes meanwhile.
    func answers(_ count: Int, isHead: Bool = false) async throws -> [Answer] {
        var octets: [UInt8] = []
        var answers: [Answer] = []
        while answers.count < count {
            while answers.count < count, let (answer, length) = Answer.parse(octets, isHead: isHead) {
                answers.append(answer)
                octets.removeFirst(length)
            }
            if answers.count == count { break }
            let piece = try await receive()
            if piece.isEmpty { throw Gone() }
            octets.append(contentsOf: piece)
        }
        guard octets.isEmpty else { throw Gone() }
        return answers
    }

    func answer(isHead: Bool = false) async throws -> Answer {
        try await answers(1, isHead: isHead)[0]
    }
}
