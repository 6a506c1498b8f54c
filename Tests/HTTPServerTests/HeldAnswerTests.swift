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
        let count = 2_000
        let requests = (0..<count).map { "GET /n/\($0) HTTP/1.1\r\nHost: a\r\n\r\n" }.joined()
        try await TestServer.run([turns]) { server in
            let clients = [try server.connect(), try server.connect()]
            defer { for client in clients { client.close() } }
            for client in clients { try await client.send(requests) }
            for _ in 0..<2000 { await Task.yield() }
            var unread = clients.map { _ in [UInt8]() }
            for number in 0..<count {
                for (index, client) in clients.enumerated() {
                    let answer = try await client.next(after: &unread[index])
                    #expect(answer.body.hasPrefix("\(number) x") && answer.body.utf8.count > filler.utf8.count)
                }
            }
        }
    }
}

extension TestClient {
    /// The next answer, of those that come one after the other. A little is read at a time, so that the server has
    /// little room.
    fileprivate func next(after unread: inout [UInt8]) async throws -> Answer {
        while true {
            if let (answer, length) = Answer.parse(unread, isHead: false) {
                unread.removeFirst(length)
                return answer
            }
            let piece = try await receive(limit: 16_384)
            if piece.isEmpty { throw Gone() }
            unread += piece
        }
    }
}
