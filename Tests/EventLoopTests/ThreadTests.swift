import CLinux
import EventLoop
import Testing

@Suite struct ThreadTests {
    @Test func everythingATaskDoesStaysOnItsLoop() async throws {
        try await onLoop { loop in
            let thread = clinux_thread_id()
            let stays: @Sendable () -> Void = {
                #expect(clinux_thread_id() == thread)
                #expect(loop.isCurrent)
                #expect(EventLoop.current === loop)
            }
            stays()
            await Task.yield()
            stays()
            try await loop.sleep(for: .milliseconds(1))
            stays()
            try await Task.sleep(for: .milliseconds(1))
            stays()
            async let child: Void = stays()
            await child
            await withTaskGroup(of: Void.self) { group in
                for _ in 0..<8 { group.addTask { stays() } }
            }
            let counter = Counting()
            await counter.increment()
            stays()
        }
    }

    private actor Counting {
        var count = 0
        func increment() { count += 1 }
    }

    @Test func heavyWorkLeavesTheLoopAndComesBack() async throws {
        try await onLoop { loop in
            let thread = clinux_thread_id()
            let elsewhere = await withTaskExecutorPreference(globalConcurrentExecutor) {
                #expect(EventLoop.current == nil)
                #expect(!loop.isCurrent)
                return clinux_thread_id()
            }
            #expect(elsewhere != thread)
            #expect(clinux_thread_id() == thread)
        }
    }

    @Test func loopsAreThreadsOfTheirOwn() async throws {
        try await withLoops(2) { group in
            let first = await group.loops[0].run { clinux_thread_id() }
            let second = await group.loops[1].run { clinux_thread_id() }
            #expect(first != second)
            #expect(group.next() !== group.next())
            let nested = await group.loops[0].run { await group.loops[1].run { clinux_thread_id() } }
            #expect(nested == second)
        }
    }

    @Test func nextPrefersTheCallersLoop() async throws {
        try await withLoops(3) { group in
            for loop in group.loops {
                await loop.run { #expect(group.next() === loop && group.next() === loop) }
            }
        }
    }

    @Test func submittedClosuresRunInOrder() async throws {
        let order = Journal()
        try await withLoops { group in
            for index in 0..<1000 { group.loops[0].submit { order.note(index) } }
            await group.loops[0].run {}
        }
        #expect(order.entries == Array(0..<1000))
    }

    @Test func aTaskThatOutlivesItsLoopStillEnds() async throws {
        let group = try EventLoopGroup(count: 1, name: "test")
        group.shutdown()
        group.shutdown()
        let answer = await group.loops[0].run { EventLoop.current == nil ? 42 : 0 }
        #expect(answer == 42)
    }
}
