import EventLoop
import Testing

@Suite struct PolledDescriptorTests {
    /// Gives `body` a registered socket and its far end, on the loop.
    private func withSocket(
        _ trigger: PolledDescriptor.Trigger,
        _ body: @Sendable (PolledDescriptor, CInt) async throws -> Void
    ) async throws {
        let pair = SocketPair()
        try await onLoop { loop in
            let descriptor = try PolledDescriptor(adopting: pair.near, owned: true, loop: loop, trigger: trigger)
            defer { descriptor.close() }
            try await body(descriptor, pair.far)
        }
        SocketPair.close(pair.far)
    }

    private func failure(
        of wait: () async throws(EventLoopError) -> Void
    ) async -> EventLoopError? {
        do throws(EventLoopError) {
            try await wait()
            return nil
        } catch {
            return error
        }
    }

    @Test(arguments: [PolledDescriptor.Trigger.level, .edge])
    func waitsForDataThatComesLater(trigger: PolledDescriptor.Trigger) async throws {
        try await withSocket(trigger) { descriptor, far in
            #expect(SocketPair.receive(from: descriptor.fd) == nil)
            async let sent: Void = SocketPair.send("one", to: far)
            while SocketPair.receive(from: descriptor.fd) != "one" { try await descriptor.waitReadable() }
            await sent
        }
    }

    /// libpq leaves data unread; a wait must still see it.
    @Test func aLevelWaitSeesDataLeftUnread() async throws {
        try await withSocket(.level) { descriptor, far in
            SocketPair.send("abcdef", to: far)
            try await descriptor.waitReadable()
            #expect(SocketPair.receive(from: descriptor.fd, limit: 2) == "ab")
            try await descriptor.waitReadable(until: .now + .seconds(30))
            #expect(SocketPair.receive(from: descriptor.fd, limit: 2) == "cd")
            try await descriptor.waitReadable(until: .now + .seconds(30))
            #expect(SocketPair.receive(from: descriptor.fd) == "ef")
        }
    }

    @Test(arguments: [PolledDescriptor.Trigger.level, .edge])
    func waitsForRoom(trigger: PolledDescriptor.Trigger) async throws {
        try await withSocket(trigger) { descriptor, far in
            let block = [UInt8](repeating: 7, count: 1 << 16)
            var sent = 0
            while true {
                let count = SocketPair.trySend(block, to: descriptor.fd)
                guard count > 0 else { break }
                sent += count
            }
            let full = await failure { () throws(EventLoopError) in
                try await descriptor.waitWritable(until: .now + .milliseconds(5))
            }
            #expect(full == .timedOut)
            while sent > 0 { sent -= SocketPair.receive(from: far, limit: 1 << 16)?.utf8.count ?? 0 }
            try await descriptor.waitWritable(until: .now + .seconds(30))
            #expect(SocketPair.trySend(block, to: descriptor.fd) > 0)
        }
    }

    @Test(arguments: [PolledDescriptor.Trigger.level, .edge])
    func aWaitEndsAtItsDeadline(trigger: PolledDescriptor.Trigger) async throws {
        try await withSocket(trigger) { descriptor, _ in
            let start = ContinuousClock.now
            for milliseconds in [20, 1, 40] {
                let end = await failure { () throws(EventLoopError) in
                    try await descriptor.waitReadable(until: start + .milliseconds(milliseconds))
                }
                #expect(end == .timedOut)
                #expect(ContinuousClock.now - start >= .milliseconds(milliseconds))
            }
        }
    }

    @Test func eachDirectionHasItsDeadline() async throws {
        try await withSocket(.edge) { descriptor, far in
            while SocketPair.trySend([UInt8](repeating: 1, count: 1 << 16), to: descriptor.fd) > 0 {}
            async let write = failure { () throws(EventLoopError) in
                try await descriptor.waitWritable(until: .now + .milliseconds(40))
            }
            let read = await failure { () throws(EventLoopError) in
                try await descriptor.waitReadable(until: .now + .milliseconds(10))
            }
            #expect(read == .timedOut)
            // A read deadline that passed must not have taken the write's timer with it.
            let second = await failure { () throws(EventLoopError) in
                try await descriptor.waitReadable(until: .now + .milliseconds(60))
            }
            let written = await write
            #expect(written == .timedOut && second == .timedOut)
        }
    }

    @Test(arguments: [PolledDescriptor.Trigger.level, .edge])
    func cancellationAndCloseEndAWait(trigger: PolledDescriptor.Trigger) async throws {
        try await withSocket(trigger) { descriptor, _ in
            let ends = await withTaskGroup(of: EventLoopError?.self) { group in
                group.addTask { await failure { () throws(EventLoopError) in try await descriptor.waitReadable() } }
                await Task.yield()
                group.cancelAll()
                return await group.next() ?? nil
            }
            #expect(ends == .cancelled)
            async let waiting = failure { () throws(EventLoopError) in try await descriptor.waitReadable() }
            await Task.yield()
            descriptor.close()
            #expect(await waiting == .closed)
            let late = await failure { () throws(EventLoopError) in try await descriptor.waitReadable() }
            #expect(late == .closed && descriptor.isClosed)
        }
    }

    @Test(arguments: [PolledDescriptor.Trigger.level, .edge])
    func anEndThatCameWithTheLastDataIsSeen(trigger: PolledDescriptor.Trigger) async throws {
        try await withSocket(trigger) { descriptor, far in
            SocketPair.send("last", to: far)
            SocketPair.shutdownWrite(far)
            try await descriptor.waitReadable()
            #expect(SocketPair.receive(from: descriptor.fd) == "last")
            try await descriptor.waitReadable(until: .now + .seconds(30))
            #expect(SocketPair.receive(from: descriptor.fd) == "")
        }
    }

    /// The number of a closed descriptor is reused at once; what epoll still holds for the old one must not reach it.
    @Test func aReusedNumberGetsNoOldEvents() async throws {
        try await onLoop { loop in
            for _ in 0..<200 {
                let pair = SocketPair()
                let descriptor = try PolledDescriptor(adopting: pair.near, owned: true, loop: loop, trigger: .edge)
                SocketPair.send("x", to: pair.far)
                descriptor.close()
                SocketPair.close(pair.far)
                let next = SocketPair()
                let other = try PolledDescriptor(adopting: next.near, owned: true, loop: loop, trigger: .edge)
                await Task.yield()
                #expect(SocketPair.receive(from: other.fd) == nil)
                other.close()
                SocketPair.close(next.far)
            }
        }
    }

    @Test func aDescriptorIsHandedToAnotherLoop() async throws {
        let pair = SocketPair()
        try await withLoops(2) { group in
            try await group.loops[0].run {
                let descriptor = try PolledDescriptor(adopting: pair.near, owned: false, loop: group.loops[0])
                SocketPair.send("a", to: pair.far)
                try await descriptor.waitReadable()
                descriptor.close()
            }
            try await group.loops[1].run {
                let descriptor = try PolledDescriptor(adopting: pair.near, owned: true, loop: group.loops[1])
                try await descriptor.waitReadable()
                #expect(SocketPair.receive(from: descriptor.fd) == "a")
                descriptor.close()
            }
        }
        SocketPair.close(pair.far)
    }

    @Test func aDescriptorThatCannotBePolledIsRefused() async throws {
        let refusal = try await onLoop { loop in
            #expect(throws: EventLoopError.self) {
                try PolledDescriptor(adopting: 1_000_000, owned: false, loop: loop)
            }
        }
        #expect(refusal == .system(call: "fcntl", number: 9))
    }
}
