import Testing

@testable import EventLoop

@Suite struct TimerTests {
    @Test func sleepsNoShorterThanAsked() async throws {
        try await onLoop { loop in
            for milliseconds in [0, 1, 7, 20] {
                let start = ContinuousClock.now
                try await loop.sleep(for: .milliseconds(milliseconds))
                #expect(ContinuousClock.now - start >= .milliseconds(milliseconds))
            }
        }
    }

    @Test func wakesInOrderOfDeadline() async throws {
        let woken = Journal()
        try await onLoop { loop in
            let start = ContinuousClock.now
            try await withThrowingTaskGroup(of: Void.self) { group in
                for rank in [4, 1, 3, 0, 2] {
                    group.addTask {
                        try await loop.sleep(until: start + .milliseconds(10 + rank))
                        woken.note(rank)
                    }
                }
                try await group.waitForAll()
            }
        }
        #expect(woken.entries == [0, 1, 2, 3, 4])
    }

    @Test func cancellationEndsASleepAtOnceAndLeavesNothing() async throws {
        try await onLoop { loop in
            let start = ContinuousClock.now
            await withTaskGroup(of: Bool.self) { group in
                for _ in 0..<100 {
                    group.addTask {
                        do throws(CancellationError) {
                            try await loop.sleep(for: .seconds(3600))
                            return false
                        } catch {
                            return true
                        }
                    }
                }
                await Task.yield()
                group.cancelAll()
                for await cancelled in group { #expect(cancelled) }
            }
            #expect(ContinuousClock.now - start < .seconds(60))
            unsafe #expect(loop.state.timers.isEmpty)
        }
    }

    @Test func aSleepMayBeAskedForFromAnotherThread() async throws {
        try await withLoops { group in
            let start = ContinuousClock.now
            try await group.loops[0].sleep(for: .milliseconds(5))
            #expect(ContinuousClock.now - start >= .milliseconds(5))
        }
    }

    @Test func aTaskThatNeverWaitsDoesNotStarveTimers() async throws {
        try await onLoop { loop in
            let done = Counter()
            await withTaskGroup(of: Void.self) { group in
                group.addTask { while done.value == 0 { await Task.yield() } }
                group.addTask {
                    try? await loop.sleep(for: .milliseconds(5))
                    done.increment()
                }
            }
        }
    }
}
