import EventLoop
import HTTP
import HTTPServer
import Testing

@testable import HTTPClient

@Suite("HTTP client: bodies in pieces")
struct StreamingTests {
    /// Counts a body's octets, and checks that each is the low byte of its place.
    private static let count = route(.post, "/count") { request in
        var (total, wrong) = (0, 0)
        for try await piece in request.body {
            for (index, octet) in piece.enumerated() where octet != UInt8(truncatingIfNeeded: total + index) {
                wrong += 1
            }
            total += piece.count
        }
        return .text(.ok, "\(total) \(wrong) \(request.head["content-length"] ?? "chunked")")
    }

    private static func pattern(from start: Int, _ count: Int) -> [UInt8] {
        (start..<(start + count)).map { UInt8(truncatingIfNeeded: $0) }
    }

    /// A body of so many octets in pieces of odd sizes.
    private static func body(_ total: Int, length: Int?) -> ClientRequest.Body {
        .stream(length: length) { writer in
            var sent = 0
            while sent < total {
                let piece = pattern(from: sent, min(30_011, total - sent))
                try await writer.write(piece)
                sent += piece.count
            }
        }
    }

    @Test("A request's body goes over whole, in chunks or with a length", arguments: [0, 1, 65_536, 3_000_000])
    func upload(_ total: Int) async throws {
        try await Bench.run([Self.count]) { bench in
            for length in [nil, total] {
                let request = ClientRequest(.post, bench.url("/count"), body: Self.body(total, length: length))
                let text = try await bench.client.collect(request).text
                #expect(text == "\(total) 0 \(length.map { String($0) } ?? "chunked")")
            }
            let bytes = ClientRequest(.post, bench.url("/count"), body: .bytes(Self.pattern(from: 0, total)))
            let text = try await bench.client.collect(bytes).text
            #expect(text == "\(total) 0 \(total)")
        }
    }

    /// Makes so many other requests that a transfer which nothing holds back would long be over.
    private func others(_ bench: Bench) async throws {
        for _ in 0..<300 { _ = try await bench.get("/hello") }
    }

    @Test("A writer waits for a server that does not read")
    func uploadBackPressure() async throws {
        let (begun, gate) = (Gate(), Gate())
        let wait = route(.post, "/wait") { request in
            var total = 0
            for try await piece in request.body {
                if total == 0 {
                    begun.open()
                    await gate.passed()
                }
                total += piece.count
            }
            return .text(.ok, "\(total)")
        }
        try await Bench.run([wait, hello]) { bench in
            let written = Tally()
            let total = 64 << 20
            let body = ClientRequest.Body.stream(length: nil) { writer in
                let piece = [UInt8](repeating: 1, count: 65_536)
                for _ in 0..<(total / piece.count) {
                    try await writer.write(piece)
                    written.add(piece.count)
                }
            }
            var limits = TransferLimits()
            limits.whole = .seconds(300)
            let request = ClientRequest(.post, bench.url("/wait"), body: body, limits: limits)
            try await withThrowingTaskGroup(of: String.self) { group in
                group.addTask { try await bench.client.collect(request).text }
                await begun.passed()
                try await others(bench)
                #expect((1..<(total / 2)).contains(written.value))
                gate.open()
                let text = try await group.next()
                #expect(text == "\(total)")
            }
        }
    }

    @Test("A server waits for a reader that does not read")
    func downloadBackPressure() async throws {
        let sent = Tally()
        let total = 64 << 20
        let flood = route(.get, "/flood") { _ in
            .stream(.ok, "application/octet-stream") { writer in
                let piece = [UInt8](repeating: 1, count: 65_536)
                for _ in 0..<(total / piece.count) {
                    try await writer.write(piece)
                    sent.add(piece.count)
                }
            }
        }
        try await Bench.run([flood, hello], settings: { $0.limits.body = total }) { bench in
            let received = try await bench.client.withResponse(to: ClientRequest(.get, bench.url("/flood"))) {
                response in
                try await others(bench)
                #expect((1..<(total / 2)).contains(sent.value))
                var received = 0
                for try await piece in response.body {
                    #expect(piece.count <= 2 * TransferState.mark)
                    received += piece.count
                }
                return received
            }
            #expect(received == total)
        }
    }

    @Test("Both directions at once: the answer is read while the request is written")
    func duplex() async throws {
        let echo = route(.post, "/echo") { request in
            let body = request.body
            return .stream(.ok, "application/octet-stream") { writer in
                for try await piece in body { try await writer.write(piece) }
            }
        }
        try await Bench.run([echo], settings: { $0.limits.body = 8 << 20 }) { bench in
            let total = 4 << 20
            let request = ClientRequest(.post, bench.url("/echo"), body: Self.body(total, length: nil))
            let body = try await bench.client.collect(request).body
            #expect(body == Self.pattern(from: 0, total))
        }
    }

    private struct Broken: Error {}

    @Test("A body that fails, is too long or too short fails the request")
    func failing() async throws {
        try await Bench.run([Self.count]) { bench in
            func post(_ body: ClientRequest.Body) async -> HTTPClientError? {
                do throws(HTTPClientError) {
                    _ = try await bench.client.collect(ClientRequest(.post, bench.url("/count"), body: body))
                    return nil
                } catch {
                    return error
                }
            }
            let broken = await post(
                .stream(length: nil) { writer in
                    try await writer.write("abc")
                    throw Broken()
                })
            #expect(broken?.code == .bodyFailed && broken?.underlying is Broken)
            let long = await post(.stream(length: 2) { try await $0.write("abc") })
            #expect(long?.code == .bodyFailed)
            let short = await post(.stream(length: 4) { try await $0.write("abc") })
            #expect(short?.code == .bodyFailed)
            let request = ClientRequest(.post, bench.url("/count"), body: Self.body(10, length: 10))
            let text = try await bench.client.collect(request).text
            #expect(text == "10 0 10")
        }
    }

    @Test("An answer that comes before the body has been written ends the writing")
    func earlyAnswer() async throws {
        try await RawServer.run({ peer in
            _ = try await peer.receiveHead()
            try await peer.send("HTTP/1.1 413 Content Too Large\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno")
            try await peer.end()
        }) { server in
            try await Bench.run { bench in
                let ended = Gate()
                let body = ClientRequest.Body.stream(length: nil) { writer in
                    defer { ended.open() }
                    while true { try await writer.write([UInt8](repeating: 0, count: 10_000)) }
                }
                let response = try await bench.client.collect(ClientRequest(.post, server.url, body: body))
                #expect(response.status == .payloadTooLarge && response.text == "no" && ended.isOpen)
            }
        }
    }

    @Test("A body that is not read to its end is cut off, and of no use afterwards")
    func unread() async throws {
        let endless = route(.get, "/endless") { _ in
            .stream(.ok, "text/plain") { writer in
                while true { try await writer.write([UInt8](repeating: 0x61, count: 10_000)) }
            }
        }
        try await Bench.run([endless]) { bench in
            let body = try await bench.client.withResponse(to: ClientRequest(.get, bench.url("/endless"))) { response in
                let first = try await response.body.next()
                #expect(first?.isEmpty == false)
                return response.body
            }
            let code = await reason { _ = try await body.next() }
            #expect(code == .closed && bench.metric("transfers") == 0)
        }
    }
}
