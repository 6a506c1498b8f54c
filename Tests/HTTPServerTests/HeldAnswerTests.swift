import EventLoop
import HTTP
import HTTPServer
import Testing

/// Small answers are held until the end of a loop's turn.
@Suite struct HeldAnswerTests {
    /// Two clients pipeline without reading, and their handlers take turns: so a connection has answers here and there
    /// among those of one turn, for which there is no room any more.
    @Test func theyStayInOrderHoweverLittleRoomThereIs() async throws {
        let filler = String(repeating: "x", count: 15_000)
        let turns = route(.get, "/n/{n}") { request in
            await Task.yield()
            return .text(.ok, request.parameter("n") + " " + filler)
        }
        let count = 400
        let requests = (0..<count).map { "GET /n/\($0) HTTP/1.1\r\nHost: a\r\n\r\n" }.joined()
        try await TestServer.run([turns]) { server in
            let clients = [try server.connect(), try server.connect()]
            defer { for client in clients { client.close() } }
            for client in clients { try await client.send(requests) }
            for _ in 0..<2000 { await Task.yield() }
            for number in 0..<count {
                for client in clients {
                    let answer = try await client.answer()
                    #expect(answer.body.hasPrefix("\(number) x") && answer.body.utf8.count > filler.utf8.count)
                }
            }
        }
    }
}
