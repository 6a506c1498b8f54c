import HTTP
import HTTPCorpus
import HTTPServer
import Testing

/// The corpus over a socket. The client shares the server's loop, so `settle` makes the server read what was sent
/// before more is.
@Suite struct CorpusTests {
    @Test func answersTheCorpus() async throws {
        let cases = try HTTPCorpus.cases()
        try await TestServer.run(EchoRoutes.all) { server in
            for wire in cases { try await CorpusTests.check(wire, cut: nil, server) }
        }
    }

    @Test func answersItTheSameWhereverItIsSplit() async throws {
        let cases = try HTTPCorpus.cases()
        try await TestServer.run(EchoRoutes.all) { server in
            for wire in cases {
                for cut in CorpusTests.cuts(wire.octets.count) { try await CorpusTests.check(wire, cut: cut, server) }
            }
        }
    }

    /// Some places to split: the parser's tests try all.
    private static func cuts(_ count: Int) -> [Int] {
        let candidates = [1, 4, count / 4, count / 2, count - count / 4, count - 3, count - 2, count - 1]
        return Set(candidates.filter { $0 > 0 && $0 < count }).sorted()
    }

    private static let probe = "GET /probe HTTP/1.1\r\nHost: probe\r\nConnection: close\r\n\r\n"

    private static func check(_ wire: HTTPCase, cut: Int?, _ server: TestServer) async throws {
        let answers = try await answers(to: wire, cut: cut, server)
        let (interim, final) = (answers.filter { $0.status < 200 }, answers.filter { $0.status >= 200 })
        let place: String = "\(wire) split at \(cut.map(String.init) ?? "no place")"
        var expected = wire.answers
        // A request that is cut off inside its body is answered when the client ends.
        if wire.end == .body, !wire.isClosed { expected.append(400) }
        if !wire.isClosed, wire.end == .open { expected.append(200) }
        #expect(final.map(\.status) == expected, "\(place)")
        if cut == nil { #expect(interim.map(\.status) == (wire.isInterim ? [100] : []), "\(place)") }
        #expect(final.allSatisfy { $0.fields["date"] != nil }, "\(place)")
        if wire.end != .head, let last = final.last { #expect(last.fields["connection"] == "close", "\(place)") }
        for (answer, request) in zip(final, wire.requests) {
            switch answer.status {
            case 200 where !request.starts(with: "HEAD ".utf8): #expect(Array(answer.body.utf8) == request, "\(place)")
            case 200, 204, 304: #expect(answer.body.isEmpty, "\(place)")
            case 405: #expect(answer.fields["allow"] != nil, "\(place)")
            default: break
            }
        }
        let refusals = final.filter { $0.status >= 400 }
        #expect(refusals.allSatisfy { $0.fields["content-type"] == "application/problem+json" }, "\(place)")
    }

    private static func answers(to wire: HTTPCase, cut: Int?, _ server: TestServer) async throws -> [Answer] {
        let client = try server.connect()
        defer { client.close() }
        if let cut {
            try await client.send(Array(wire.octets[..<cut]))
            await server.settle()
        }
        try await client.send(Array(wire.octets[(cut ?? 0)...]))
        if !wire.isClosed {
            if wire.end == .open {
                try await client.send(probe)
            } else {
                await server.settle()
                client.shutdownWrite()
            }
        }
        var octets = try await client.receiveAll()
        var answers: [Answer] = []
        while !octets.isEmpty {
            let request = wire.requests.dropFirst(answers.count { $0.status >= 200 }).first ?? []
            let isHead = request.starts(with: "HEAD ".utf8)
            let (answer, length) = try #require(Answer.parse(octets, isHead: isHead, atEnd: true), "\(wire)")
            answers.append(answer)
            octets.removeFirst(length)
        }
        return answers
    }
}
