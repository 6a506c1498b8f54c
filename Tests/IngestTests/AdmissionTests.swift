import Access
import Catalog
import Configuration
import Observability
import Postgres
import TestSupport
import Testing

@testable import Ingest

extension SourcePolicy {
    /// What counts where neither the service nor the source was told anything.
    static func standard(_ settings: [String: String] = [:]) throws -> SourcePolicy {
        let url = ["DATABASE_URL": "postgres://nobody@/none"]
        return SourcePolicy(try IngestConfiguration(Environment(url.merging(settings) { $1 })))
    }
}

@Suite("Ingest: back-pressure")
struct AdmissionTests {
    private let limits = AdmissionState.Limits(landingBytes: 100)
    private let now = ContinuousClock.now

    private func policy(_ change: (inout SourcePolicy) -> Void = { _ in }) throws -> SourcePolicy {
        var policy = try SourcePolicy.standard()
        policy.maxLag = .seconds(10)
        change(&policy)
        return policy
    }

    @Test("Figures are measured once an interval, by one request, and what waits only where it is limited")
    func measuresOnce() throws {
        var state = AdmissionState(limits: limits)
        let (plain, limited) = (try policy(), try policy { $0.landingBytes = 5_000 })
        #expect(state.begin(1, plain, now: now) == [.landing, .lag])
        #expect(state.begin(1, plain, now: now) == [])
        #expect(state.begin(2, limited, now: now) == [.lag, .backlog])
        #expect(state.begin(1, plain, now: now + .seconds(2)) == [.lag])
        state.measured(backlog: 0, of: 2, took: .milliseconds(200))
        #expect(state.begin(2, limited, now: now + .seconds(3)) == [.lag], "it took long: less often")
        #expect(state.begin(2, limited, now: now + .seconds(5)) == [.landing, .lag, .backlog])
    }

    @Test("Refuses past each limit, and only the source that is past it")
    func refuses() throws {
        var state = AdmissionState(limits: limits)
        let policy = try policy { $0.landingBytes = 5_000 }
        for source in 1...3 { _ = state.begin(Int64(source), policy, now: now) }
        state.measured(lag: .seconds(11), of: 1)
        state.measured(backlog: 5_000, of: 2, took: .zero)
        #expect(throws: AdmissionState.Refusal.lagging(by: .seconds(11), limit: .seconds(10))) {
            try state.check(1, policy, now: now)
        }
        #expect(throws: AdmissionState.Refusal.backlog(bytes: 5_000, limit: 5_000)) {
            try state.check(2, policy, now: now)
        }
        #expect(throws: Never.self) { try state.check(3, policy, now: now) }
        state.measured(landingBytes: 100)
        #expect(throws: AdmissionState.Refusal.storageFull(bytes: 100, limit: 100)) {
            try state.check(3, policy, now: now)
        }
    }

    @Test("Who has sent more than its rate waits until that is made up, by records and by bytes")
    func limitsRates() throws {
        var state = AdmissionState(limits: limits)
        let policy = try policy {
            $0.recordsPerSecond = 100
            $0.bytesPerSecond = 10_000
        }
        _ = state.begin(1, policy, now: now)
        try state.check(1, policy, now: now)
        state.landed(1, records: 350, bytes: 10, now: now)
        func refusal(_ now: ContinuousClock.Instant) -> String {
            do throws(AdmissionState.Refusal) {
                try state.check(1, policy, now: now)
            } catch .tooFast(let limit, let unit, let wait) {
                return "\(limit) \(unit), \(wait.inMilliseconds) ms"
            } catch {
                return "\(error)"
            }
            return "none"
        }
        #expect(refusal(now) == "100 records, 2510 ms")
        #expect(refusal(now + .milliseconds(2_511)) == "none")
        state.landed(1, records: 1, bytes: 40_000, now: now + .seconds(10))
        #expect(refusal(now + .seconds(11)) == "10000 bytes, 2000 ms")
        let free = try self.policy()
        _ = state.begin(1, free, now: now + .seconds(11))
        #expect(throws: Never.self) { try state.check(1, free, now: now + .seconds(11)) }
    }

    @Test("Of sources beyond the limit the one asked for longest ago is forgotten")
    func forgets() throws {
        var small = limits
        small.sources = 2
        var state = AdmissionState(limits: small)
        let policy = try policy()
        for source in 1...3 { _ = state.begin(Int64(source), policy, now: now + .milliseconds(source)) }
        #expect(state.begin(2, policy, now: now + .milliseconds(5)) == [])
        #expect(state.begin(1, policy, now: now + .milliseconds(6)) == [.lag], "it was forgotten")
    }

    @Test("A source that lags or has too much waiting, and a full landing, are found in the database")
    func measuresForReal() async throws {
        try await IngestFixture.run { fixture in
            _ = try await fixture.land(["{\"n\": 1}"])
            let policy = try SourcePolicy.standard(["MILLRACE_SOURCE_MAX_LAG": "60s"])
            func admission(_ landingBytes: Int64 = 1 << 40) -> Admission {
                Admission(pool: fixture.pool, limits: .init(landingBytes: landingBytes), metrics: fixture.metrics)
            }
            try await admission().admit(fixture.source.id, policy)
            await #expect(throws: AdmissionState.Refusal.self) {
                try await admission(1).admit(fixture.source.id, policy)
            }
            var tight = policy
            tight.landingBytes = 8
            await #expect(throws: AdmissionState.Refusal.backlog(bytes: 9, limit: 8)) {
                try await admission().admit(fixture.source.id, tight)
            }
            try await fixture.pool.run("update millrace.batch set received_at = now() - interval '1 hour'")
            await #expect(throws: AdmissionState.Refusal.self) {
                try await admission().admit(fixture.source.id, policy)
            }
            try await fixture.pool.run("update millrace.application set state = 'stored'")
            try await admission().admit(fixture.source.id, tight)
        }
    }
}

@Suite("Ingest: a rate limit")
struct TokenBucketTests {
    private let start = ContinuousClock.now

    @Test("A full bucket holds a second's worth; what is taken beyond it is waited for")
    func debt() {
        var bucket = TokenBucket(rate: 10, now: start)
        for _ in 0..<10 {
            #expect(bucket.wait(now: start) == nil)
            bucket.take(1, now: start)
        }
        #expect(bucket.wait(now: start)?.inMilliseconds == 100)
        bucket.take(20, now: start)
        #expect(bucket.wait(now: start)?.inMilliseconds == 2_100)
        #expect(bucket.wait(now: start + .milliseconds(2_101)) == nil)
    }

    @Test("In the long run no more passes than the rate, however requests are cut", arguments: [1, 3, 17, 400])
    func longRun(size: Int) {
        var bucket = TokenBucket(rate: 50, now: start)
        var passed = 0
        for tick in 0..<60_000 {
            let now = start + .milliseconds(tick)
            guard bucket.wait(now: now) == nil else { continue }
            bucket.take(size, now: now)
            passed += size
        }
        #expect(passed <= 50 * 61 + size)
        #expect(passed >= 50 * 58, "nor much less")
    }

    @Test("Another rate counts at once; a clock that stands still gives nothing")
    func changes() {
        var bucket = TokenBucket(rate: 1_000, now: start)
        bucket.change(rate: 2, now: start)
        bucket.take(2, now: start)
        #expect(bucket.wait(now: start)?.inMilliseconds == 500)
        #expect(bucket.wait(now: start - .seconds(5))?.inMilliseconds == 500)
        bucket.change(rate: 1_000, now: start)
        #expect(bucket.wait(now: start)?.inMilliseconds == 1)
    }
}

extension Duration {
    fileprivate var inMilliseconds: Int { Int((self / .milliseconds(1)).rounded()) }
}
