import HTTP
import HTTPServer
import Observability
import Synchronization
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
        try state.take(600, reserved: 600, of: 1, within: 1000, now: start)
        #expect(limit { _ = try state.admit(1, limits, announced: 401, now: start) } == "bytes_per_day")
        // Without a length it is let through, and ends where the quota does.
        #expect(try state.admit(1, limits, announced: nil, now: start).map(\.left) == [400])
        try state.take(300, reserved: 0, of: 1, within: 1000, now: start)
        #expect(limit { try state.take(101, reserved: 0, of: 1, within: 1000, now: start) } == "bytes_per_day")
        try state.take(100, reserved: 0, of: 1, within: 1000, now: start)
        #expect(limit { _ = try state.admit(1, limits, announced: 0, now: start) } == "bytes_per_day")
        #expect(state.tell().map(\.use.bytes) == [1000])
    }

    @Test func bodiesThatComeAtTheSameTimeDoNotEachSeeTheQuotaFree() throws {
        var state = KeyMeterState()
        let limits = KeyLimits(bytesPerDay: 1000)
        for left in [1000, 600] {
            #expect(try state.admit(1, limits, announced: 400, now: start).map(\.left) == [left])
        }
        #expect(limit { _ = try state.admit(1, limits, announced: 201, now: start) } == "bytes_per_day")
        _ = try state.admit(1, limits, announced: nil, now: start)
        // What has no length gets what nobody has reserved.
        try state.take(200, reserved: 0, of: 1, within: 1000, now: start)
        #expect(limit { try state.take(1, reserved: 0, of: 1, within: 1000, now: start) } == "bytes_per_day")
        // The one breaks off after 100, the other one comes whole.
        try state.take(100, reserved: 400, of: 1, within: 1000, now: start)
        state.release(300, of: 1)
        try state.take(400, reserved: 400, of: 1, within: 1000, now: start)
        #expect(try state.admit(1, limits, announced: 300, now: start).map(\.left) == [300])
        #expect(state.tell().map(\.use.bytes) == [700])
    }

    @Test func whatOthersHaveUsedEndsABodyThatWasLetIn() throws {
        var state = KeyMeterState()
        let limits = KeyLimits(bytesPerDay: 1000)
        _ = try state.admit(1, limits, announced: 600, now: start)
        state.learn(DayUse(KeyUse(bytes: 900), left: .seconds(100)), of: 1, now: start)
        try state.take(100, reserved: 600, of: 1, within: 1000, now: start)
        do {
            try state.take(1, reserved: 500, of: 1, within: 1000, now: start + .seconds(10))
            Issue.record("others have used the quota up")
        } catch {
            #expect(error.limit == "bytes_per_day" && error.wait == .seconds(90))
        }
        // Another day.
        try state.take(500, reserved: 500, of: 1, within: 1000, now: start + .seconds(100))
    }

    @Test func whatIsReservedIsNotForgotten() throws {
        var state = KeyMeterState()
        _ = try state.admit(1, KeyLimits(bytesPerDay: 1000), announced: 600, now: start)
        state.told([:], now: start + .seconds(601))
        #expect(!state.isEmpty)
        state.release(600, of: 1)
        state.told([:], now: start + .seconds(601))
        #expect(state.isEmpty)
    }

    // MARK: - Requests

    /// A body that comes piece by piece.
    private final class Pieces: RequestBodySource {
        private let left: Mutex<[Int]>

        init(_ sizes: [Int]) { left = Mutex(sizes) }

        func next() async throws(Problem) -> [UInt8]? {
            left.withLock { $0.isEmpty ? nil : [UInt8](repeating: 0, count: $0.removeFirst()) }
        }
    }

    private func request(_ sizes: [Int], announced: Int?) throws -> Request {
        let head = try HTTPRequestHead(.post, "/", bodyLength: announced)
        let context = RequestContext(head, logger: .silent, peerAddress: "")
        return Request(head, body: RequestBody(Pieces(sizes), contentLength: announced), context: context)
    }

    @Test func aBodyGivesBackWhatItHasNotSent() async throws {
        let meter = KeyMeter(nil, logger: .silent, metrics: MetricsRegistry())
        let principal = Principal(
            workspaceID: 1, workspace: "default", keyID: 1, scopes: ScopeSet(["ingest:write"]),
            limits: KeyLimits(bytesPerDay: 1000))
        func admit(_ request: inout Request) throws(Problem) { try meter.admit(principal, &request, now: .now) }

        var first = try request([300, 300], announced: 900)
        try admit(&first)
        var second = try request([200], announced: 200)
        #expect(throws: Problem.self) { try admit(&second) }
        var chunked = try request([60, 60], announced: nil)
        try admit(&chunked)
        let body = chunked.body
        let cut = await #expect(throws: Problem.self) { try await body.collect(limit: 1000) }
        #expect(cut?.code == .rateLimited && cut?.retryAfter != nil)
        // It breaks off: 600 and 60 have come.
        #expect(try await first.body.collect(limit: 1000).count == 600)
        #expect(throws: Problem.self) { try admit(&second) }
        first = try request([], announced: 0)
        try admit(&second)
        #expect(try await second.body.collect(limit: 1000).count == 200)
        var rest = try request([141], announced: 141)
        #expect(throws: Problem.self) { try admit(&rest) }
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
