import Testing

@testable import Access

@Suite struct KeyMeterTests {
    private let start = ContinuousClock.now

    private func limit(_ body: () throws -> Void) -> String? {
        do {
            try body()
            return nil
        } catch {
            return (error as? KeyMeterState.Refusal)?.limit
        }
    }

    @Test func aRateLetsASecondsWorthThroughAndThenItsPace() throws {
        var state = KeyMeterState()
        let limits = KeyLimits(requestsPerSecond: 10)
        for left in (0..<10).reversed() {
            #expect(try state.admit(1, limits, announced: nil, now: start).map(\.left) == [left])
        }
        do {
            _ = try state.admit(1, limits, announced: nil, now: start)
            Issue.record("the eleventh was let through")
        } catch {
            #expect(
                error.limit == "requests_per_second" && error.wait > .milliseconds(99)
                    && error.wait < .milliseconds(101))
        }
        var admitted = 0
        for step in 0..<1000 {
            let now = start + .milliseconds(step * 10)
            if (try? state.admit(1, limits, announced: nil, now: now)) != nil { admitted += 1 }
        }
        #expect((99...101).contains(admitted))
        // Another key has its own.
        #expect(throws: Never.self) { try state.admit(2, limits, announced: nil, now: start) }
    }

    @Test func aQuotaCountsWhatIsKnownToldAndUntold() throws {
        var state = KeyMeterState()
        let limits = KeyLimits(requestsPerDay: 10)
        state.learn(DayUse(KeyUse(requests: 5), left: .seconds(100)), of: 1, now: start)
        for _ in 0..<3 { _ = try state.admit(1, limits, announced: nil, now: start) }
        let told = state.tell()
        #expect(told.map(\.key) == [1] && told.map(\.use.requests) == [3])
        _ = try state.admit(1, limits, announced: nil, now: start)
        // Other processes have seen one more.
        state.told([1: DayUse(KeyUse(requests: 9), left: .seconds(100))], now: start)
        #expect(limit { _ = try state.admit(1, limits, announced: nil, now: start) } == "requests_per_day")
        #expect(state.tell().map(\.use.requests) == [1])
    }

    @Test func whatCouldNotBeToldIsToldAgain() throws {
        var state = KeyMeterState()
        let limits = KeyLimits(requestsPerDay: 3)
        for _ in 0..<2 { _ = try state.admit(1, limits, announced: nil, now: start) }
        #expect(state.tell().count == 1 && !state.hasUntold)
        state.told(nil, now: start)
        #expect(state.hasUntold)
        _ = try state.admit(1, limits, announced: nil, now: start)
        #expect(limit { _ = try state.admit(1, limits, announced: nil, now: start) } == "requests_per_day")
        #expect(state.tell().map(\.use.requests) == [3])
    }

    @Test func aNewDayBeginsWithNothingUsed() throws {
        var state = KeyMeterState()
        let limits = KeyLimits(requestsPerDay: 1)
        state.learn(DayUse(KeyUse(requests: 1), left: .seconds(7)), of: 1, now: start)
        do {
            _ = try state.admit(1, limits, announced: nil, now: start + .seconds(2))
            Issue.record("the quota was used up")
        } catch {
            #expect(error.wait == .seconds(5))
        }
        #expect(throws: Never.self) { try state.admit(1, limits, announced: nil, now: start + .seconds(7)) }
    }

    @Test func octetsCountAsTheyComeAndABodyThatIsTooLargeIsRefusedAtOnce() throws {
        var state = KeyMeterState()
        let limits = KeyLimits(bytesPerDay: 1000)
        let readings = try state.admit(1, limits, announced: 600, now: start)
        #expect(readings.map(\.left) == [1000] && readings.map(\.unit) == ["content-bytes"])
        state.count(600, of: 1, now: start)
        #expect(limit { _ = try state.admit(1, limits, announced: 401, now: start) } == "bytes_per_day")
        #expect(try state.admit(1, limits, announced: 400, now: start).map(\.left) == [400])
        // Without a length it is let through, and counts.
        _ = try state.admit(1, limits, announced: nil, now: start)
        state.count(5000, of: 1, now: start)
        #expect(limit { _ = try state.admit(1, limits, announced: 0, now: start) } == "bytes_per_day")
        #expect(state.tell().map(\.use.bytes) == [5600])
    }

    @Test func aKeyThatNobodyUsesIsForgotten() throws {
        var state = KeyMeterState()
        _ = try state.admit(1, KeyLimits(requestsPerSecond: 1), announced: nil, now: start)
        _ = try state.admit(2, KeyLimits(requestsPerDay: 5), announced: nil, now: start)
        state.told([:], now: start + .seconds(601))
        #expect(!state.isEmpty, "one has still something to tell")
        _ = state.tell()
        state.told([2: DayUse(KeyUse(requests: 1), left: .seconds(1))], now: start + .seconds(601))
        #expect(state.isEmpty)
    }
}
