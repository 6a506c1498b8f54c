import HTTP
import HTTPServer
import JSON
import Testing

@Suite struct RouterTests {
    private let application = Fixture.application([
        Fixture.route(.get, "/", "root"),
        Fixture.route(.get, "/v1/datasets", "list"),
        Fixture.route(.get, "/v1/datasets/{name}", "get", names: ["name"]),
        Fixture.route(.put, "/v1/datasets/{dataset}", "put", names: ["dataset"]),
        Fixture.route(.get, "/v1/datasets/{name}/rows", "rows", names: ["name"]),
        Fixture.route(.get, "/v1/datasets/special", "special"),
        Fixture.route(.post, "/v1/{kind}/{id}/cancel", "cancel", names: ["kind", "id"]),
        Fixture.route(.get, "/console/{path...}", "file", names: ["path"]),
        Fixture.route(.post, "/v1/only", "only"),
    ])

    @Test(arguments: [
        ("/", "root"), ("/?a=b", "root"), ("/v1/datasets", "list"), ("/v1/datasets/web", "get|web"),
        ("/v1/datasets/special", "special"), ("/v1/datasets/special/rows", "rows|special"),
        ("/v1/datasets/a%2Fb", "get|a/b"), ("/v1/datasets/%C3%A9%20", "get|é "), ("/%761/dat%61sets", "list"),
        ("/v1/datasets/..", "get|.."), ("/console/a/b.js", "file|a/b.js"), ("/v1/datasets/a+b", "get|a+b"),
        ("http://any.example/v1/datasets", "list"), ("http://any.example", "root"),
    ])
    func finds(_ target: String, _ answer: String) async throws {
        let response = await application.respond(to: try Fixture.request(.get, target))
        #expect(response.status == .ok)
        #expect(response.bodyText == answer)
    }

    @Test(arguments: [
        "/v1", "/v1/", "/v2", "/v1/datasets/", "//v1/datasets", "/v1//datasets", "/v1/datasets/a/b", "/V1/datasets",
        "/v1/datasets/a/rows/", "/console", "/v1/datasetsx", "/v1/dataset",
    ])
    func answers404(_ target: String) async throws {
        let response = await application.respond(to: try Fixture.request(.get, target))
        #expect(response.status == .notFound)
        #expect(response.json?["code"] == "not_found")
    }

    @Test(arguments: ["/v1/datasets/%", "/v1/datasets/%FF", "/v1/datasets/a%00"])
    func answers400(_ target: String) async throws {
        let response = await application.respond(to: try Fixture.request(.get, target))
        #expect(response.status == .badRequest)
        #expect(response.json?["code"] == "invalid_path")
    }

    @Test func goesBackFromLiteralsThatLeadNowhere() async throws {
        let response = await application.respond(to: try Fixture.request(.post, "/v1/datasets/7/cancel"))
        #expect(response.bodyText == "cancel|datasets|7")
    }

    @Test func otherMethodsAreAnsweredWithAllow() async throws {
        let response = await application.respond(to: try Fixture.request(.delete, "/v1/datasets/web"))
        #expect(response.status == .methodNotAllowed)
        #expect(response.headers["allow"] == "GET, HEAD, OPTIONS, PUT")
        let unknown = await application.respond(to: try Fixture.request(.other("BREW"), "/v1/only"))
        #expect(unknown.status == .methodNotAllowed)
        #expect(unknown.headers["allow"] == "OPTIONS, POST")
    }

    @Test func headIsAnsweredByGet() async throws {
        let response = await application.respond(to: try Fixture.request(.head, "/v1/datasets/web"))
        #expect(response.status == .ok)
        #expect(response.bodyText == "get|web")
        let none = await application.respond(to: try Fixture.request(.head, "/v1/only"))
        #expect(none.status == .methodNotAllowed)
    }

    @Test func optionsListsTheMethods() async throws {
        let one = await application.respond(to: try Fixture.request(.options, "/v1/datasets/web"))
        #expect(one.status == .noContent)
        #expect(one.headers["allow"] == "GET, HEAD, OPTIONS, PUT")
        let all = await application.respond(to: try Fixture.request(.options, "*"))
        #expect(all.status == .noContent)
        #expect(all.headers["allow"] == "GET, HEAD, OPTIONS, POST, PUT")
        let none = await application.respond(to: try Fixture.request(.options, "/nowhere"))
        #expect(none.status == .notFound)
    }
}
