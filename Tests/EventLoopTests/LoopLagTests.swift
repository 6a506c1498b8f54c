import EventLoop
import Observability
import Testing

@Suite struct LoopLagTests {
    private func lines(of metrics: MetricsRegistry) -> [Substring] {
        String(decoding: metrics.render(), as: UTF8.self).split(separator: "\n")
    }

    private func value(_ series: String, _ metrics: MetricsRegistry) throws -> Double {
        let line = try #require(lines(of: metrics).first { $0.hasPrefix(series + " ") })
        return try #require(line.split(separator: " ").last.flatMap { Double($0) })
    }

    private static let family = "millrace_event_loop_lag_seconds"

    @Test func aTurnThatTakesLongIsSeenInItsLoopsLag() async throws {
        let metrics = MetricsRegistry()
        let group = try EventLoopGroup(count: 2, name: "lag", metrics: metrics)
        await group.loops[1].run {
            let end = LoopTime.now + LoopInterval(.milliseconds(60))
            while LoopTime.now < end {}
        }
        group.shutdown()
        let turns = try value(#"\#(Self.family)_count{loop="1"}"#, metrics)
        #expect(try value(#"\#(Self.family)_bucket{loop="1",le="0.05"}"#, metrics) <= turns - 1)
        #expect(try value(#"\#(Self.family)_sum{loop="1"}"#, metrics) >= 0.06)
        #expect(try value(#"\#(Self.family)_count{loop="0"}"#, metrics) <= 2, "the other one has slept")
    }

    /// Measuring makes no turns: a loop that has nothing to do stays in its one poll.
    @Test func measuringWakesNobody() async throws {
        let metrics = MetricsRegistry()
        let group = try EventLoopGroup(count: 2, name: "lag", metrics: metrics)
        let before = group.loops[0].statistics.polls
        try await group.loops[1].sleep(for: .milliseconds(300))
        let after = group.loops[0].statistics.polls
        group.shutdown()
        #expect(after - before <= 1)
    }
}
