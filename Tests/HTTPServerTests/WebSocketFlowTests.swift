import EventLoop
import HTTP
import HTTPServer
import Testing

/// Back-pressure in both directions, and several senders.
@Suite struct WebSocketFlowTests {
    private typealias Client = WebSocketClient

    /// A handler that does not receive holds up its client: what is on its way is bounded by the kernel's buffers.
    @Test func aHandlerThatDoesNotReceiveHoldsUpTheClient() async throws {
        let gate = Gate()
        let total = Tally()
        let route = webSocket { socket in
            await gate.passed()
            while let message = try await socket.receive() { total.add(message.octets.count) }
        }
        try await TestServer.run([route]) { server in
            let socket = try await server.openWebSocket()
            defer { socket.client.close() }
            let frame = Client.frame(2, [UInt8](repeating: 7, count: 100_000))
            var frames = 0
            var sent = 0
            while frames < 1000 {
                let count = try socket.client.trySend(frame, from: sent)
                if count == 0 {
                    await server.settle()
                    if try socket.client.trySend(frame, from: sent) == 0 { break }
                    Issue.record("the server read on")
                    return
                }
                sent += count
                if sent == frame.count {
                    sent = 0
                    frames += 1
                }
            }
            #expect(frames < 300, "the client was not held up")
            gate.open()
            try await socket.send(Array(frame[sent...]), Client.close(1000))
            #expect(try await socket.nextButPings().closeCode == 1000)
            #expect(total.value == (frames + 1) * 100_000)
        }
    }

    @Test func aSlowReaderHoldsUpTheSender() async throws {
        let sent = Tally()
        let message = WebSocketMessage.binary([UInt8](repeating: 7, count: 1 << 16))
        let route = webSocket { socket in
            for _ in 0..<1000 {
                try await socket.send(message)
                sent.add(1)
            }
        }
        try await TestServer.run([route]) { server in
            let socket = try await server.openWebSocket()
            defer { socket.client.close() }
            var last = -1
            while sent.value != last {
                last = sent.value
                for _ in 0..<20 { await server.settle() }
            }
            #expect(last < 500, "the sender was not held up")
            for _ in 0..<1000 { #expect(try await socket.next().payload.count == 1 << 16) }
            #expect(try await socket.next().closeCode == 1000)
        }
    }

    @Test func aReaderThatStopsEndsTheSender() async throws {
        let ended = Gate()
        let route = webSocket({ $0.closeTimeout = .milliseconds(50) }) { socket in
            defer { ended.open() }
            let message = WebSocketMessage.binary([UInt8](repeating: 7, count: 1 << 18))
            while true { try await socket.send(message) }
        }
        try await TestServer.run([route], limits: { $0.writeTimeout = .milliseconds(50) }) { server in
            let socket = try await server.openWebSocket()
            defer { socket.client.close() }
            await ended.passed()
        }
    }

    /// Pings of a client that does not read its pongs do not pile up.
    @Test func pongsAreBounded() async throws {
        try await TestServer.run([webSocket({ $0.sendBuffer = 10_000 }, webSocketEcho)]) { server in
            let socket = try await server.openWebSocket()
            defer { socket.client.close() }
            let pings = (0..<400).flatMap { _ in Client.frame(9, [UInt8](repeating: 7, count: 125)) }
            var total = 0
            var isHeldUp = false
            while total < 64 << 20, !isHeldUp {
                var sent = 0
                while sent < pings.count, !isHeldUp {
                    let count = try socket.client.trySend(pings, from: sent)
                    sent += count
                    if count == 0 {
                        for _ in 0..<20 { await server.settle() }
                        isHeldUp = try socket.client.trySend(pings, from: sent) == 0
                        if !isHeldUp { return }
                    }
                }
                total += sent
            }
            #expect(isHeldUp, "\(total) octets of pings were taken")
        }
    }

    /// Frames of several tasks, some off the loop, go out whole, and each task's in order.
    @Test func severalTasksMaySend() async throws {
        let route = webSocket { socket in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for task in 0..<8 {
                    group.addTask(executorPreference: task % 2 == 0 ? nil : globalConcurrentExecutor) {
                        for number in 0..<200 {
                            let text = String(repeating: "\(task) \(number) ", count: 100 * (task + 1))
                            try await socket.send(.text(text))
                        }
                    }
                }
                try await group.waitForAll()
            }
        }
        try await TestServer.run([route]) { server in
            let socket = try await server.openWebSocket()
            defer { socket.client.close() }
            var next = [Int](repeating: 0, count: 8)
            for _ in 0..<1600 {
                let words = try await socket.next().text.split(separator: " ")
                let task = try #require(Int(words[0]))
                #expect(Int(words[1]) == next[task] && words.count == 200 * (task + 1))
                next[task] += 1
            }
            #expect(try await socket.next().closeCode == 1000)
        }
    }

    /// A sender that is cancelled cuts no frame in two.
    @Test func aCancelledSenderLeavesWholeFrames() async throws {
        let piece = [UInt8](repeating: 7, count: 1 << 20)
        let held = Gate()
        let route = webSocket { socket in
            await withTaskGroup(of: Void.self) { group in
                group.addTask {
                    while !Task.isCancelled { try? await socket.send(.binary(piece)) }
                }
                group.addTask { await held.passed() }
                await group.next()
                if !held.isOpen { Issue.record("the sender ended by itself") }
                group.cancelAll()
            }
            try await socket.send(.text("after it"))
        }
        try await TestServer.run([route]) { server in
            let socket = try await server.openWebSocket()
            defer { socket.client.close() }
            for _ in 0..<50 { await server.settle() }
            held.open()
            var frame = try await socket.next()
            while frame.opcode == 2 {
                #expect(frame.payload.count == 1 << 20)
                frame = try await socket.next()
            }
            #expect(frame == .text("after it"))
            #expect(try await socket.next().closeCode == 1000)
        }
    }
}
