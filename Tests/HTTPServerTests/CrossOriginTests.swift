import HTTP
import HTTPServer
import Observability
import Testing

@Suite struct CrossOriginTests {
    private let origin = "https://console.example"

    private func application(_ policy: CrossOriginPolicy?) -> Application {
        var edge = EdgePolicy()
        edge.crossOrigin = policy
        let failing = Route(.get, "/fails", scope: nil, operation: Fixture.operation("f")) { _ in
            throw Problem(.conflict, "no")
        }
        let routes = [Fixture.route(.get, "/x/{n}", "x"), Fixture.route(.put, "/x/{n}", "y"), failing]
        return Application(router: Router(routes: routes), edge: edge, metrics: MetricsRegistry())
    }

    private func only() throws -> CrossOriginPolicy {
        CrossOriginPolicy(.only([try #require(WebOrigin(origin)), try #require(WebOrigin("http://localhost:3000"))]))
    }

    private func answer(
        _ policy: CrossOriginPolicy?, _ method: HTTPMethod, _ target: String, _ headers: HTTPHeaders
    ) async throws -> HTTPHeaders {
        await application(policy).respond(to: try Fixture.request(method, target, headers: headers)).headers
    }

    private func answer(_ policy: CrossOriginPolicy?, _ headers: HTTPHeaders) async throws -> HTTPHeaders {
        try await answer(policy, .get, "/x/1", headers)
    }

    private func fields(_ headers: HTTPHeaders) -> [String] {
        headers.fields.map(\.name).filter { $0.hasPrefix("access-control-") }.sorted()
    }

    @Test func bySilenceNothingIsSaid() async throws {
        let headers = try await answer(
            nil, .options, "/x/1", ["Origin": origin, "Access-Control-Request-Method": "PUT"])
        #expect(fields(headers).isEmpty && headers["vary"] == nil)
    }

    @Test func aKnownOriginMayRead() async throws {
        let headers = try await answer(only(), ["Origin": origin])
        #expect(headers["access-control-allow-origin"] == origin)
        #expect(headers["vary"] == "Origin")
        let exposed = try #require(headers["access-control-expose-headers"]).split(separator: ", ")
        for name in ["ETag", "Location", "Retry-After", "X-Next-Cursor", "X-Request-Id"] {
            #expect(exposed.contains(Substring(name)))
        }
        #expect(headers["access-control-allow-credentials"] == nil)
    }

    @Test func problemsMayBeReadAsWell() async throws {
        for target in ["/fails", "/nowhere"] {
            #expect(try await answer(only(), .get, target, ["Origin": origin])["access-control-allow-origin"] == origin)
        }
    }

    @Test(arguments: [
        "https://other.example", "https://console.example.evil.example", "http://console.example", "null",
        "https://console.example:8443", "HTTPS://CONSOLE.EXAMPLE", "*", "",
    ])
    func othersMayNotButCachesAreTold(_ other: String) async throws {
        for method in [HTTPMethod.get, .options] {
            let headers = try await answer(
                only(), method, "/x/1", ["Origin": other, "Access-Control-Request-Method": "PUT"])
            #expect(fields(headers).isEmpty && headers["vary"] == "Origin")
        }
        #expect(try await answer(only(), [:])["vary"] == "Origin")
        #expect(try await fields(answer(only(), ["Origin": origin, "origin": origin])).isEmpty)
    }

    @Test func anyOriginMeansAStarAndNeverCredentials() async throws {
        let headers = try await answer(CrossOriginPolicy(.any), ["Origin": "https://any.example"])
        #expect(headers["access-control-allow-origin"] == "*" && headers["vary"] == nil)
        #expect(headers["access-control-allow-credentials"] == nil)
        #expect(try await fields(answer(CrossOriginPolicy(.any), [:])).isEmpty)
    }

    @Test func aPreflightIsAnsweredByTheRouter() async throws {
        let headers = try await answer(
            only(), .options, "/x/1",
            [
                "Origin": "http://localhost:3000", "Access-Control-Request-Method": "PUT",
                "Access-Control-Request-Headers": "authorization,content-type", "Access-Control-Request-Private": "x",
            ])
        #expect(headers["access-control-allow-origin"] == "http://localhost:3000")
        #expect(headers["access-control-allow-methods"] == "GET, HEAD, OPTIONS, PUT")
        #expect(headers["access-control-allow-headers"] == "authorization, content-type")
        #expect(headers["access-control-max-age"] == "7200")
        #expect(headers.values("vary") == ["Origin", "Access-Control-Request-Headers"])
        #expect(headers["access-control-expose-headers"] == nil)
    }

    @Test(arguments: ["a b", "a(b", String(repeating: "a", count: 1025), ",,"])
    func namesThatAreNoneAreNotAllowed(_ names: String) async throws {
        let asked: HTTPHeaders = [
            "Origin": origin, "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": names,
        ]
        let headers = try await answer(only(), .options, "/x/1", asked)
        #expect(headers["access-control-allow-headers"] == nil)
        #expect(headers["access-control-allow-methods"] != nil)
    }

    @Test func aPreflightNeedsNoKeyAndReachesNoHandler() async throws {
        let headers: HTTPHeaders = ["Origin": origin, "Access-Control-Request-Method": "GET"]
        let response = await application(try only()).respond(
            to: try Fixture.request(.options, "/fails", headers: headers))
        #expect(response.status == .noContent)
        #expect(try await answer(only(), .options, "/nowhere", headers)["access-control-allow-methods"] == nil)
    }

    @Test func clientsAreNamedByTrustedProxiesOnly() async throws {
        var edge = EdgePolicy()
        edge.trustedProxies = TrustedProxies([try #require(AddressRange("192.0.2.1"))])
        let route = Route(.get, "/who", scope: nil, operation: Fixture.operation("w")) { .text(.ok, $0.clientAddress) }
        let headers: HTTPHeaders = ["X-Forwarded-For": "203.0.113.5, 198.51.100.7"]
        for (policy, client) in [(edge, "198.51.100.7"), (EdgePolicy(), "192.0.2.1")] {
            let application = Application(router: Router(routes: [route]), edge: policy, metrics: MetricsRegistry())
            let head = try HTTPRequestHead(.get, "/who", headers: headers)
            let context = RequestContext(
                head, logger: .silent, peerAddress: "192.0.2.1", trustedProxies: application.trustedProxies)
            #expect(await application.respond(to: Request(head, context: context)).bodyText == client)
        }
    }
}
