import HTTP
import HTTPServer
import Testing

@Suite struct FramingTests {
    private static let requests = [
        "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /echo/x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde",
        "POST /echo/y HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            + "3\r\nabc\r\n2;q=1\r\nde\r\n0\r\nT: 1\r\n\r\n",
        "POST /echo/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhiGET /hello HTTP/1.1\r\nHost: a\r\n\r\n",
    ]

    /// The client shares the server's loop, so `settle` makes the server read the first part before the second.
    @Test(arguments: [0, 1, 2, 3])
    func everySplitInTwoIsAnsweredTheSame(_ index: Int) async throws {
        try await TestServer.run([hello, echo]) { server in
            let octets = Array(FramingTests.requests[index].utf8)
            let expected = [["hello"], ["x:abcde"], ["y:abcde"], ["1:hi", "hello"]][index]
            let client = try server.connect()
            defer { client.close() }
            for split in 1..<octets.count {
                try await client.send(Array(octets[..<split]))
                await server.settle()
                try await client.send(Array(octets[split...]))
                let answers = try await client.answers(expected.count)
                #expect(answers.map(\.body) == expected, "split at \(split)")
                #expect(answers.allSatisfy { $0.status == 200 && $0.fields["date"] != nil })
            }
        }
    }

    @Test func everyOctetAloneIsAnsweredTheSame() async throws {
        try await TestServer.run([hello, echo]) { server in
            let client = try server.connect()
            defer { client.close() }
            for octet in FramingTests.requests[2].utf8 {
                try await client.send([octet])
                await server.settle()
            }
            #expect(try await client.answer().body == "y:abcde")
        }
    }

    @Test func pipelinedRequestsAreAnsweredInOrder() async throws {
        let first = Gate()
        let slow = route(.post, "/slow/{name}") { request in
            if request.parameter("name") == "0" { await first.passed() }
            let body = try await request.body.collect(limit: 100)
            return .text(.ok, request.parameter("name") + String(decoding: body, as: UTF8.self))
        }
        try await TestServer.run([slow]) { server in
            let client = try server.connect()
            defer { client.close() }
            var text = ""
            for index in 0..<200 {
                text += "POST /slow/\(index) HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n\(index % 10)"
            }
            try await client.send(text)
            await server.settle()
            first.open()
            let answers = try await client.answers(200)
            #expect(answers.map(\.body) == (0..<200).map { "\($0)\($0 % 10)" })
        }
    }

    @Test func aHeadAnswerHasTheLengthAndNoBody() async throws {
        try await TestServer.run([hello]) { server in
            let client = try server.connect()
            defer { client.close() }
            try await client.send("HEAD /hello HTTP/1.1\r\nHost: a\r\n\r\n")
            let answer = try await client.answer(isHead: true)
            #expect(answer.status == 200 && answer.fields["content-length"] == "5")
            try await client.send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(try await client.answer().body == "hello")
        }
    }

    @Test func anAnswerWithoutABodyHasNoLength() async throws {
        let empty = route(.delete, "/it") { _ in .noContent() }
        try await TestServer.run([empty]) { server in
            let client = try server.connect()
            defer { client.close() }
            try await client.send("DELETE /it HTTP/1.1\r\nHost: a\r\n\r\n")
            let answer = try await client.answer()
            #expect(answer.status == 204 && answer.fields["content-length"] == nil)
            #expect(answer.fields["transfer-encoding"] == nil)
        }
    }

    @Test func oldClientsAreClosedUnlessTheyAsk() async throws {
        try await TestServer.run([hello]) { server in
            let client = try server.connect()
            try await client.send("GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            let kept = try await client.answer()
            #expect(kept.fields["connection"] == "keep-alive")
            try await client.send("GET /hello HTTP/1.0\r\n\r\n")
            let last = try #require(Answer.parse(try await client.receiveAll())?.answer)
            #expect(last.body == "hello" && last.fields["connection"] == "close")
            client.close()
        }
    }
}
