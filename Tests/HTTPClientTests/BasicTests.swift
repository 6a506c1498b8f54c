import EventLoop
import HTTP
import HTTPServer
import Lifecycle
import Observability
import Testing

@testable import HTTPClient

@Suite("HTTP client: requests and answers")
struct BasicTests {
    private let mirror = route(.post, "/mirror") { request in
        let body = try await request.body.collect(limit: 1 << 20)
        let length = request.head["content-length"] ?? "none"
        return .text(.ok, "\(request.method) \(length) \(String(decoding: body, as: UTF8.self))")
    }

    @Test("A request is answered, from the client's loop and from elsewhere")
    func answered() async throws {
        try await Bench.run([hello, mirror]) { bench in
            let response = try await bench.get("/hello")
            #expect(response.status == .ok && response.text == "hello")
            #expect(response.headers["content-type"] == "text/plain; charset=utf-8")
            #expect(EventLoop.current === bench.loop)
            try await withTaskExecutorPreference(globalConcurrentExecutor) {
                let response = try await bench.get("/hello")
                #expect(response.text == "hello" && EventLoop.current == nil)
                let body = ClientRequest.Body.stream(length: nil) { writer in
                    #expect(EventLoop.current == nil)
                    try await writer.write("abc")
                }
                let request = ClientRequest(.post, bench.url("/mirror"), body: body)
                try await bench.client.withResponse(to: request) { response in
                    #expect(EventLoop.current == nil)
                    let text = String(decoding: try await response.body.collect(), as: UTF8.self)
                    #expect(text == "POST none abc" && EventLoop.current == nil)
                }
            }
            #expect(bench.metric("answers_total") == 3)
        }
    }

    @Test("An answer of any status is an answer", arguments: [200, 404, 500])
    func statuses(_ status: Int) async throws {
        try await Bench.run([route(.get, "/status") { _ in .text(HTTPStatus(status), "x") }]) { bench in
            let response = try await bench.get("/status")
            #expect(response.status.code == status)
        }
    }

    @Test("A body is sent as it is, an empty one with its length")
    func bodies() async throws {
        try await Bench.run([mirror]) { bench in
            func post(_ body: ClientRequest.Body) async throws -> String {
                try await bench.client.collect(ClientRequest(.post, bench.url("/mirror"), body: body)).text
            }
            let texts = try await [post(.bytes(Array("abc".utf8))), post(.bytes([])), post(.empty)]
            #expect(texts == ["POST 3 abc", "POST 0 ", "POST 0 "])
        }
    }

    @Test("Fields go over as they are, and the client's own are the client's")
    func fields() async throws {
        let show = route(.get, "/show") { request in
            let names = ["x-text", "x-empty", "x-blank", "user-agent", "host"]
            return .text(.ok, names.map { "\($0)=\(request.head[$0] ?? "-")" }.joined(separator: ";"))
        }
        try await Bench.run([show]) { bench in
            let request = ClientRequest(
                .get, bench.url("/show"), headers: ["X-Text": "a: b", "x-empty": "", "x-blank": "  "])
            let text = try await bench.client.collect(request).text
            #expect(text == "x-text=a: b;x-empty=;x-blank=;user-agent=Millrace;host=127.0.0.1:\(bench.port)")
        }
    }

    @Test("HEAD has no body, and 204 neither")
    func noBody() async throws {
        try await Bench.run([hello, route(.get, "/none") { _ in .noContent() }]) { bench in
            let head = try await bench.client.collect(ClientRequest(.head, bench.url("/hello")))
            #expect(head.status == .ok && head.body.isEmpty && head.headers["content-length"] == "5")
            let none = try await bench.get("/none")
            #expect(none.status == .noContent && none.body.isEmpty)
        }
    }

    @Test(
        "Requests that are not sent",
        arguments: [
            ClientRequest(.connect, "http://127.0.0.1/"), ClientRequest(.trace, "http://127.0.0.1/"),
            ClientRequest(.other("A B"), "http://127.0.0.1/"), ClientRequest(.other(""), "http://127.0.0.1/"),
            ClientRequest(.get, "http://127.0.0.1/", headers: ["host": "other"]),
            ClientRequest(.get, "http://127.0.0.1/", headers: ["Transfer-Encoding": "chunked"]),
            ClientRequest(.get, "http://127.0.0.1/", headers: ["Content-Length": "5"]),
            ClientRequest(.get, "http://127.0.0.1/", headers: ["a b": "c"]),
            ClientRequest(.get, "http://127.0.0.1/", headers: ["": "c"]),
            ClientRequest(.get, "http://127.0.0.1/", headers: ["a": "b\u{1}c"]),
            ClientRequest(.head, "http://127.0.0.1/", body: .bytes([1])),
            ClientRequest(.post, "http://127.0.0.1/", body: .stream(length: -1) { _ in }),
        ])
    func invalid(_ request: ClientRequest) async throws {
        try await Bench.run { bench in
            await #expect(reason { _ = try await bench.client.collect(request) } == .invalidRequest)
        }
    }

    @Test("An error says what was being done, without what may be secret")
    func errorText() async throws {
        try await Bench.run { bench in
            do throws(HTTPClientError) {
                _ = try await bench.client.collect(ClientRequest(.get, "http://10.1.2.3/secret?key=secret"))
                Issue.record("no error")
            } catch {
                #expect(error.code == .addressRefused && error.doing == "GET http://10.1.2.3")
                #expect(!error.description.contains("secret"))
            }
        }
    }

    @Test("Requests made before the client runs wait; after its end they fail")
    func lifetime() async throws {
        try await Bench.run([hello]) { bench in
            let idle = HTTPClient(
                on: bench.loop, settings: .loopback, logger: .silent, metrics: bench.metrics)
            let url = bench.url("/hello")
            try await withThrowingTaskGroup(of: HTTPStatus.self) { group in
                group.addTask { try await idle.collect(ClientRequest(.get, url)).status }
                await Task.yield()
                try await withThrowingTaskGroup(of: Void.self) { running in
                    running.addTask { try await idle.run(until: bench.shutdown) }
                    let status = try await group.next()
                    #expect(status == .ok)
                    bench.shutdown.request()
                }
            }
            await #expect(reason { _ = try await idle.collect(ClientRequest(.get, url)) } == .closed)
            // The other client was asked at the same time, and ends in its own.
            while await reason({ _ = try await bench.get("/hello") }) != .closed { await Task.yield() }
        }
    }
}

extension HTTPClientSettings {
    static var loopback: HTTPClientSettings {
        var settings = HTTPClientSettings()
        settings.addresses = AddressPolicy(opening: ["127.0.0.0/8"].compactMap { AddressRange($0) })
        return settings
    }
}
