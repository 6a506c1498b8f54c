import EventLoop
import Testing

@Suite struct WakeUpTests {
    /// Tasks that hop between two loops and the global executor: each hop needs its wake-up.
    @Test func noWakeUpIsLost() async throws {
        let hops = Counter()
        try await withLoops(2) { group in
            await withTaskGroup(of: Void.self) { tasks in
                for _ in 0..<16 {
                    tasks.addTask {
                        for hop in 0..<1000 {
                            await group.loops[hop % 2].run { hops.increment() }
                        }
                    }
                }
            }
        }
        #expect(hops.value == 16_000)
    }

    /// Submissions that race with the loop's falling asleep: each waits for the one before, so the loop sleeps often.
    @Test func noSubmissionIsLostWhileFallingAsleep() async throws {
        try await withLoops { group in
            for _ in 0..<3000 {
                await withCheckedContinuation { continuation in
                    group.loops[0].submit { continuation.resume() }
                }
            }
        }
    }

    @Test func anIdleLoopSleeps() async throws {
        try await withLoops(2) { group in
            let pair = SocketPair()
            let loop = group.loops[0]
            let descriptor = try await loop.run {
                try PolledDescriptor(adopting: pair.near, owned: true, loop: loop, trigger: .edge)
            }
            // A connection that waits with a far deadline, as idle ones do.
            let started = Counter()
            async let waiting: Void? = loop.run {
                started.increment()
                return try? await descriptor.waitReadable(until: .now + .seconds(3600))
            }
            while started.value == 0 { await Task.yield() }
            await loop.run {}
            try await group.loops[1].sleep(for: .milliseconds(50))
            let before = group.loops.map(\.statistics)
            // The sleeper is this loop's one timer: one return of epoll_wait, and the wake-up that started it.
            try await group.loops[1].sleep(for: .seconds(1))
            let after = group.loops.map(\.statistics)
            #expect(after[0].polls - before[0].polls <= 1)
            #expect(after[0].wakeups == before[0].wakeups)
            #expect(after[1].polls - before[1].polls <= 6)
            await loop.run { descriptor.close() }
            await waiting
            SocketPair.close(pair.far)
        }
    }

    /// A busy loop takes what others submit without being woken.
    @Test func aBusyLoopIsNotWoken() async throws {
        try await withLoops { group in
            let loop = group.loops[0]
            let started = Counter()
            let release = Counter()
            async let busy: Void = loop.run {
                started.increment()
                while release.value == 0 {}
            }
            while started.value == 0 { await Task.yield() }
            let before = loop.statistics.wakeups
            for _ in 0..<1000 { loop.submit {} }
            release.increment()
            await busy
            await loop.run {}
            #expect(loop.statistics.wakeups - before <= 1)
        }
    }
}
