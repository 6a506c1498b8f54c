import HTTP
import HTTPServer
import Lifecycle
import Observability
import TestSupport
import Testing

@testable import Access

@Suite struct AuditTrailTests {
    private let sink = LogSink.memory(capacity: 256 * 1024)

    private func trail() -> AuditTrail {
        let start = ContinuousClock.now
        return AuditTrail(.changes, logger: Logger(service: "store", level: .info, sink: sink), clock: { start })
    }

    /// Routes behind a door that knows the keys `known`.
    private func application(_ trail: AuditTrail) -> Application {
        struct Door: Middleware {
            func admit(_ request: inout Request) async throws {
                guard request.head["authorization"] == "Bearer known" else {
                    throw Problem(.unauthorized, "a stranger")
                }
                request.context.principal = Principal(
                    workspaceID: 1, workspace: "default", keyID: 7, scopes: ScopeSet(["admin"]))
            }
        }
        let operation = Operation(id: "putThing", summary: "", answers: [])
        let route = Route(.put, "/thing", scope: "datasets:write", operation: operation) { _ in .noContent() }
        return Application(
            router: Router(routes: [route]), middleware: [Door()], observers: [trail], metrics: MetricsRegistry())
    }

    private func put(_ application: Application, _ key: String) async throws {
        let head = try HTTPRequestHead(.put, "/thing", headers: ["authorization": "Bearer \(key)"])
        let context = RequestContext(head, logger: .silent, peerAddress: "192.0.2.1")
        _ = await application.respond(to: Request(head, context: context))
    }

    private func lines(_ text: String, _ part: String) -> Int {
        text.split(separator: "\n").count { $0.contains(part) }
    }

    @Test func aFloodOfStrangersTakesNoLineOfAKeyAway() async throws {
        let trail = trail()
        let application = application(trail)
        // More than the buffer would hold.
        for number in 0..<3000 {
            try await put(application, "stranger")
            if number % 100 == 0 { try await put(application, "known") }
        }
        #expect(sink.droppedLines == 0)
        trail.unknown.tell()
        let text = sink.takeText()
        #expect(lines(text, #""key.id":"7""#) == 30)
        #expect(lines(text, #""http.status":401"#) == UnknownClients.Tally.most)
        let count = 3000 - UnknownClients.Tally.most
        #expect(
            text.hasSuffix(
                #""message":"audit.unknown_clients","audit.by":"none","audit.count":\#(count),"#
                    + #""audit.seconds":10.0}"# + "\n"), "\(text.suffix(200))")
        trail.unknown.tell()
        #expect(sink.takeText().isEmpty)
    }

    @Test func otherLinesThatFillTheBufferTakeNoneAwayEither() async throws {
        let application = application(trail())
        let other = Logger(service: "store", level: .info, sink: sink)
        while sink.droppedLines == 0 { other.info("request.answered") }
        for _ in 0..<20 { try await put(application, "known") }
        try await put(application, "stranger")
        let text = sink.takeText()
        #expect(lines(text, #""key.id":"7""#) == 20 && lines(text, #""http.status":401"#) == 0)
    }

    @Test func eachIntervalHasItsLines() {
        var tally = UnknownClients.Tally()
        let start = ContinuousClock.now
        let most = UnknownClients.Tally.most
        let atOnce = (0..<most + 5).count { _ in tally.admits(start) }
        let leftOut = [tally.take(), tally.take()]
        let later = tally.admits(start + .seconds(9))
        let next = (0..<most + 1).count { _ in tally.admits(start + .seconds(10)) }
        #expect(atOnce == most && leftOut == [5, 0])
        let leftOutLater = tally.take()
        #expect(!later && next == most && leftOutLater == 2)
    }

    @Test func whatIsLeftIsSaidWhenTheProcessEnds() async throws {
        let trail = trail()
        let application = application(trail)
        try await withRunningService(trail.unknown) {
            for _ in 0...UnknownClients.Tally.most { try await put(application, "stranger") }
        }
        #expect(sink.takeText().contains(#""audit.count":1,"#))
    }
}
