import HTTP
public import Observability

/// What answers requests: routes behind middleware. It does no I/O of its own, so tests call it as the server does.
public struct Application: Sendable {
    public let router: Router
    private let chain: Route.Handler

    /// - Parameter middleware: from the outermost in; it runs inside of the standard one, which names the request,
    ///   counts and logs it, turns errors into problems, and limits its body.
    public init(
        router: Router, middleware: [any Middleware] = [], limits: HTTPLimits = HTTPLimits(),
        metrics: MetricsRegistry
    ) {
        self.router = router
        let all: [any Middleware] =
            [
                RequestIdentity(), RequestMetrics(routes: router.routes, registry: metrics), AccessLog(),
                ProblemMapping(), BodyLimit(limits.body),
            ] + middleware
        let allMethods = router.allMethods
        let innermost: Route.Handler = { try await Application.dispatch($0, allMethods) }
        chain = all.reversed().reduce(innermost) { next, middleware in
            { request in try await middleware.handle(request, next: next) }
        }
    }

    /// Answers a request; whatever goes wrong becomes an answer.
    ///
    /// The answer to HEAD has the body that GET would have had: the connection leaves it out but keeps its length.
    public func respond(to request: Request) async -> Response {
        var request = request
        do {
            switch try router.match(request.head) {
            case .route(let route, let parameters, let index):
                request.route = route
                request.routeIndex = index
                request.parameters = parameters
            case .otherMethods(let allow):
                request.allow = allow
            case .none:
                break
            }
        } catch {
            request.routingProblem = error
        }
        do {
            return try await chain(request)
        } catch {
            return ProblemMapping.response(to: error, request)
        }
    }

    private static func dispatch(_ request: Request, _ allMethods: String) async throws -> Response {
        if let route = request.route { return try await route.handler(request) }
        if let problem = request.routingProblem { throw problem }
        if request.head.targetForm == .asterisk {
            return Response(.noContent, headers: ["allow": allMethods])
        }
        guard let allow = request.allow else { throw Problem(.notFound, "there is nothing at \(request.head.path)") }
        if request.method == .options { return Response(.noContent, headers: ["allow": allow]) }
        var problem = Problem(.methodNotAllowed, "\(request.method) is not one of \(allow)")
        problem.headers["allow"] = allow
        throw problem
    }
}
