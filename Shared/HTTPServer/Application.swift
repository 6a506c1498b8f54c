import HTTP
public import Observability

/// What answers requests: routes behind middleware. It does no I/O of its own, so tests call it as the server does.
///
/// Around the middleware it finds the route, holds the body to its limit, turns errors into problems, names the
/// request in its answer, says what other sites' pages may read, compresses, counts, times and logs it. That much is
/// the same for every service, so it is one function and not seven steps of a chain.
public struct Application: Sendable {
    public let router: Router
    private let chain: Route.Handler
    private let bodyLimit: BodyLimit
    private let edge: EdgePolicy
    private let compression: AnswerCompression?
    private let metrics: RequestMetrics

    /// - Parameter middleware: from the outermost in.
    public init(
        router: Router, middleware: [any Middleware] = [], limits: HTTPLimits = HTTPLimits(),
        edge: EdgePolicy = EdgePolicy(), metrics: MetricsRegistry
    ) {
        self.router = router
        self.edge = edge
        compression = edge.compresses ? AnswerCompression() : nil
        self.metrics = RequestMetrics(routes: router.routes, registry: metrics)
        bodyLimit = BodyLimit(limits.body)
        let allMethods = router.allMethods
        let innermost: Route.Handler = { try await Application.dispatch($0, allMethods) }
        chain = middleware.reversed().reduce(innermost) { next, middleware in
            { request in try await middleware.handle(request, next: next) }
        }
    }

    /// Answers a request; whatever goes wrong becomes an answer.
    ///
    /// The answer to HEAD has the body that GET would have had: the connection leaves it out but keeps its length.
    public nonisolated(nonsending) func respond(to request: Request) async -> Response {
        let start = ContinuousClock.now
        var request = request
        request.context.trustedProxies = edge.trustedProxies
        var response: Response
        do {
            try route(&request)
            response = try await chain(request)
        } catch {
            response = ProblemMapping.response(to: error, request)
        }
        response.headers.add("x-request-id", request.context.requestID)
        edge.crossOrigin?.apply(to: &response, for: request.head)
        if let compression, let coding = compression.choose(for: &response, to: request.head) {
            response = await compression.encode(response, coding)
        }
        let time = metrics.record(request, response, since: start)
        AccessLog.record(request, response, after: time)
        return response
    }

    private func route(_ request: inout Request) throws(Problem) {
        do {
            switch try router.match(request.head) {
            case .route(let route, let parameters, let index):
                request.route = route
                request.routeIndex = index
                request.parameters = parameters
            case .otherMethods(let allow):
                request.unrouted = .otherMethods(allow: allow)
            case .none:
                break
            }
        } catch {
            request.unrouted = .invalid(error)
        }
        try bodyLimit.apply(to: &request)
    }

    private nonisolated(nonsending) static func dispatch(_ request: Request, _ allMethods: String) async throws
        -> Response
    {
        if let route = request.route { return try await route.handler(request) }
        if case .invalid(let problem) = request.unrouted { throw problem }
        if request.head.targetForm == .asterisk {
            return Response(.noContent, headers: ["allow": allMethods])
        }
        guard case .otherMethods(let allow) = request.unrouted else {
            throw Problem(.notFound, "there is nothing at \(request.head.path)")
        }
        if request.method == .options { return Response(.noContent, headers: ["allow": allow]) }
        var problem = Problem(.methodNotAllowed, "\(request.method) is not one of \(allow)")
        problem.headers["allow"] = allow
        throw problem
    }
}
