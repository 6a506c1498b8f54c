import EventLoop
import HTTP
import HTTPServer
import Observability
import Records
import Synchronization
import Testing

@Suite struct CompressionTests {
    /// Takes a stream's pieces.
    private final class Collector: ResponseSink {
        private let pieces = Mutex<[[UInt8]]>([])
        var octets: [UInt8] { pieces.withLock { Array($0.joined()) } }
        func write(_ bytes: [UInt8]) async throws { pieces.withLock { $0.append(bytes) } }
    }

    private struct Failed: Error {}

    private let text = String(repeating: "{\"name\": \"value\", \"number\": 12345}\n", count: 100)

    private func application(compresses: Bool = true, _ response: @escaping @Sendable () -> Response) -> Application {
        var edge = EdgePolicy()
        edge.compresses = compresses
        let route = Route(.get, "/", scope: nil, operation: Fixture.operation("x")) { _ in response() }
        return Application(router: Router(routes: [route]), edge: edge, metrics: MetricsRegistry())
    }

    private func answer(
        _ response: Response, _ accepted: String? = "gzip, deflate, br, zstd", method: HTTPMethod = .get,
        headers: HTTPHeaders = [:], compresses: Bool = true
    ) async throws -> Response {
        var headers = headers
        if let accepted { headers.add("Accept-Encoding", accepted) }
        let request = try Fixture.request(method, "/", headers: headers)
        return await application(compresses: compresses) { response }.respond(to: request)
    }

    private func octets(_ response: Response) -> [UInt8] {
        if case .bytes(let bytes) = response.body { bytes } else { [] }
    }

    private func expanded(_ octets: [UInt8], _ coding: String, isWhole: Bool = true) throws -> String {
        let decompressor = Decompressor(try #require(ContentCoding(rawValue: coding)), limit: 1 << 24)
        decompressor.push(octets)
        var all: [UInt8] = []
        while let piece = try decompressor.pull() { all += piece }
        if isWhole { try decompressor.finish() }
        return String(decoding: all, as: UTF8.self)
    }

    @Test(arguments: [
        ("gzip", "gzip"), ("zstd", "zstd"), ("gzip, deflate, br, zstd", "zstd"), ("zstd;q=0.5, gzip", "gzip"),
        ("*", "gzip"), ("identity;q=0, gzip", "gzip"),
    ])
    func wholeAnswersAreCompressed(_ accepted: String, _ coding: String) async throws {
        let headers: HTTPHeaders = ["etag": "\"v3\""]
        let response = try await answer(.json(bytes: Array(text.utf8), headers: headers), accepted)
        #expect(response.headers["content-encoding"] == coding)
        #expect(response.headers["vary"] == "Accept-Encoding")
        #expect(response.headers["etag"] == "\"v3-\(coding)\"")
        #expect(response.headers["content-type"] == "application/json")
        #expect(octets(response).count < text.utf8.count / 4)
        #expect(try expanded(octets(response), coding) == text)
    }

    @Test(arguments: [nil, "", "identity", "br", "gzip;q=0", "gzip;q=0.1, identity", "identity;q=0"])
    func othersAreToldThatItVaries(_ accepted: String?) async throws {
        let response = try await answer(.json(bytes: Array(text.utf8), headers: ["etag": "\"v3\""]), accepted)
        #expect(response.headers["content-encoding"] == nil)
        #expect(response.headers["vary"] == "Accept-Encoding")
        #expect(response.headers["etag"] == "\"v3\"")
        #expect(response.bodyText == text)
    }

    @Test func someAreSentAsTheyAre() async throws {
        let large = Array(text.utf8)
        var coded = Response.bytes(.ok, "text/plain", large)
        coded.headers.add("content-encoding", "br")
        var kept = Response.bytes(.ok, "text/plain", large)
        kept.headers.add("cache-control", "private, No-Transform")
        let responses = [
            Response.bytes(.ok, "text/plain", Array(large[..<1023])), .bytes(.ok, "image/png", large), coded, kept,
            .bytes(.ok, "text/event-stream", large), .bytes(206, "text/plain", large), .bytes(.ok, "no type", large),
            Response(.ok, body: .bytes(large)), .noContent(), Response(.ok),
        ]
        for response in responses {
            let answer = try await answer(response)
            #expect(answer.headers["content-encoding"] == response.headers["content-encoding"])
            #expect(answer.headers["vary"] == nil)
            #expect(octets(answer) == octets(response))
        }
    }

    @Test func smallOnesAreCompressedWhereNothingElseIsAccepted() async throws {
        for accepted in ["gzip, identity;q=0", "gzip, *;q=0"] {
            let response = try await answer(.text(.ok, "small"), accepted)
            #expect(response.headers["content-encoding"] == "gzip")
            #expect(try expanded(octets(response), "gzip") == "small")
        }
        #expect(try await answer(.text(.ok, "small"), "gzip, identity").headers["vary"] == nil)
    }

    @Test func whatDoesNotShrinkIsSentAsItIs() async throws {
        var generator = SystemRandomNumberGenerator()
        let noise = (0..<5000).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
        let response = try await answer(.bytes(.ok, "text/plain", noise))
        #expect(response.headers["content-encoding"] == nil && octets(response) == noise)
        #expect(response.headers["vary"] == "Accept-Encoding")
    }

    @Test func largeOnesAreTheSameOffTheLoop() async throws {
        let large = String(repeating: text, count: 300)
        for coding in ["gzip", "zstd"] {
            let response = try await answer(.text(.ok, large), coding)
            #expect(try expanded(octets(response), coding) == large)
        }
    }

    @Test func theSettingTurnsItOff() async throws {
        let response = try await answer(.text(.ok, text), compresses: false)
        #expect(response.bodyText == text && response.headers["vary"] == nil)
    }

    @Test func anUnchangedAnswerHasTheTagThatTheClientHas() async throws {
        let unchanged = Response(.notModified, headers: ["etag": "\"v3\""])
        for (known, tag) in [
            ("\"v3-gzip\"", "\"v3-gzip\""), ("\"v1\", \"v3-zstd\"", "\"v3-zstd\""), ("\"v3\"", "\"v3\""),
            ("*", "\"v3\""), ("\"v3-gzip\", \"v3\"", "\"v3\""),
        ] {
            #expect(try await answer(unchanged, headers: ["If-None-Match": known]).headers["etag"] == tag)
        }
    }

    @Test(arguments: ["gzip", "zstd"])
    func aStreamCanBeReadAsFarAsItWasWritten(_ coding: String) async throws {
        let sink = Collector()
        let response = try await answer(
            .stream(.ok, "application/x-ndjson", headers: ["content-length": "36", "etag": "W/\"s\""]) { writer in
                try await writer.write("{\"first\": true}\n")
                #expect(try expanded(sink.octets, coding, isWhole: false) == "{\"first\": true}\n")
                try await writer.write("")
                try await writer.write(String(repeating: "x", count: 100_000))
                #expect(try expanded(sink.octets, coding, isWhole: false).utf8.count == 100_016)
            }, coding)
        #expect(response.headers["content-encoding"] == coding && response.headers["content-length"] == nil)
        #expect(response.headers["etag"] == "W/\"s\"")
        guard case .stream(let write) = response.body else { return #expect(Bool(false)) }
        try await write(ResponseWriter(sink))
        #expect(try expanded(sink.octets, coding).utf8.count == 100_016)
    }

    @Test func eventStreamsAreLeftAlone() async throws {
        let response = try await answer(.stream(.ok, "text/event-stream") { try await $0.write("data: x\n\n") })
        #expect(response.headers["content-encoding"] == nil)
    }

    @Test func aStreamThatFailsIsNotEnded() async throws {
        let sink = Collector()
        let response = try await answer(
            .stream(.ok, "text/plain") { writer in
                try await writer.write("begun")
                throw Failed()
            }, "gzip")
        guard case .stream(let write) = response.body else { return #expect(Bool(false)) }
        await #expect(throws: Failed.self) { try await write(ResponseWriter(sink)) }
        #expect(throws: RecordsError.self) { try expanded(sink.octets, "gzip") }
    }

    @Test func soManyStreamsAreCompressedAtATime() async throws {
        let application = application { .stream(.ok, "text/plain") { try await $0.write("x") } }
        let request = try Fixture.request(.get, "/", headers: ["Accept-Encoding": "gzip"])
        var responses: [Response] = []
        for _ in 0..<256 { responses.append(await application.respond(to: request)) }
        #expect(responses.allSatisfy { $0.headers["content-encoding"] == "gzip" })
        #expect(await application.respond(to: request).headers["content-encoding"] == nil)
        responses.removeLast()
        #expect(await application.respond(to: request).headers["content-encoding"] == "gzip")
    }

    @Test func overTheWireHeadHasTheLengthThatGetHas() async throws {
        let text = text
        let routes = [
            route(.get, "/whole") { _ in .text(.ok, text) },
            route(.get, "/stream") { _ in .stream(.ok, "text/csv") { try await $0.write(text) } },
            route(.get, "/fails") { _ in .stream(.ok, "text/csv") { _ in throw Problem(.conflict, "no") } },
        ]
        try await TestServer.run(routes) { server in
            for path in ["/whole", "/stream"] {
                let client = try server.connect()
                defer { client.close() }
                try await client.send("HEAD \(path) HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n")
                let head = try await client.answer(isHead: true)
                try await client.send("GET \(path) HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n")
                let octets = try await client.receiveAll()
                let body = Array(octets[try #require(bodyStart(octets))...])
                #expect(head.fields["content-encoding"] == "gzip" && head.fields["vary"] == "Accept-Encoding")
                #expect(head.fields["content-length"] == (path == "/whole" ? String(body.count) : nil))
                #expect(try expanded(body, "gzip") == text)
            }
            let client = try server.connect()
            defer { client.close() }
            try await client.send("GET /fails HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n")
            let answer = try await client.answer()
            #expect(answer.status == 409 && answer.fields["content-encoding"] == nil)
        }
    }

    private func bodyStart(_ octets: [UInt8]) -> Int? {
        let end = Array("\r\n\r\n".utf8)
        return octets.indices.first { octets[$0...].starts(with: end) }.map { $0 + 4 }
    }
}
