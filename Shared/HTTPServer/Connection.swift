import EventLoop
import HTTP
import Observability

/// One client's connection: reads requests, has them answered, and writes the answers, in order, until either side
/// ends. A body's pieces and a stream's writes come back to it from the handler.
///
/// | phase | what is true | leaves by |
/// |---|---|---|
/// | `resting` | no task; the loop watches the socket for it | octets, an end, the deadline, the drain → `queued` |
/// | `queued` | the loop's workers have it | one takes it → `serving` |
/// | `serving` | a task is in `run` | nothing more has come → `resting`; its turn is over → `queued`; → `closed` |
/// | `closed` | the socket is closed | |
final class Connection {
    enum Phase {
        case resting, queued, serving, closed
    }

    let server: ServerLoop
    let socket: ConnectionSocket
    let peer: String
    /// What requests refer to this connection by, until it is closed.
    private(set) var reference: ConnectionReference?
    private(set) var phase = Phase.serving
    var input: ConnectionInput
    var stream = AnswerStream.none
    /// The loop holds answers of this connection.
    var isHolding = false
    /// Octets of answers for which there was no room.
    var unsent: [UInt8] = []
    /// When the last request was answered.
    private(set) var answeredAt: LoopTime
    /// An answer, or the beginning of one, has been written.
    var hasAnswered = false
    /// Counts the requests; the body and the writer of an earlier one are dead.
    private(set) var serial = 0
    private var pieces = 0
    /// Octets of the current request's body that have come, and of its answer's that were sent.
    private var received = 0
    var sent = 0
    /// The client waits for `100 Continue` before it sends the current body.
    private var owesContinue = false
    private var readPace: TransferPace
    /// Since when a request is waited for.
    private var idleSince: LoopTime
    /// When the first octets of the head came that is not complete yet.
    private var headBegan: LoopTime?
    /// The deadline of a rest has come.
    private var hasTimedOut = false

    var loop: EventLoop { server.loop }

    init(_ accepted: Socket.Accepted, on server: ServerLoop) throws(EventLoopError) {
        self.server = server
        socket = try ConnectionSocket(accepted.fd, on: server.loop, tls: server.settings.tls)
        peer = accepted.peer
        input = ConnectionInput(limits: server.settings.limits.parser)
        readPace = server.settings.readPace
        idleSince = server.loop.now
        answeredAt = idleSince
        reference = ConnectionReference(self)
    }

    /// The server is being stopped: an idle connection ends now, others with their answer.
    func drain() { socket.wakeReader() }

    /// Closes a connection that no task is at work on.
    func closeUnlessServed() {
        if phase != .serving { close() }
    }

    private func close() {
        guard phase != .closed else { return }
        if isHolding { server.held.send() }
        phase = .closed
        reference = nil
        socket.close()
        server.leave(self)
    }
}

// MARK: - Turns

extension Connection: DescriptorWatcher {
    func descriptorIsReady() { queue() }

    func descriptorTimedOut() {
        hasTimedOut = true
        queue()
    }

    /// Has a task serve it in this turn of the loop.
    func queue() {
        phase = .queued
        server.ready.add(self)
    }

    /// Serves what has come, and leaves the connection at rest, queued again, or closed.
    nonisolated(nonsending) func run() async {
        guard phase == .queued else { return }
        phase = .serving
        // What a client has no room for is not followed by more of its requests.
        if !unsent.isEmpty, (try? await flush()) == nil { return close() }
        let isOver = hasTimedOut ? await endLate() : await serve()
        guard isOver else { return }
        if (try? await flush()) != nil { await finish() }
        close()
    }

    /// Requests of one connection that are answered before the loop's others have their turn.
    private static let requestsATurn = 16

    /// Answers the requests that have come. True when the connection is to be closed.
    private nonisolated(nonsending) func serve() async -> Bool {
        var answered = 0
        while true {
            switch nextHead() {
            case .head(let head):
                headBegan = nil
                guard await answerRequest(head) else { return true }
                idleSince = loop.now
                answered += 1
                guard answered == Connection.requestsATurn, input.hasPipelined else { continue }
                phase = .queued
                server.ready.addLater(self)
                return false
            case .fault(let fault):
                await refuse(fault.problem)
                return true
            case .end: return true
            case .progress, .blocked:
                if endsIdle || server.isClosing { return true }
                return await rest()
            }
        }
    }

    /// True when the connection can carry another request.
    private nonisolated(nonsending) func answerRequest(_ head: HTTPRequestHead) async -> Bool {
        serial += 1
        (received, sent) = (0, 0)
        let start = LoopTime.now
        var incoming = request(head)
        let application = server.settings.application
        let refusal = await application.admit(&incoming)
        // Not changed from here on: whom it is handed to gets it without a copy.
        let request = consume incoming
        let response = await application.answer(request, refusal)
        answeredAt = .now
        server.recorder.answered(request, response.status, after: answeredAt - start)
        // The rest of a WebSocket's life is not the request's.
        if response.body.isWebSocket { end(request, response, since: start) }
        let goesOn = await answer(response, to: request)
        if !response.body.isWebSocket { end(request, response, since: start) }
        guard goesOn else { return false }
        if input.isBodyComplete, !input.hasBodyOctets { return true }
        return await discardBody()
    }

    private func end(_ request: Request, _ response: Response, since start: LoopTime) {
        let ended = response.body.isStream ? LoopTime.now : answeredAt
        server.recorder.ended(
            request, response.status, RequestSizes(received: received, sent: sent), since: start, after: ended - start)
    }

    private func request(_ head: HTTPRequestHead) -> Request {
        var body = RequestBody()
        if !input.isBodyComplete || input.hasBodyOctets, let reference {
            owesContinue = head.expectsContinue
            readPace = server.settings.readPace
            body = RequestBody(ConnectionBody(reference, serial), contentLength: head.contentLength)
        }
        return Request(
            head, body: body,
            context: RequestContext(head, server.settings.origin, &server.numbers, peer, reference, serial))
    }

    /// A client that was too slow to send a head hears of it.
    private nonisolated(nonsending) func endLate() async -> Bool {
        if input.isInHead { await refuse(Problem(.requestTimeout, "the request's head did not come in time")) }
        return true
    }

    // MARK: - Rest

    /// The next request's head, as far as octets have come.
    private func nextHead() -> ConnectionInput.Step {
        var step = input.nextPipelined()
        if case .blocked = step { step = input.read(socket, &server.readBuffer) }
        while case .progress = step { step = input.read(socket, &server.readBuffer) }
        return step
    }

    /// Leaves the connection to the loop; true when it is to be closed instead. If something may have come meanwhile,
    /// it is looked at after the loop's others, and within the same time.
    private nonisolated(nonsending) func rest() async -> Bool {
        if headBegan == nil, input.isInHead { headBegan = loop.now }
        let deadline = headBegan.map { $0 + server.settings.headTimeout } ?? idleSince + idleLimit
        if socket.needsRoomToRead {
            guard (try? await socket.waitReadable(until: deadline)) != nil else { return true }
        } else {
            phase = .resting
            if socket.watchReadable(until: deadline, self) { return false }
        }
        hasTimedOut = loop.now >= deadline
        phase = .queued
        server.ready.addLater(self)
        return false
    }

    /// A client that has not sent anything yet has as long as for a head; while the server drains, a moment.
    private var idleLimit: LoopInterval {
        if serial > 0 { return server.settings.idleTimeout }
        let limit = server.settings.headTimeout
        return server.isDraining ? min(limit, Connection.drainPatience) : limit
    }

    private static let drainPatience = LoopInterval(.seconds(1))

    /// While the server drains, a connection that was served and has nothing on its way is closed. One that has just
    /// been accepted was promised service by the accept queue: its first request is waited for, briefly.
    private var endsIdle: Bool {
        guard server.isDraining, input.isIdle else { return false }
        return serial > 0 || loop.now - idleSince >= Connection.drainPatience
    }
}

// MARK: - A request's body

extension Connection {
    /// The body's next piece, for its handler.
    nonisolated(nonsending) func nextPiece(of request: Int) async throws(Problem) -> [UInt8]? {
        guard request == serial else { throw Problem(.incompleteBody, "the request has been answered") }
        while true {
            if input.hasBodyOctets {
                let piece = input.takeBody()
                readPace.moved(piece.count)
                received += piece.count
                pieces &+= 1
                await takeTurns(pieces)
                return piece
            }
            if let fault = input.fault { throw fault.problem }
            if input.isBodyComplete { return nil }
            if input.hasEnded { throw Problem(.incompleteBody, "the client ended inside the body") }
            try await sendContinue()
            if case .blocked = input.read(socket, &server.readBuffer) { try await waitForBody() }
        }
    }

    /// A client that sends faster than it is answered never makes its task wait: now and then the loop's others go
    /// first.
    private nonisolated(nonsending) func takeTurns(_ count: Int) async {
        if count & 15 == 15 { await Task.yield() }
    }

    private nonisolated(nonsending) func waitForBody() async throws(Problem) {
        let start = loop.now
        do throws(ConnectionSocket.Failure) {
            guard let deadline = readPace.deadline(from: start) else { throw .timedOut }
            try await socket.waitReadable(until: deadline)
            readPace.waited(loop.now - start)
        } catch .timedOut {
            throw Problem(.requestTimeout, "the body came too slowly")
        } catch {
            throw Problem(.incompleteBody, "the connection ended inside the body")
        }
    }

    private nonisolated(nonsending) func sendContinue() async throws(Problem) {
        guard owesContinue else { return }
        owesContinue = false
        do {
            try await flush(AnswerHead.interim)
        } catch {
            throw Problem(.incompleteBody, "the client has gone")
        }
    }

    // MARK: - After an answer

    /// Whether the connection can go on after the current request, as far as its body is concerned. Decided before
    /// the answer's head is written, which says so.
    func canKeepAlive(_ head: HTTPRequestHead) -> Bool {
        guard head.keepsAlive, !server.isDraining, !input.hasEnded || input.hasPipelined, input.fault == nil,
            serial < server.settings.limits.requestsPerConnection
        else { return false }
        return input.isBodyComplete || !owesContinue && (head.contentLength ?? 0) <= server.settings.limits.discard
    }

    /// Reads what the handler left of the body; false if that is too much.
    private nonisolated(nonsending) func discardBody() async -> Bool {
        owesContinue = false
        var octets = 0
        do {
            while let piece = try await nextPiece(of: serial) {
                octets += piece.count
                if octets > server.settings.limits.discard { return false }
            }
            return true
        } catch {
            return false
        }
    }

    /// Answers what is no request, or came too slowly.
    private nonisolated(nonsending) func refuse(_ problem: Problem) async {
        serial += 1
        _ = await send(Response.problem(problem), nil, keepAlive: false)
    }

    /// Lets the client read the last answer: closing a socket that holds unread octets resets the connection, and
    /// the reset overtakes the answer. So: end our side, and throw away what still comes, for a moment.
    private nonisolated(nonsending) func finish() async {
        guard hasAnswered, !input.hasEnded else { return }
        let isQuiet = !input.hasPipelined && input.isBodyComplete && input.fault == nil
        if isQuiet, case .blocked = input.read(socket, &server.readBuffer) { return }
        socket.shutdownWrite()
        let deadline = loop.now + LoopInterval(.seconds(2))
        var octets = 0
        while octets < server.settings.limits.discard {
            switch socket.receive(into: &server.readBuffer) {
            case .octets(let count): octets += count
            case .end, .failed: return
            case .blocked:
                guard (try? await socket.waitReadable(until: deadline)) != nil else { return }
            }
        }
    }
}
