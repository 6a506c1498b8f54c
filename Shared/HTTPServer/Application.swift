import EventLoop
public import HTTP
public import Observability

/// What answers requests: routes behind middleware. It does no I/O of its own, so tests call it as the server does.
///
/// Around the middleware it finds the route, holds the body to its limit, turns errors into problems, names the
/// request in its answer, says what other sites' pages may read, compresses, counts, times and logs it. That much is
/// the same for every service, so it is one function and not seven steps of a chain.
public final class Application: Sendable {
    public let router: Router
    private let middleware: [any Middleware]
    private let allMethods: String
    private let bodyLimit: BodyLimit
    private let edge: EdgePolicy
    private let compression: AnswerCompression?
    private let metrics: RequestMetrics
    private let observers: [any AnswerObserver]

    /// - Parameter middleware: from the outermost in.
    public init(
        router: Router, middleware: [any Middleware] = [], observers: [any AnswerObserver] = [],
        limits: HTTPLimits = HTTPLimits(),
        edge: EdgePolicy = EdgePolicy(), metrics: MetricsRegistry
    ) {
        self.router = router
        self.edge = edge
        self.observers = observers
        compression = edge.compresses ? AnswerCompression() : nil
        self.metrics = RequestMetrics(routes: router.routes, registry: metrics)
        bodyLimit = BodyLimit(limits.body)
        self.middleware = middleware
        allMethods = router.allMethods
    }

    /// Whose word about a client's address is taken.
    public var trustedProxies: TrustedProxies { edge.trustedProxies }

    /// Answers a request; whatever goes wrong becomes an answer.
    ///
    /// The answer to HEAD has the body that GET would have had: the connection leaves it out but keeps its length.
    public nonisolated(nonsending) func respond(to request: Request) async -> Response {
        let start = LoopTime.now
        var request = request
        let refusal = await admit(&request)
        let response = await answer(request, refusal)
        var recorder = recorder(request.context.origin.logger)
        recorder.answered(request, response.status, after: LoopTime.now - start)
        let sizes = RequestSizes(received: request.body.contentLength ?? 0, sent: response.body.count)
        recorder.ended(request, response.status, sizes, since: start, after: LoopTime.now - start)
        recorder.flush()
        return response
    }

    /// What records a loop's requests.
    func recorder(_ logger: Logger) -> RequestRecorder { RequestRecorder(metrics, logger) }

    /// Finds a request's route and takes it through the middleware, which note in it what they find out; returns the
    /// answer of whoever refuses it.
    nonisolated(nonsending) func admit(_ request: inout Request) async -> Response? {
        do {
            try route(&request)
            for layer in middleware where try !layer.admitAtOnce(&request) { try await layer.admit(&request) }
            return nil
        } catch {
            return ProblemMapping.response(to: error, request)
        }
    }

    /// Has the handler answer an admitted request, and finishes the answer, or that of who refused it. It is not
    /// recorded yet.
    nonisolated(nonsending) func answer(_ request: Request, _ refusal: Response?) async -> Response {
        var response: Response
        if let refusal {
            response = refusal
        } else {
            do {
                response = try await request.route?.handler(request) ?? unrouted(request)
            } catch {
                response = ProblemMapping.response(to: error, request)
            }
        }
        response.requestID = request.context.id
        for field in request.context.answerFields.fields { response.headers.add(field.name, field.value) }
        for observer in observers { observer.answered(request, response) }
        edge.crossOrigin?.apply(to: &response, for: request.head)
        if let compression, let coding = compression.choose(for: &response, to: request.head) {
            response = await compression.encode(response, coding)
        }
        return response
    }

    private func route(_ request: inout Request) throws(Problem) {
        do {
            switch try router.match(request.head) {
            case .route(let index, let parameters):
                request.route = router.routes[index]
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

    /// The answer where no route is.
    private func unrouted(_ request: Request) throws(Problem) -> Response {
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
