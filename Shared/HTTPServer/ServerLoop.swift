import EventLoop
import HTTP
import Observability

/// What all connections of a server share, and never changes.
struct ServerSettings: Sendable {
    let limits: HTTPLimits
    let logger: Logger
    let logsAccess: Bool
    /// Answers a request, whatever happens.
    let respond: nonisolated(nonsending) @Sendable (Request) async -> Response
    /// The answer to a stream that failed before it wrote anything.
    let failure: @Sendable (any Error, Request) -> Response
    let webSockets: WebSocketMetrics
    /// Nil for a server in the clear.
    let tls: TLSCertificates?

    /// The pace of a body that has not begun, and of an answer.
    let readPace: TransferPace
    let writePace: TransferPace
    let headTimeout: LoopInterval
    let idleTimeout: LoopInterval

    init(
        limits: HTTPLimits, logsAccess: Bool, tls: TLSCertificates? = nil, logger: Logger,
        respond: nonisolated(nonsending) @escaping @Sendable (Request) async -> Response,
        failure: @escaping @Sendable (any Error, Request) -> Response, metrics: MetricsRegistry
    ) {
        self.limits = limits
        self.logger = logger
        self.logsAccess = logsAccess
        self.tls = tls
        self.respond = respond
        self.failure = failure
        webSockets = WebSocketMetrics(metrics)
        readPace = TransferPace(
            idle: limits.bodyTimeout, rate: limits.bodyRate, grace: limits.rateGrace, total: limits.requestTimeout)
        writePace = TransferPace(idle: limits.writeTimeout, rate: limits.writeRate, grace: limits.rateGrace)
        headTimeout = LoopInterval(limits.headTimeout)
        idleTimeout = LoopInterval(limits.idleTimeout)
    }
}

/// A server's part on one event loop: it accepts connections, keeps their tasks, and owns the buffers they share.
/// Only the loop's thread touches it.
final class ServerLoop {
    let loop: EventLoop
    let settings: ServerSettings
    private let listener: ListeningSocket
    private let mailbox: LoopMailbox
    private let admission: Admission
    private var connections: [ObjectIdentifier: Connection] = [:]
    private(set) var isDraining = false
    /// Filled and parsed without a suspension in between; an idle connection thus holds no buffer.
    var readBuffer: [UInt8]
    /// Where answers' heads are written; taken out before a task suspends.
    var output: [UInt8] = []
    var heads = AnswerHead()

    /// Connections accepted in one go, before others get their turn.
    private static let acceptBatch = 64

    init(
        _ loop: EventLoop, _ listener: ListeningSocket, _ mailbox: LoopMailbox, _ admission: Admission,
        _ settings: ServerSettings
    ) {
        self.loop = loop
        self.listener = listener
        self.mailbox = mailbox
        self.admission = admission
        self.settings = settings
        readBuffer = [UInt8](repeating: 0, count: settings.limits.readBuffer)
        output.reserveCapacity(4096)
    }

    /// Accepts until the server drains and the accept queue is empty; returns when all connections have ended.
    func run() async throws(EventLoopError) {
        var isAccepting = true
        defer { if isAccepting { listener.release() } }
        let descriptor = try PolledDescriptor(adopting: listener.fd, owned: false, loop: loop, trigger: .exclusive)
        mailbox.open(descriptor)
        await withDiscardingTaskGroup { group in
            while true {
                for accepted in mailbox.take() { serve(accepted, &group) }
                if mailbox.isDraining { beginDrain() }
                switch acceptBatch(&group) {
                case .more: await Task.yield()
                case .exhausted:
                    if isDraining || Task.isCancelled {
                        for accepted in mailbox.close() { serve(accepted, &group) }
                        descriptor.close()
                        listener.release()
                        isAccepting = false
                        return
                    }
                    // Ends early for a connection handed over and for the drain; cancellation is looked at above.
                    try? await descriptor.waitReadable()
                case .failed(let errno):
                    settings.logger.warning("accepting a connection failed", ["errno": .int(Int(errno))])
                    try? await loop.sleep(for: .milliseconds(100))
                }
            }
        }
    }

    private enum Accepting {
        case more
        case exhausted
        case failed(CInt)
    }

    private func acceptBatch(_ group: inout DiscardingTaskGroup) -> Accepting {
        for _ in 0..<ServerLoop.acceptBatch {
            let (accepted, errno) = Socket.accept(listener.fd)
            guard let accepted else {
                // A connection that its client gave up while it was queued is no failure.
                if errno == Socket.connectionAborted { continue }
                return errno == 0 ? .exhausted : .failed(errno)
            }
            place(accepted, &group)
        }
        return .more
    }

    /// Gives a new connection to the loop that has the fewest.
    private func place(_ accepted: Socket.Accepted, _ group: inout DiscardingTaskGroup) {
        switch admission.admit(accepted.peer, preferring: mailbox.index) {
        case .refused(let reason): refuse(accepted, reason)
        case .loop(mailbox.index): serve(accepted, &group)
        case .loop(let other):
            guard !admission.mailboxes[other].put(accepted) else { return }
            admission.move(from: other, to: mailbox.index)
            serve(accepted, &group)
        }
    }

    private func serve(_ accepted: Socket.Accepted, _ group: inout DiscardingTaskGroup) {
        let server = LoopBound(self, to: loop)
        group.addTask(executorPreference: loop) { await server.value.serve(accepted) }
    }

    private nonisolated(nonsending) func serve(_ accepted: Socket.Accepted) async {
        defer { admission.leave(mailbox.index, accepted.peer) }
        guard let connection = try? Connection(accepted, on: self) else { return }
        connections[ObjectIdentifier(connection)] = connection
        await connection.serve()
        connections[ObjectIdentifier(connection)] = nil
    }

    private func beginDrain() {
        guard !isDraining else { return }
        isDraining = true
        for connection in connections.values { connection.drain() }
    }

    /// Answers 503 without waiting: the process, or the client, has as many connections as it may have. By TLS there is
    /// no answer: a handshake is what it has no room for.
    private func refuse(_ accepted: Socket.Accepted, _ reason: String) {
        guard settings.tls == nil else { return Socket.close(accepted.fd) }
        let problem = Problem(.tooManyConnections, reason, retryAfter: .seconds(1))
        output.removeAll(keepingCapacity: true)
        let response = Response.problem(problem)
        if case .bytes(let body) = response.body {
            heads.encode(response, .length(body.count), .close, into: &output)
            output.append(contentsOf: body)
        }
        _ = Socket.receive(accepted.fd, into: &readBuffer)
        _ = Socket.send(accepted.fd, output)
        Socket.shutdownWrite(accepted.fd)
        Socket.close(accepted.fd)
    }
}
