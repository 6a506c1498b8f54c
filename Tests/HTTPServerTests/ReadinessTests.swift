import HTTP
import HTTPServer
import JSON
import Lifecycle
import Observability
import Testing

@testable import HTTPServer

@Suite struct ReadinessTests {
    private struct Away: Error, CustomStringConvertible {
        var description: String { "cannot connect" }
    }

    @Test func everyCheckIsToldOfInItsOrder() async throws {
        let checks = [
            ReadinessCheck("a") {}, ReadinessCheck("b") { throw Away() },
            .noting("c") { "worth to know" }, ReadinessCheck("d") { throw Problem(.notReady, "behind") },
        ]
        let findings = await Readiness.findings(of: checks)
        #expect(
            findings.map(\.json) == [
                ["check": "a", "status": "ok"], ["check": "b", "status": "failed", "message": "cannot connect"],
                ["check": "c", "status": "ok", "message": "worth to know"],
                ["check": "d", "status": "failed", "message": "behind"],
            ])
        let problem = #expect(throws: Problem.self) { try Readiness.answer(findings) }
        #expect(problem?.detail == "not ready: b, d")
        #expect(problem?.errors.map(\.path) == ["b", "d"] && problem?.errors.last?.message == "behind")
    }

    /// All are asked at the same time, so several that hang take no longer than one.
    @Test func whatDoesNotAnswerInTimeHasFailed() async throws {
        let checks = (0..<20).map { number in
            ReadinessCheck("hangs \(number)") { try await Task.sleep(for: .seconds(3600)) }
        }
        let began = ContinuousClock.now
        let findings = await Readiness.findings(of: checks + [ReadinessCheck("well") {}], within: .seconds(3))
        #expect(ContinuousClock.now - began < .seconds(45), "one after the other they would take a minute")
        #expect(findings.count == 21 && findings.filter(\.isFailed).count == 20)
        #expect(findings[0].message?.hasPrefix("did not answer within 3.0") == true)
    }

    /// Whose request is on its way when the stop comes is still answered, and told.
    @Test func aServerThatIsBeingStoppedIsNotReady() async throws {
        let metrics = MetricsRegistry()
        let gate = Gate()
        let begun = Gate()
        let slow = route(.get, "/slow") { _ in
            begun.open()
            await gate.passed()
            return .text(.ok, "slow")
        }
        let routes = StandardRoutes.adding(to: [slow], title: "t", version: "1", readiness: [], metrics: metrics)
        try await TestServer.run(routes) { server in
            let probe = try server.connect()
            try await probe.send("GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(try await probe.answer().status == 200)
            let busy = try server.connect()
            try await busy.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
            await begun.passed()
            let late = try server.connect()
            try await late.send("GET /readyz HTTP/1.1\r\n")
            server.shutdown.request()
            // It ends idle connections, which shows that it drains.
            #expect(try await probe.receiveAll().isEmpty)
            try await late.send("Host: a\r\n\r\n")
            let answer = try #require(Answer.parse(try await late.receiveAll())?.answer)
            #expect(answer.status == 503 && answer.body.contains(#""check":"draining","status":"failed""#))
            gate.open()
            _ = try await busy.receiveAll()
            for client in [probe, busy, late] { client.close() }
        }
    }
}
