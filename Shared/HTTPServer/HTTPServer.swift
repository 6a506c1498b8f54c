public import EventLoop
public import Lifecycle
public import Observability
import Synchronization

/// An HTTP/1.1 server (RFC 9112) on event loops: one listening socket in every loop's epoll, a connection one task
/// on one loop, so that a request is read, handled and answered without leaving its thread.
///
/// Asked to stop, it empties the accept queue, answers what is under way with `Connection: close`, ends idle
/// connections, and cancels what is left after `HTTPLimits.drain`.
public final class HTTPServer: Service {
    public let name: String
    /// What answers the requests.
    public let application: Application
    private let address: String
    private let port: UInt16
    private let loops: EventLoopGroup
    private let settings: ServerSettings
    private let metrics: MetricsRegistry
    private let listener = Mutex<ListeningSocket?>(nil)

    /// - Parameters:
    ///   - address: a numeric IPv4 or IPv6 address; `0.0.0.0` or `::` for all.
    ///   - port: 0 for any free one, which `bind` tells.
    ///   - tls: what it proves itself by where it speaks TLS, which is then all it speaks; nil for HTTP in the clear.
    ///     It is a service of its own, to be run beside.
    ///   - logsAccess: whether every answer is logged, or only the server's own faults; so it is for debugging.
    ///   - tracer: where the spans of requests go whose traces are recorded; nil for nowhere.
    public init(
        name: String, address: String = "127.0.0.1", port: UInt16, application: Application, loops: EventLoopGroup,
        limits: HTTPLimits = HTTPLimits(), tls: TLSCertificates? = nil, logsAccess: Bool = false,
        tracer: Tracer? = nil, logger: Logger, metrics: MetricsRegistry
    ) {
        self.name = name
        self.application = application
        self.address = address
        self.port = port
        self.loops = loops
        self.metrics = metrics
        settings = ServerSettings(
            application: application, limits: limits, logsAccess: logsAccess || logger.writes(.debug), tls: tls,
            tracer: tracer, logger: logger, metrics: metrics)
    }

    /// A server of an application made of a router and middleware, from the outermost in.
    public convenience init(
        name: String, address: String = "127.0.0.1", port: UInt16, router: Router, middleware: [any Middleware] = [],
        loops: EventLoopGroup, limits: HTTPLimits = HTTPLimits(), tls: TLSCertificates? = nil, logger: Logger,
        metrics: MetricsRegistry
    ) {
        let application = Application(router: router, middleware: middleware, limits: limits, metrics: metrics)
        self.init(
            name: name, address: address, port: port, application: application, loops: loops, limits: limits,
            tls: tls, logger: logger, metrics: metrics)
    }

    /// Binds and listens, unless it was done; clients may connect from then on, and are answered once `run` is on.
    /// Returns the port.
    @discardableResult
    public func bind() throws(HTTPServerError) -> UInt16 {
        try listeningSocket().port
    }

    /// The port that is listened on; nil before `bind` and after the end.
    public var boundPort: UInt16? { listener.withLock { $0?.port } }

    private func listeningSocket() throws(HTTPServerError) -> ListeningSocket {
        let result = listener.withLock { listener -> Result<ListeningSocket, HTTPServerError> in
            if let listener { return .success(listener) }
            let (fd, errno) = Socket.listen(address: address, port: port, backlog: settings.limits.backlog)
            guard fd >= 0 else { return .failure(.bind(address: address, port: port, errno: errno)) }
            let socket = ListeningSocket(adopting: fd)
            listener = socket
            return .success(socket)
        }
        return try result.get()
    }

    public func run(until shutdown: ShutdownSignal) async throws {
        let socket = try listeningSocket()
        defer { listener.withLock { $0 = nil } }
        socket.retain(by: loops.loops.count)
        let mailboxes = loops.loops.enumerated().map { LoopMailbox($0.offset, $0.element) }
        let admission = Admission(mailboxes, limits: settings.limits, metrics: metrics)
        let bound = Int(socket.port)
        let speaksTLS = settings.tls != nil
        settings.logger.info(
            "http.listening",
            ["server.address": .string(address), "server.port": .int(bound), "server.tls": .bool(speaksTLS)])
        let settings = settings
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for (loop, mailbox) in zip(loops.loops, mailboxes) {
                group.addTask(executorPreference: loop) {
                    try await ServerLoop(loop, socket, mailbox, admission, settings).run()
                    return true
                }
            }
            group.addTask {
                await shutdown.requested()
                for mailbox in mailboxes { mailbox.drain() }
                return false
            }
            try await HTTPServer.awaitEnd(&group, loops: mailboxes.count, drain: settings.limits.drain)
        }
    }

    /// Waits for the loops' parts; after the drain's deadline their tasks are cancelled.
    private static func awaitEnd(
        _ group: inout ThrowingTaskGroup<Bool, any Error>, loops: Int, drain: Duration
    ) async throws {
        var open = loops
        var isDraining = false
        while open > 0, let isLoop = try await group.next() {
            if isLoop {
                open -= 1
            } else if isDraining {
                group.cancelAll()
            } else {
                isDraining = true
                group.addTask {
                    try? await Task.sleep(for: drain)
                    return false
                }
            }
        }
        group.cancelAll()
    }
}

/// Why a server could not start.
public enum HTTPServerError: Error, Hashable, Sendable {
    /// The address could not be listened on.
    case bind(address: String, port: UInt16, errno: CInt)
}
