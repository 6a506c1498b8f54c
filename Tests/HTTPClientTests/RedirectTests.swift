import EventLoop
import HTTP
import HTTPServer
import Synchronization
import Testing

@testable import HTTPClient

@Suite("HTTP client: redirects")
struct RedirectTests {
    /// `to(status, location)` redirects there.
    private static func redirect(_ method: HTTPMethod = .get) -> Route {
        route(method, "/to/{status}") { request in
            let octets = request.head.query.split(separator: ".").compactMap { UInt8($0) }
            let location = String(decoding: octets, as: UTF8.self)
            return Response(HTTPStatus(Int(request.parameter("status")) ?? 0), headers: ["location": location])
        }
    }

    /// Answers what came: method, body, and fields of interest.
    private static func show(_ method: HTTPMethod) -> Route {
        route(method, "/show") { request in
            let body = String(decoding: try await request.body.collect(limit: 1000), as: UTF8.self)
            let names = ["authorization", "cookie", "x-key", "accept", "content-type"]
            let fields = names.compactMap { name in request.head[name].map { "\(name)=\($0)" } }
            return .text(.ok, "\(request.method) [\(body)] \(fields.joined(separator: ","))")
        }
    }

    private static func to(_ status: Int, _ location: String) -> String {
        "/to/\(status)?" + location.utf8.map { String($0) }.joined(separator: ".")
    }

    private static let routes = [redirect(), redirect(.post), show(.get), show(.post), hello]

    private func follow(_ bench: Bench, _ path: String, max: Int = 5) async throws(HTTPClientError) -> String {
        try await bench.client.collect(ClientRequest(.get, bench.url(path), redirects: .follow(max: max))).text
    }

    @Test("A redirect is an answer unless it is to be followed")
    func none() async throws {
        try await Bench.run(Self.routes) { bench in
            let response = try await bench.get(Self.to(302, "/hello"))
            #expect(response.status.code == 302 && response.headers["location"] == "/hello")
        }
    }

    @Test("Followed to another path, relative or absolute", arguments: [301, 302, 303, 307, 308])
    func followed(_ status: Int) async throws {
        try await Bench.run(Self.routes) { bench in
            for location in ["/hello", "../hello", bench.url("/hello"), "//127.0.0.1:\(bench.port)/hello#there"] {
                let text = try await follow(bench, Self.to(status, location))
                #expect(text == "hello")
            }
        }
    }

    @Test("No more often than allowed, and a loop ends")
    func tooMany() async throws {
        let again = route(.get, "/again") { _ in Response(.init(302), headers: ["location": "/again"]) }
        try await Bench.run(Self.routes + [again]) { bench in
            let one = await reason { _ = try await follow(bench, Self.to(302, "/hello"), max: 0) }
            let endless = await reason { _ = try await follow(bench, "/again", max: 10) }
            #expect(one == .redirectRefused && endless == .redirectRefused)
            let text = try await follow(bench, Self.to(302, "/hello"), max: 1)
            #expect(text == "hello")
        }
    }

    @Test("From an allowed host to a forbidden address of each kind: refused")
    func forbidden() async throws {
        try await Bench.run(Self.routes) { bench in
            for host in [
                "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254", "0.0.0.0", "224.0.0.1",
                "255.255.255.255", "192.0.2.1", "198.18.0.1", "240.0.0.1", "0xa9fea9fe", "2852039166", "0251.254.43518",
                "[fe80::1]", "[fd00:ec2::254]", "[::]", "[ff02::1]", "[2001:db8::1]", "[::ffff:10.0.0.1]",
                "[::ffff:a9fe:a9fe]", "[64:ff9b::a00:1]", "[2002:a00:1::]", "[::10.0.0.1]", "[::127.0.0.1]",
                "[64:ff9b::7f00:1]",
            ] {
                for location in ["http://\(host)/", "https://\(host)/", "//\(host):\(bench.port)/"] {
                    let code = await reason { _ = try await follow(bench, Self.to(302, location)) }
                    #expect(code == .addressRefused, "\(location)")
                }
            }
            for location in ["file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1/", "http://u:p@127.0.0.1/"] {
                let code = await reason { _ = try await follow(bench, Self.to(302, location)) }
                #expect(code == .invalidURL, "\(location)")
            }
        }
    }

    @Test("From an allowed address to one that is not, where a server listens: refused, and not asked")
    func betweenServers() async throws {
        let asked = Mutex<[String]>([])
        let note = route(.get, "/note") { request in
            asked.withLock { $0.append(request.head["host"] ?? "") }
            return .text(.ok, "noted")
        }
        try await Bench.run(
            Self.routes + [note], at: ["127.0.0.2", "127.0.0.1", "::1"],
            settings: { $0.addresses = AddressPolicy(opening: ["127.0.0.2"].compactMap { AddressRange($0) }) },
            resolver: FixedNames(["inside.test": ["127.0.0.1"], "outside.test": ["127.0.0.2"]])
        ) { bench in
            for host in ["127.0.0.1", "0x7f.1", "inside.test", "[::1]", "[::ffff:127.0.0.1]", "127.0.0.3"] {
                let from = bench.url(Self.to(302, bench.url("/note", host: host)), host: "127.0.0.2")
                let request = ClientRequest(.get, from, redirects: .follow(max: 3))
                let code = await reason { _ = try await bench.client.collect(request) }
                #expect(code == .addressRefused, "\(host)")
            }
            let from = bench.url(Self.to(302, bench.url("/note", host: "outside.test")), host: "127.0.0.2")
            let response = try await bench.client.collect(ClientRequest(.get, from, redirects: .follow(max: 3)))
            #expect(response.text == "noted")
        }
        #expect(asked.withLock { $0.count } == 1)
    }

    @Test("Credentials stay with the origin they were meant for")
    func credentials() async throws {
        try await Bench.run(Self.routes, at: ["127.0.0.1", "127.0.0.2"]) { bench in
            let headers: HTTPHeaders = [
                "Authorization": "Bearer secret", "Cookie": "a=secret", "X-Key": "secret", "Accept": "text/plain",
            ]
            func ask(_ location: String) async throws -> String {
                let request = ClientRequest(
                    .get, bench.url(Self.to(302, location)), headers: headers, redirects: .follow(max: 3))
                return try await bench.client.collect(request).text
            }
            let same = try await ask("/show")
            #expect(same == "GET [] authorization=Bearer secret,cookie=a=secret,x-key=secret,accept=text/plain")
            let other = try await ask(bench.url("/show", host: "127.0.0.2"))
            #expect(other == "GET [] accept=text/plain")
            // Having left, they do not come back.
            let back = bench.url(Self.to(302, bench.url("/show")), host: "127.0.0.2")
            let returned = try await ask(back)
            #expect(returned == "GET [] accept=text/plain")
        }
    }

    @Test("The method and the body follow the status")
    func bodies() async throws {
        try await Bench.run(Self.routes) { bench in
            func post(_ status: Int, _ body: ClientRequest.Body) async throws(HTTPClientError) -> String {
                let request = ClientRequest(
                    .post, bench.url(Self.to(status, "/show")), headers: ["content-type": "text/plain"], body: body,
                    redirects: .follow(max: 3))
                return try await bench.client.collect(request).text
            }
            let bytes = ClientRequest.Body.bytes(Array("abc".utf8))
            for status in [301, 302, 303] {
                let text = try await post(status, bytes)
                #expect(text.hasPrefix("GET [] accept="))
            }
            for status in [307, 308] {
                let text = try await post(status, bytes)
                #expect(text.hasPrefix("POST [abc]") && text.hasSuffix("content-type=text/plain"))
            }
            let stream = ClientRequest.Body.stream(length: nil) { try await $0.write("abc") }
            let code = await reason { _ = try await post(307, stream) }
            #expect(code == .redirectRefused)
            let text = try await post(303, stream)
            #expect(text.hasPrefix("GET []"))
        }
    }

    @Test("https does not lead to http")
    func downgrade() throws {
        let request = ClientRequest(.get, "https://a.test/", redirects: .follow(max: 1))
        let url = try RequestURL(request.url)
        func next(_ location: String) throws(HTTPClientError) -> String? {
            try Redirect.next(after: request, to: url, (302, ["location": location]), followed: 0)?.url.text
        }
        #expect(throws: HTTPClientError.self) { try next("http://a.test/") }
        #expect(try next("https://b.test/") == "https://b.test/")
        #expect(try next("/c") == "https://a.test/c")
    }

    @Test("A redirect's long body is cut off, and the time limit is for all hops together")
    func bodiesOfRedirects() async throws {
        let long = route(.get, "/long") { _ in
            Response(
                .init(302), headers: ["location": "/hello"],
                body: .stream { writer in
                    for _ in 0..<1000 { try await writer.write([UInt8](repeating: 0, count: 65_536)) }
                })
        }
        let slow = route(.get, "/slow") { request in
            try await Task.sleep(for: .milliseconds(100))
            return Response(.init(302), headers: ["location": "/slow"])
        }
        try await Bench.run(Self.routes + [long, slow]) { bench in
            let text = try await follow(bench, "/long")
            #expect(text == "hello")
            var limits = TransferLimits()
            limits.whole = .milliseconds(250)
            let request = ClientRequest(
                .get, bench.url("/slow"), redirects: .follow(max: 1000), limits: limits)
            let code = await reason { _ = try await bench.client.collect(request) }
            #expect(code == .timedOut)
        }
    }
}
