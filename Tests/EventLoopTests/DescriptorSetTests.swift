import Testing

@testable import EventLoop

@Suite("Event loop: sets of descriptors and waiters")
struct DescriptorSetTests {
    /// Runs `body` on a loop with a set and a pair of sockets, the near one of which can be watched.
    private func withSet(_ body: @Sendable (DescriptorSet, SocketPair) async throws -> Void) async throws {
        try await onLoop { loop in
            let set = try DescriptorSet(on: loop)
            let pair = SocketPair()
            defer {
                set.close()
                SocketPair.close(pair.near)
                SocketPair.close(pair.far)
            }
            try await body(set, pair)
        }
    }

    private func ready(_ set: DescriptorSet) -> [DescriptorSet.Event] {
        var events: [DescriptorSet.Event] = []
        set.take(into: &events)
        return events
    }

    private var soon: LoopTime { .now + LoopInterval(.milliseconds(5)) }
    private var later: LoopTime { .now + LoopInterval(.seconds(60)) }

    @Test("What is left unread is reported again; what is read is not")
    func level() async throws {
        try await withSet { set, pair in
            try set.watch(pair.near, reading: true, writing: false)
            SocketPair.send("ab", to: pair.far)
            for _ in 0..<3 {
                try await set.wait(until: later)
                #expect(ready(set).map(\.fd) == [pair.near])
            }
            #expect(SocketPair.receive(from: pair.near) == "ab")
            #expect(ready(set).isEmpty)
            await #expect(throws: EventLoopError.timedOut) { try await set.wait(until: soon) }
        }
    }

    @Test("A descriptor is watched for what is asked, until it is forgotten")
    func interest() async throws {
        try await withSet { set, pair in
            try set.watch(pair.near, reading: true, writing: false)
            #expect(ready(set).isEmpty)
            try set.watch(pair.near, reading: true, writing: true)
            #expect(ready(set).map(\.isWritable) == [true])
            #expect(ready(set).map(\.isReadable) == [false])
            SocketPair.close(pair.far)
            #expect(ready(set).map(\.isBroken) == [true])
            set.forget(pair.near)
            set.forget(pair.near)
            #expect(ready(set).isEmpty)
        }
    }

    @Test("A wait that is on sees what begins to be watched, and a wake ends it")
    func waiting() async throws {
        try await withSet { set, pair in
            let set = LoopBound(set, to: set.loop)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await set.value.wait(until: .never) }
                await Task.yield()
                try set.value.watch(pair.near, reading: false, writing: true)
                try await group.next()
                set.value.forget(pair.near)
                group.addTask { try await set.value.wait(until: .never) }
                await Task.yield()
                set.value.wake()
                try await group.next()
            }
        }
    }

    @Test("A waiter is woken, times out and is cancelled; a wake that nobody waits for is kept, once")
    func waiter() async throws {
        try await onLoop { loop in
            let waiter = LoopWaiter(on: loop)
            waiter.wake()
            waiter.wake()
            try await waiter.wait()
            await #expect(throws: EventLoopError.timedOut) { try await waiter.wait(until: soon) }
            let bound = LoopBound(waiter, to: loop)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await bound.value.wait(until: .never) }
                await Task.yield()
                bound.value.wake()
                try await group.next()
                group.addTask { try await bound.value.wait(until: .never) }
                await Task.yield()
                group.cancelAll()
                await #expect(throws: EventLoopError.cancelled) { try await group.next() }
            }
            unsafe #expect(loop.state.timers.isEmpty)
        }
    }
}
