import Access
import Analytics
import Configuration
import EventLoop
import HTTP
import HTTPServer
import Ingest
import JSON
import Observability
import Platform
import Store
import Testing
import Transform

/// Goes through all routes of all services; none of them runs.
@Suite struct RouteTableTests {
    private static let services = ["ingest", "transform", "store", "analytics"]

    /// The service's application, with a database that is never asked.
    private func withApplication(_ service: String, _ body: (Application) async throws -> Void) async throws {
        let environment = Environment(["DATABASE_URL": "postgres://127.0.0.1/none", "MILLRACE_EVENT_LOOPS": "1"])
        let platform: Platform
        let server: HTTPServer
        switch service {
        case "ingest":
            let made = try IngestService(IngestConfiguration(environment))
            (platform, server) = (made.platform, made.server)
        case "transform":
            let made = try TransformService(TransformConfiguration(environment))
            (platform, server) = (made.platform, made.server)
        case "store":
            let made = try StoreService(StoreConfiguration(environment))
            (platform, server) = (made.platform, made.server)
        default:
            let made = try AnalyticsService(AnalyticsConfiguration(environment))
            (platform, server) = (made.platform, made.server)
        }
        defer { platform.loops.shutdown() }
        try await body(server.application)
    }

    /// A path of the pattern, with a value that is no literal segment anywhere.
    private func path(_ pattern: String) -> String {
        pattern.split(separator: "/").map { $0.hasPrefix("{") ? "/x-1" : "/\($0)" }.joined()
    }

    private func answer(_ application: Application, _ method: HTTPMethod, _ path: String) async throws -> Response {
        let head = try HTTPRequestHead(method, path)
        let context = RequestContext(head, logger: .silent, peerAddress: "")
        return await application.respond(to: Request(head, context: context))
    }

    @Test(arguments: services)
    func otherMethodsAreRefusedAndTheOnesThereAreNamed(_ service: String) async throws {
        try await withApplication(service) { application in
            let tables = Dictionary(grouping: application.router.routes) { path($0.pattern) }
            #expect(tables.count > 4)
            for (path, routes) in tables {
                var methods = Set(routes.map(\.method.description))
                if methods.contains("GET") { methods.insert("HEAD") }
                methods.insert("OPTIONS")
                let allow = methods.sorted().joined(separator: ", ")
                let refused = try await answer(application, .other("BREW"), path)
                #expect(refused.status == .methodNotAllowed && refused.headers["allow"] == allow, "\(path)")
                let options = try await answer(application, .options, path)
                #expect(options.status == .noContent && options.headers["allow"] == allow, "\(path)")
            }
        }
    }

    @Test(arguments: services)
    func headIsAnsweredWhereverGetIs(_ service: String) async throws {
        try await withApplication(service) { application in
            for (index, route) in application.router.routes.enumerated() where route.method == .get {
                guard
                    case .route(let found, _) = try application.router.match(
                        HTTPRequestHead(.head, path(route.pattern)))
                else {
                    Issue.record("no HEAD for \(route.pattern)")
                    continue
                }
                #expect(found == index)
            }
        }
    }

    /// The contract's test (Tests/Contract) goes by the document: what that does not describe, nobody looks at.
    @Test(arguments: services)
    func whatIsSentAndAnsweredHasASchema(_ service: String) async throws {
        try await withApplication(service) { application in
            let operations = application.router.routes.map(\.operation)
            let ids = Set(operations.map(\.id))
            #expect(ids.count == operations.count)
            for operation in operations {
                for content in operation.requestBody + operation.answers.flatMap(\.content) {
                    let isSaid = content.schema.map { $0 != ["type": "object"] } ?? false
                    #expect(isSaid, "\(operation.id): \(content.mediaType)")
                }
                for link in operation.answers.flatMap(\.links) {
                    #expect(ids.contains(link.operation), "\(operation.id) leads to \(link.operation)")
                }
            }
            for route in application.router.routes {
                let named = route.pattern.split(separator: "/").filter { $0.hasPrefix("{") }.map {
                    $0.dropFirst().dropLast()
                }
                let described = route.operation.parameters.filter { $0.location == .path }.map { $0.name[...] }
                #expect(named == described, "\(route.pattern)")
            }
        }
    }

    /// Routes whose handlers look at the names by themselves, for keys whose scopes are narrowed to names: each filters
    /// its list, or answers 404. All others are held to the name in their path, or closed to such keys.
    private static let looking: Set<String> = [
        "/v1/receipts/{id}", "/v1/batches", "/v1/batches/{id}", "/v1/batches/{id}/raw", "/v1/sources",
        "/v1/pipelines", "/v1/runs", "/v1/runs/{id}", "/v1/datasets",
    ]

    @Test(arguments: services)
    func aRouteIsForAScopeThatThereIsAndForTheNameInItsPath(_ service: String) async throws {
        try await withApplication(service) { application in
            for route in application.router.routes {
                let place = "\(route.method) \(route.pattern)"
                guard let scope = route.scope else { continue }
                #expect(ScopeSet.known.contains(scope), "\(place)")
                #expect((route.reach == .handler) == Self.looking.contains(route.pattern), "\(place)")
                if case .named(let parameter) = route.reach {
                    #expect(route.pattern.contains("{\(parameter)}"), "\(place)")
                    #expect(route.pattern.split(separator: "{").count == 2, "\(place): which of the names is meant?")
                }
            }
        }
    }
}
