import Buffers
import EventLoop
import HTTP
import Observability

/// What all connections of a server share, and never changes.
struct ServerSettings: Sendable {
    let limits: HTTPLimits
    let logger: Logger
    let application: Application
    /// What requests are told of where they came in.
    let origin: RequestOrigin
    let webSockets: WebSocketMetrics
    /// Nil for a server in the clear.
    let tls: TLSCertificates?

    /// The pace of a body that has not begun, and of an answer.
    let readPace: TransferPace
    let writePace: TransferPace
    let headTimeout: LoopInterval
    let idleTimeout: LoopInterval

    init(
        application: Application, limits: HTTPLimits, logsAccess: Bool, tls: TLSCertificates? = nil,
        tracer: Tracer? = nil, logger: Logger, metrics: MetricsRegistry
    ) {
        self.limits = limits
        self.logger = logger
        self.application = application
        self.tls = tls
        origin = RequestOrigin(
            logger: logger, logsAccess: logsAccess, trustedProxies: application.trustedProxies,
            isTLS: tls != nil, tracer: tracer)
        webSockets = WebSocketMetrics(metrics)
        readPace = TransferPace(
            idle: limits.bodyTimeout, rate: limits.bodyRate, grace: limits.rateGrace, total: limits.requestTimeout)
        writePace = TransferPace(idle: limits.writeTimeout, rate: limits.writeRate, grace: limits.rateGrace)
        headTimeout = LoopInterval(limits.headTimeout)
        idleTimeout = LoopInterval(limits.idleTimeout)
    }
}

/// A server's part on one event loop: it accepts connections, has its workers serve them, and owns the buffers that
/// they share. Only the loop's thread touches it.
final class ServerLoop {
    let loop: EventLoop
    let settings: ServerSettings
    private let workers: LoopWorkers
    var ready = ReadyConnections()
    var held = HeldAnswers()
    private let listener: ListeningSocket
    private let mailbox: LoopMailbox
    private let admission: Admission
    private var connections: [ObjectIdentifier: Connection] = [:]
    private(set) var isDraining = false
    /// The drain's time is over, or nobody waited for it: no connection rests any more.
    private(set) var isClosing = false
    /// Woken when the last connection has ended.
    private let ended: LoopWaiter
    /// Filled and parsed without a suspension in between; an idle connection thus holds no buffer.
    var readBuffer: [UInt8]
    /// Where answers' heads are written; taken out before a task suspends.
    var output = OctetBuffer(capacity: 4096)
    var heads = AnswerHead()
    /// Where requests' and traces' ids come from.
    var numbers = UniqueNumbers()
    var recorder: RequestRecorder

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
        recorder = settings.application.recorder(settings.logger)
        workers = LoopWorkers(on: loop)
        ended = LoopWaiter(on: loop)
        readBuffer = [UInt8](repeating: 0, count: settings.limits.readBuffer)
    }

    /// Accepts until the server drains and the accept queue is empty; returns when all connections have ended.
    /// Cancelled, it closes those that rest; the others' tasks are cancelled.
    func run() async throws(EventLoopError) {
        var isAccepting = true
        defer { if isAccepting { listener.release() } }
        let descriptor = try PolledDescriptor(adopting: listener.fd, owned: false, loop: loop, trigger: .exclusive)
        mailbox.open(descriptor)
        await withDiscardingTaskGroup { group in
            let server = LoopBound(self, to: loop)
            group.addTask(executorPreference: loop) { await server.value.runWorkers() }
            await accept(descriptor)
            for accepted in mailbox.close() { serve(accepted) }
            descriptor.close()
            listener.release()
            isAccepting = false
            await allEnded()
            workers.stop()
        }
    }

    /// Returns when the server drains and the accept queue is empty, or when it is cancelled.
    private func accept(_ descriptor: PolledDescriptor) async {
        while true {
            for accepted in mailbox.take() { serve(accepted) }
            if mailbox.isDraining { beginDrain() }
            switch acceptBatch() {
            case .more: await Task.yield()
            case .exhausted:
                if isDraining || Task.isCancelled { return }
                // Ends early for a connection handed over and for the drain; cancellation is looked at above.
                try? await descriptor.waitReadable()
            case .failed(let errno):
                settings.logger.warning("accepting a connection failed", ["errno": .int(Int(errno))])
                try? await loop.sleep(for: .milliseconds(100))
            }
        }
    }

    private nonisolated(nonsending) func runWorkers() async { await workers.run(self) }

    private func allEnded() async {
        while !connections.isEmpty {
            guard (try? await ended.wait()) == nil else { continue }
            isClosing = true
            for connection in connections.values { connection.closeUnlessServed() }
            return
        }
    }

    private enum Accepting {
        case more
        case exhausted
        case failed(CInt)
    }

    private func acceptBatch() -> Accepting {
        for _ in 0..<ServerLoop.acceptBatch {
            let (accepted, errno) = Socket.accept(listener.fd)
            guard let accepted else {
                // A connection that its client gave up while it was queued is no failure.
                if errno == Socket.connectionAborted { continue }
                return errno == 0 ? .exhausted : .failed(errno)
            }
            place(accepted)
        }
        return .more
    }

    /// Gives a new connection to the loop that has the fewest.
    private func place(_ accepted: Socket.Accepted) {
        switch admission.admit(accepted.peer, preferring: mailbox.index) {
        case .refused(let reason): refuse(accepted, reason)
        case .loop(mailbox.index): serve(accepted)
        case .loop(let other):
            guard !admission.mailboxes[other].put(accepted) else { return }
            admission.move(from: other, to: mailbox.index)
            serve(accepted)
        }
    }

    private func serve(_ accepted: Socket.Accepted) {
        guard let connection = try? Connection(accepted, on: self) else {
            return admission.leave(mailbox.index, accepted.peer)
        }
        connections[ObjectIdentifier(connection)] = connection
        connection.queue()
    }

    /// A connection has been closed.
    func leave(_ connection: Connection) {
        admission.leave(mailbox.index, connection.peer)
        connections[ObjectIdentifier(connection)] = nil
        if connections.isEmpty { ended.wake() }
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
        output.removeAll()
        let response = Response.problem(problem)
        if case .bytes(let body) = response.body {
            heads.encode(response, .length(body.count), .close, into: &output)
            output.append(body)
        }
        _ = Socket.receive(accepted.fd, into: &readBuffer)
        _ = Socket.send(accepted.fd, output, 0..<output.count)
        Socket.shutdownWrite(accepted.fd)
        Socket.close(accepted.fd)
    }
}

extension ServerLoop: LoopWork {
    var isReady: Bool { !ready.isEmpty }
    var isPutOff: Bool { ready.isPutOff }

    func beginTurn() { ready.beginTurn() }

    func endTurn() {
        recorder.flush()
        held.send()
    }

    nonisolated(nonsending) func work() async {
        while let connection = ready.take() { await connection.run() }
    }
}
