import EventLoop
import Observability
import Testing

@Suite struct LoopWatchTests {
    /// Keeps the thread busy.
    private static func spin(_ time: Duration) {
        let end = LoopTime.now + LoopInterval(time)
        while LoopTime.now < end {}
    }

    /// What a loop with a watch logs while `body` runs there.
    private func log(
        limit: Duration, interval: Duration, _ body: @Sendable () async throws -> Void
    ) async throws -> [Substring] {
        let sink = LogSink.memory()
        let watch = LoopWatchSettings(
            limit: limit, interval: interval, logger: Logger(service: "test", level: .warning, sink: sink))
        let group = try EventLoopGroup(count: 1, name: "watched", watch: watch)
        let result: Result<Void, any Error>
        do { result = .success(try await group.loops[0].run(body)) } catch { result = .failure(error) }
        group.shutdown()
        try result.get()
        return sink.takeText().split(separator: "\n")
    }

    @Test func aJobThatHoldsTheLoopUpIsReported() async throws {
        let lines = try await log(limit: .milliseconds(50), interval: .zero) {
            LoopWatchTests.spin(.milliseconds(60))
            await Task.yield()
        }
        let line = try #require(lines.first)
        #expect(line.contains(#""level":"warning""#) && line.contains(#""message":"loop.held_up""#))
        #expect(line.contains(#""loop.name":"watched-0""#))
        let duration = try #require(line.split(separator: #""job.duration":"#).last?.split(separator: ",").first)
        #expect((0.06..<60).contains(try #require(Double(duration))))
    }

    @Test func reportsAreRareAndCountTheOthers() async throws {
        let lines = try await log(limit: .milliseconds(20), interval: .milliseconds(200)) {
            for time in [30, 30, 30, 250, 30] {
                LoopWatchTests.spin(.milliseconds(time))
                await Task.yield()
            }
        }
        #expect(lines.count >= 2 && lines.count < 5)
        #expect(lines[0].contains(#""loop.unreported":0"#))
        #expect(lines.dropFirst().contains { !$0.contains(#""loop.unreported":0"#) })
    }

    /// A turn of many jobs is no job that takes long, and neither is one that waits.
    @Test func shortJobsAreNot() async throws {
        let lines = try await log(limit: .milliseconds(700), interval: .zero) {
            await withTaskGroup(of: Void.self) { group in
                for _ in 0..<100 { group.addTask { LoopWatchTests.spin(.milliseconds(10)) } }
            }
            try await EventLoop.current?.sleep(for: .milliseconds(800))
        }
        #expect(lines.isEmpty, "\(lines)")
    }
}
