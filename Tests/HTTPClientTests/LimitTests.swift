import CLinux
import EventLoop
import HTTP
import HTTPServer
import Testing

@testable import HTTPClient

/// Servers that are slow, or say too much. The bounds on times are there to tell a limit of milliseconds from none.
@Suite("HTTP client: limits")
struct LimitTests {
    private static let whole = Duration.milliseconds(150)

    private func limits(_ change: (inout TransferLimits) -> Void) -> TransferLimits {
        var limits = TransferLimits()
        change(&limits)
        return limits
    }

    /// What a request with `limits` to a server that follows `script` fails with, and after how long.
    private func failure(
        _ limits: TransferLimits, _ script: @escaping @Sendable (RawServer.Peer) async throws -> Void
    ) async throws -> (error: HTTPClientError?, time: Duration) {
        nonisolated(unsafe) var failure: HTTPClientError?
        nonisolated(unsafe) var time = Duration.zero
        try await RawServer.run(script) { server in
            try await Bench.run { bench in
                let start = ContinuousClock.now
                do throws(HTTPClientError) {
                    _ = try await bench.client.collect(ClientRequest(.get, server.url, limits: limits))
                } catch {
                    unsafe failure = error
                }
                unsafe time = ContinuousClock.now - start
                #expect(bench.metric("transfers") == 0)
            }
        }
        return unsafe (failure, time)
    }

    // MARK: Time

    @Test("A server that never answers")
    func silent() async throws {
        let (error, time) = try await failure(limits { $0.whole = Self.whole }) { peer in
            _ = try await peer.receiveHead()
            try await peer.end()
        }
        #expect(error?.code == .timedOut)
        #expect((Self.whole..<Duration.seconds(20)).contains(time))
    }

    @Test("A server that dribbles: each octet in time, the whole not", arguments: ["head", "body", "chunks"])
    func dribbling(_ part: String) async throws {
        let (error, time) = try await failure(limits { $0.whole = Self.whole }) { peer in
            _ = try await peer.receiveHead()
            switch part {
            case "head": try await peer.send("HTTP/1.1 200 OK\r\nx: ")
            case "body": try await peer.send("HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
            default: try await peer.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffff\r\n")
            }
            while true {
                try await peer.send("a")
                try await peer.descriptor.loop.sleep(for: .milliseconds(5))
            }
        }
        #expect(error?.code == .timedOut)
        #expect((Self.whole..<Duration.seconds(20)).contains(time))
    }

    @Test("A transfer slower than its minimum rate ends before the whole limit")
    func slow() async throws {
        let slow = limits {
            $0.rate = 1000
            $0.rateGrace = .seconds(1)
        }
        let (error, time) = try await failure(slow) { peer in
            _ = try await peer.receiveHead()
            try await peer.send("HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
            while true {
                try await peer.send("a")
                try await peer.descriptor.loop.sleep(for: .milliseconds(20))
            }
        }
        #expect(error?.code == .timedOut && error?.message.contains("too slow") == true)
        #expect(time < .seconds(30))
    }

    @Test("A server that takes no connection")
    func noConnection() async throws {
        let listener = unsafe clinux_listen_tcp("127.0.0.1", 0, 0)
        defer { _ = clinux_close(listener) }
        let port = UInt16(clinux_local_port(listener))
        // The queue holds one that nobody accepts; the kernel then drops what else knocks.
        let filler = unsafe clinux_connect_tcp("127.0.0.1", port)
        defer { _ = clinux_close(filler) }
        try await Bench.run { bench in
            let limits = limits { $0.connect = Self.whole }
            let request = ClientRequest(.get, "http://127.0.0.1:\(port)/", limits: limits)
            let start = ContinuousClock.now
            let code = await reason { _ = try await bench.client.collect(request) }
            #expect(code == .timedOut)
            #expect((Self.whole..<Duration.seconds(20)).contains(ContinuousClock.now - start))
        }
    }

    @Test("A server that has gone, and one that goes")
    func gone() async throws {
        let listener = unsafe clinux_listen_tcp("127.0.0.1", 0, 1)
        let port = UInt16(clinux_local_port(listener))
        _ = clinux_close(listener)
        try await Bench.run { bench in
            let code = await reason {
                _ = try await bench.client.collect(ClientRequest(.get, "http://127.0.0.1:\(port)/"))
            }
            #expect(code == .connectFailed)
        }
        let (empty, _) = try await failure(TransferLimits()) { _ = try await $0.receiveHead() }
        let (short, _) = try await failure(TransferLimits()) { peer in
            _ = try await peer.receiveHead()
            try await peer.send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc")
        }
        #expect(empty?.code == .connectionLost && short?.code == .connectionLost)
    }

    @Test("A name server that does not answer: within the limit, and without holding up the loop")
    func noName() async throws {
        let names = HeldNames()
        try await Bench.run([hello], resolver: names) { bench in
            let limits = limits { $0.connect = Self.whole }
            let request = ClientRequest(.get, bench.url("/hello", host: "slow.test"), limits: limits)
            let code = await reason { _ = try await bench.client.collect(request) }
            #expect(code == .timedOut)
            let response = try await bench.get("/hello")
            #expect(response.text == "hello")
            // Its answer is good for the next request.
            names.answer(0, ["127.0.0.1"])
            let late = try await bench.client.collect(request)
            #expect(late.text == "hello" && names.names == ["slow.test"])
        }
    }

    // MARK: Sizes

    @Test("A head without end", arguments: ["one field", "fields", "interim answers", "trailers"])
    func endlessHead(_ kind: String) async throws {
        let (error, _) = try await failure(limits { $0.headFields = 1_000_000 }) { peer in
            _ = try await peer.receiveHead()
            switch kind {
            case "one field": try await peer.send("HTTP/1.1 200 OK\r\nx: ")
            case "trailers": try await peer.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n")
            default: try await peer.send("HTTP/1.1 103 Early Hints\r\n")
            }
            let piece: String =
                switch kind {
                case "one field": String(repeating: "a", count: 1000)
                case "interim answers": "\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n"
                default: "a: \(String(repeating: "b", count: 50))\r\n"
                }
            while true { try await peer.send(piece) }
        }
        #expect(error?.code == .tooLarge)
    }

    @Test("A head with too many fields")
    func manyFields() async throws {
        let (error, _) = try await failure(limits { $0.headFields = 10 }) { peer in
            _ = try await peer.receiveHead()
            let fields = (0..<11).map { "x\($0): a\r\n" }.joined()
            try await peer.send("HTTP/1.1 200 OK\r\n\(fields)\r\n")
            try await peer.end()
        }
        #expect(error?.code == .tooLarge)
    }

    @Test("A body without end", arguments: ["chunked", "until the end"])
    func endlessBody(_ kind: String) async throws {
        let (error, _) = try await failure(limits { $0.body = 1_000_000 }) { peer in
            _ = try await peer.receiveHead()
            let isChunked = kind == "chunked"
            try await peer.send("HTTP/1.1 200 OK\r\n\(isChunked ? "transfer-encoding: chunked\r\n" : "")\r\n")
            let data = String(repeating: "a", count: 0x1000)
            while true { try await peer.send(isChunked ? "1000\r\n\(data)\r\n" : data) }
        }
        #expect(error?.code == .tooLarge)
    }

    @Test("A body is taken up to its limit exactly, announced or not", arguments: [true, false], [1000, 1001])
    func exactBody(_ isAnnounced: Bool, _ count: Int) async throws {
        let (error, _) = try await failure(limits { $0.body = 1000 }) { peer in
            _ = try await peer.receiveHead()
            try await peer.send("HTTP/1.1 200 OK\r\n\(isAnnounced ? "content-length: \(count)\r\n" : "")\r\n")
            try await peer.send(String(repeating: "a", count: count))
        }
        #expect(error?.code == (count > 1000 ? .tooLarge : nil))
    }

    @Test("An announced body that is too large is refused before it comes")
    func announced() async throws {
        let (error, _) = try await failure(limits { $0.body = 1000 }) { peer in
            _ = try await peer.receiveHead()
            try await peer.send("HTTP/1.1 200 OK\r\ncontent-length: 1001\r\n\r\n")
            try await peer.end()
        }
        #expect(error?.code == .tooLarge)
    }

    @Test("A streamed body keeps to the limit, too, and what came before is read")
    func streamed() async throws {
        let endless = route(.get, "/endless") { _ in
            .stream(.ok, "text/plain") { writer in
                while true { try await writer.write([UInt8](repeating: 0x61, count: 10_000)) }
            }
        }
        try await Bench.run([endless]) { bench in
            let limits = limits { $0.body = 500_000 }
            let received = Tally()
            let code = await reason {
                let request = ClientRequest(.get, bench.url("/endless"), limits: limits)
                try await bench.client.withResponse(to: request) { response in
                    for try await piece in response.body { received.add(piece.count) }
                }
            }
            #expect(code == .tooLarge && (1...500_000).contains(received.value))
        }
    }

    // MARK: What is no HTTP

    @Test(
        "Answers that are not HTTP",
        arguments: [
            "SSH-2.0-OpenSSH_9.2\r\n", "HTTP/0.9 200 OK\r\n\r\n", "HTTP/1.1 abc OK\r\n\r\n", "HTTP/1.1 999 x\r\n\r\n",
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n", "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
            "HTTP/1.1 200 OK\r\n: empty\r\n\r\n", "HTTP/1.1 200 OK\r\na b: c\r\n\r\n",
            "HTTP/1.1 200 OK\r\na: b\r\n folded\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: abc\r\n\r\n", "HTTP/1.1 200 OK\r\na: b\u{0}c\r\n\r\n",
        ])
    func malformed(_ answer: String) async throws {
        let (error, _) = try await failure(limits { $0.whole = .seconds(10) }) { peer in
            _ = try await peer.receiveHead()
            try await peer.send(answer)
        }
        let codes: [HTTPClientError.Code?] = [.protocolViolation, .connectionLost]
        #expect(codes.contains(error?.code), "\(String(describing: error))")
    }

    // MARK: Places

    @Test("So many requests at a time, so many to an origin, so many that wait")
    func places() async throws {
        let gate = Gate()
        let running = Tally()
        let arrived = Gate()
        let wait = route(.get, "/wait") { _ in
            if running.add() == 2 { arrived.open() }
            await gate.passed()
            return .text(.ok, "done")
        }
        try await Bench.run(
            [wait, hello], at: ["127.0.0.1", "127.0.0.2"],
            settings: {
                $0.transfers = 3
                $0.transfersPerOrigin = 2
                $0.waiting = 1
            }
        ) { bench in
            // Once this is answered the client runs: before that requests wait, and here only one may.
            _ = try await bench.get("/hello")
            try await withThrowingTaskGroup(of: String.self) { group in
                for _ in 0..<2 { group.addTask { try await bench.get("/wait").text } }
                await arrived.passed()
                // A third to the same origin has to wait; one to another has its place.
                let limits = limits { $0.whole = .milliseconds(50) }
                let third = ClientRequest(.get, bench.url("/hello"), limits: limits)
                let code = await reason { _ = try await bench.client.collect(third) }
                #expect(code == .timedOut)
                let other = try await bench.get("/hello", host: "127.0.0.2")
                #expect(other.text == "hello")
                // While one waits, a further one is turned away at once.
                let turnedAway = await overload(bench)
                #expect(turnedAway == [.overloaded, .overloaded])
                gate.open()
                let texts = try await group.reduce(into: []) { $0.append($1) }
                #expect(texts == ["done", "done"])
            }
            let after = try await bench.get("/hello")
            #expect(after.text == "hello")
        }
    }

    /// Three more requests for the full origin: two of them find that one waits already. Their reasons.
    private func overload(_ bench: Bench) async -> [HTTPClientError.Code] {
        await withTaskGroup(of: HTTPClientError.Code?.self) { group in
            for _ in 0..<3 { group.addTask { await reason { _ = try await bench.get("/hello") } } }
            var codes: [HTTPClientError.Code] = []
            while codes.count < 2, let next = await group.next() { codes += next.map { [$0] } ?? [] }
            group.cancelAll()
            return codes
        }
    }
}
