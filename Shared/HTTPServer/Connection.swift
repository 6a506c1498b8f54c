import EventLoop
import HTTP
import Observability

/// One client's connection: reads requests, has them answered, and writes the answers, in order, until either side
/// ends. One task on one loop runs `serve`; a body's pieces and a stream's writes come back to it from the handler.
final class Connection {
    let server: ServerLoop
    let socket: ConnectionSocket
    let peer: String
    var input: ConnectionInput
    var stream = AnswerStream.none
    /// An answer, or the beginning of one, has been written.
    var hasAnswered = false
    /// Counts the requests; the body and the writer of an earlier one are dead.
    private(set) var serial = 0
    private var pieces = 0
    /// The client waits for `100 Continue` before it sends the current body.
    private var owesContinue = false
    private var readPace: TransferPace

    var loop: EventLoop { server.loop }

    init(_ accepted: Socket.Accepted, on server: ServerLoop) throws(EventLoopError) {
        self.server = server
        socket = try ConnectionSocket(accepted.fd, on: server.loop, tls: server.settings.tls)
        peer = accepted.peer
        input = ConnectionInput(limits: server.settings.limits.parser)
        readPace = server.settings.readPace
    }

    /// Serves the connection to its end and closes it.
    nonisolated(nonsending) func serve() async {
        while let head = await nextHead() {
            serial += 1
            owesContinue = head.expectsContinue
            readPace = server.settings.readPace
            let request = request(head)
            let response = await server.settings.respond(request)
            guard await answer(response, to: request), await discardBody() else { break }
        }
        await finish()
        socket.close()
    }

    /// The server is being stopped: an idle connection ends now, others with their answer.
    func drain() { socket.wakeReader() }

    private func request(_ head: HTTPRequestHead) -> Request {
        let body: RequestBody
        if input.isBodyComplete, !input.hasBodyOctets {
            body = RequestBody()
        } else {
            let source = ConnectionBody(LoopBound(self, to: loop), serial)
            body = RequestBody(source, contentLength: head.contentLength)
        }
        var context = RequestContext(
            head, logger: server.settings.logger, peerAddress: peer, logsAccess: server.settings.logsAccess)
        context.presence = ConnectionPresence(LoopBound(self, to: loop), serial)
        return Request(head, body: body, context: context)
    }

    // MARK: - Reading

    /// The next request's head; nil when the connection is to be closed.
    private nonisolated(nonsending) func nextHead() async -> HTTPRequestHead? {
        await takeTurns(serial)
        var headBegan: LoopTime?
        let idleSince = loop.now
        var step = input.nextPipelined()
        while true {
            switch step {
            case .head(let head): return head
            case .fault(let fault):
                await refuse(fault.problem)
                return nil
            case .end: return nil
            case .progress, .blocked: break
            }
            if headBegan == nil, input.isInHead { headBegan = loop.now }
            step = input.read(socket, &server.readBuffer)
            guard case .blocked = step else { continue }
            if endsIdle(since: idleSince) { return nil }
            let deadline = headBegan.map { $0 + server.settings.headTimeout } ?? idleSince + idleLimit
            do {
                try await socket.waitReadable(until: deadline)
            } catch {
                if case .timedOut = error, input.isInHead {
                    await refuse(Problem(.requestTimeout, "the request's head did not come in time"))
                }
                return nil
            }
        }
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
    private func endsIdle(since start: LoopTime) -> Bool {
        guard server.isDraining, input.isIdle else { return false }
        return serial > 0 || loop.now - start >= Connection.drainPatience
    }

    /// The body's next piece, for its handler.
    nonisolated(nonsending) func nextPiece(of request: Int) async throws(Problem) -> [UInt8]? {
        guard request == serial else { throw Problem(.incompleteBody, "the request has been answered") }
        while true {
            if input.hasBodyOctets {
                let piece = input.takeBody()
                readPace.moved(piece.count)
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
            var pace = server.settings.writePace
            try await socket.send(AnswerHead.interim, &pace)
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
