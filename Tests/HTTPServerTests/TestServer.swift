import EventLoop
import HTTP
import HTTPServer
import JSON
import Lifecycle
import Observability
import Synchronization

/// A server on loops of its own, with the routes the tests talk to.
final class TestServer: Sendable {
    let port: UInt16
    let loops: EventLoopGroup
    let shutdown: ShutdownSignal
    let metrics: MetricsRegistry
    /// What it proves itself by; nil where it speaks HTTP in the clear.
    let certificates: TLSCertificates?
    var loop: EventLoop { loops.loops[0] }

    private init(
        port: UInt16, loops: EventLoopGroup, shutdown: ShutdownSignal, metrics: MetricsRegistry,
        certificates: TLSCertificates?
    ) {
        self.port = port
        self.loops = loops
        self.shutdown = shutdown
        self.metrics = metrics
        self.certificates = certificates
    }

    /// A new connection. Must be called on one of the loops, which the client then shares with the server.
    func connect() throws -> TestClient { try TestClient(port: port, loop: loops.next()) }

    /// Lets the server, on the same loop, handle all that has come.
    func settle() async {
        for _ in 0..<6 { await Task.yield() }
    }

    /// Runs `body` on the first loop, against a server with `routes`, and then has the server drain.
    static func run(
        _ routes: [Route], middleware: [any Middleware] = [], loops count: Int = 1, tls: TLSFiles? = nil,
        logger: Logger = .silent, tracer: Tracer? = nil, edge: EdgePolicy = EdgePolicy(),
        limits change: (inout HTTPLimits) -> Void = { _ in },
        _ body: @Sendable (TestServer) async throws -> Void
    ) async throws {
        var limits = HTTPLimits()
        change(&limits)
        let loops = try EventLoopGroup(count: count, name: "http-test")
        let metrics = MetricsRegistry()
        let certificates = tls.map { TLSCertificates($0, logger: logger, metrics: metrics) }
        let application = Application(
            router: Router(routes: routes), middleware: middleware, limits: limits, edge: edge, metrics: metrics)
        let server = HTTPServer(
            name: "test", port: 0, application: application, loops: loops, limits: limits, tls: certificates,
            tracer: tracer, logger: logger, metrics: metrics)
        let test = TestServer(
            port: try server.bind(), loops: loops, shutdown: ShutdownSignal(), metrics: metrics,
            certificates: certificates)
        let result: Result<Void, any Error>
        do {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await server.run(until: test.shutdown) }
                do {
                    try await test.loop.run { try await body(test) }
                } catch {
                    test.shutdown.request()
                    throw error
                }
                test.shutdown.request()
                try await group.waitForAll()
            }
            result = .success(())
        } catch {
            result = .failure(error)
        }
        loops.shutdown()
        try result.get()
    }
}

/// A place where handlers wait for a test, and tests for a handler.
final class Gate: Sendable {
    private let signal = ShutdownSignal()
    func open() { signal.request() }
    func passed() async { await signal.requested() }
    var isOpen: Bool { signal.isRequested }
}

/// A number that handlers count up.
final class Tally: Sendable {
    private let count = Atomic(0)
    var value: Int { count.load(ordering: .acquiring) }
    func add(_ amount: Int) { count.add(amount, ordering: .acquiringAndReleasing) }
}

/// A route whose description does not matter.
func route(
    _ method: HTTPMethod, _ pattern: String, bodyLimit: Int? = nil, _ handler: @escaping Route.Handler
) -> Route {
    Route(
        method, pattern, scope: nil, bodyLimit: bodyLimit,
        operation: Operation(id: pattern, summary: pattern, answers: [Operation.Answer(200, "Yes")]), handler: handler)
}

/// Answers with the body it was sent, and the name in the path.
let echo = route(.post, "/echo/{name}") { request in
    let body = try await request.body.collect(limit: 1 << 20)
    return .text(.ok, "\(request.parameter("name")):\(String(decoding: body, as: UTF8.self))")
}

let hello = route(.get, "/hello") { _ in .text(.ok, "hello") }
