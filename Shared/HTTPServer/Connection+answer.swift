import Buffers
import EventLoop
import HTTP
import Observability

/// The connection's writing side.
extension Connection {
    /// A body of up to this size is copied behind its head and sent as one buffer; a larger one stays where it is.
    private static let copyLimit = 16 * 1024

    /// Writes an answer. False when the connection cannot go on.
    nonisolated(nonsending) func answer(_ response: Response, to request: Request) async -> Bool {
        let keepAlive = canKeepAlive(request.head)
        switch response.body {
        case .stream(let write) where request.method != .head && response.status.allowsBody:
            return await streamAnswer(response, to: request, keepAlive: keepAlive, write)
        case .webSocket(let upgrade):
            await self.upgrade(response, upgrade)
            return false
        case .empty, .bytes, .stream:
            return await send(response, request.head, keepAlive: keepAlive)
        }
    }

    /// Writes an answer that is there as a whole. `head` is nil for what is no request.
    nonisolated(nonsending) func send(_ response: Response, _ head: HTTPRequestHead?, keepAlive: Bool) async -> Bool {
        var body: [UInt8] = []
        var framing = AnswerHead.Framing.none
        if response.status.allowsBody {
            switch response.body {
            case .empty: framing = .length(0)
            case .bytes(let bytes):
                framing = .length(bytes.count)
                if head?.method != .head { body = bytes }
            case .stream:
                // To HEAD; where it is known, the length is that of the answer to GET.
                framing = response.headers["content-length"].flatMap { Int($0) }.map { .length($0) } ?? .none
            case .webSocket: framing = .none
            }
        }
        hasAnswered = true
        sent = body.count
        if keepAlive, mayHold(body) {
            server.heads.encode(response, framing, persistence(head, keepAlive), into: &server.held.octets)
            server.held.octets.append(body)
            server.held.close(self)
            isHolding = true
            if !input.hasPipelined, answeredAt - loop.now >= HeldAnswers.patience { server.held.send() }
            return true
        }
        server.output.removeAll()
        server.heads.encode(response, framing, persistence(head, keepAlive), into: &server.output)
        do {
            try await sendOutput(body)
            return keepAlive
        } catch {
            return false
        }
    }

    private func persistence(_ head: HTTPRequestHead?, _ keepAlive: Bool) -> AnswerHead.Persistence {
        if !keepAlive { return .close }
        return head?.version == .http10 ? .keepAlive : .implicit
    }

    /// Sends the loop's output buffer, and `body` and `tail` behind it. The buffer is the loop's: what cannot be sent
    /// at once is copied out of it before the task suspends.
    nonisolated(nonsending) func sendOutput(_ body: [UInt8], _ tail: [UInt8] = []) async throws(ConnectionSocket
        .Failure)
    {
        if isHolding { server.held.send() }
        guard body.count <= Connection.copyLimit else {
            server.output.append(to: &unsent)
            var pace = server.settings.writePace
            return try await socket.send(takeUnsent(), body, tail, &pace)
        }
        server.output.append(body)
        server.output.append(tail)
        guard unsent.isEmpty else {
            server.output.append(to: &unsent)
            return try await sendRest(takeUnsent())
        }
        switch socket.trySend(server.output, 0..<server.output.count) {
        case .octets(server.output.count): return
        case .octets(let sent): try await sendRest(server.output.array(from: sent))
        case .blocked: try await sendRest(server.output.array())
        case .failed: throw .gone
        }
    }

    private nonisolated(nonsending) func sendRest(_ rest: [UInt8]) async throws(ConnectionSocket.Failure) {
        var pace = server.settings.writePace
        try await socket.send(rest, &pace)
    }
}

// MARK: - Held answers

extension Connection {
    /// Whether an answer with this body may wait for the end of the loop's turn.
    private func mayHold(_ body: [UInt8]) -> Bool {
        unsent.isEmpty && body.count <= Connection.copyLimit && server.held.octets.count < HeldAnswers.limit
    }

    /// Sends what was held as far as there is room, which is only less to a client that does not read. A task sends the
    /// rest, and meets a failure.
    func sendHeld(_ octets: borrowing OctetBuffer, _ range: Range<Int>) {
        isHolding = false
        // One that was served twice in the turn has two pieces: nothing of the second goes before all of the first.
        guard unsent.isEmpty else { return unsent.append(contentsOf: octets.array(range)) }
        switch socket.trySend(octets, range) {
        case .octets(range.count): return
        case .octets(let sent): unsent = octets.array(range.lowerBound + sent..<range.upperBound)
        case .blocked, .failed: unsent = octets.array(range)
        }
        if phase == .resting { socket.wakeReader() }
    }

    /// Sends what has been answered and is not sent yet, and `octets` behind it.
    nonisolated(nonsending) func flush(_ octets: [UInt8] = []) async throws(ConnectionSocket.Failure) {
        if isHolding { server.held.send() }
        unsent.append(contentsOf: octets)
        if !unsent.isEmpty { try await sendRest(takeUnsent()) }
    }

    private func takeUnsent() -> [UInt8] {
        var taken: [UInt8] = []
        swap(&taken, &unsent)
        return taken
    }
}

// MARK: - Streams

extension Connection {
    private static let lastChunk = Array("0\r\n\r\n".utf8)
    private static let chunkEnd = Array("\r\n".utf8)

    private nonisolated(nonsending) func streamAnswer(
        _ response: Response, to request: Request, keepAlive: Bool,
        _ write: @Sendable (ResponseWriter) async throws -> Void
    ) async -> Bool {
        let head = request.head
        let framing: AnswerHead.Framing =
            if let length = response.headers["content-length"].flatMap({ Int($0) }) {
                .length(length)
            } else {
                head.version == .http10 ? .untilClose : .chunked
            }
        let goesOn = keepAlive && framing != .untilClose
        stream = .held(response, framing, persistence(head, goesOn))
        defer { stream = .none }
        guard let reference else { return false }
        do {
            try await write(ResponseWriter(ConnectionSink(reference, serial)))
            return try await endStream() && goesOn
        } catch {
            guard case .held = stream else {
                server.settings.logger.warning("a streamed answer broke off", ["error": .describing(error)])
                return false
            }
            return await send(ProblemMapping.response(to: error, request), head, keepAlive: goesOn)
        }
    }

    /// One piece of a stream, from its handler.
    nonisolated(nonsending) func writePiece(_ piece: [UInt8], of request: Int) async throws {
        guard request == serial else { throw ConnectionSocket.Failure.gone }
        server.output.removeAll()
        var framing: AnswerHead.Framing
        switch stream {
        case .held(let response, let held, let persistence):
            server.heads.encode(response, held, persistence, into: &server.output)
            framing = held
            hasAnswered = true
        case .open(let open): framing = open
        case .none, .broken: throw ConnectionSocket.Failure.gone
        }
        stream = .broken
        var tail: [UInt8] = []
        switch framing {
        case .chunked:
            server.output.append(chunkSize: piece.count)
            server.output.appendLineEnd()
            tail = Connection.chunkEnd
        case .length(let missing):
            guard piece.count <= missing else { throw ConnectionSocket.Failure.gone }
            framing = .length(missing - piece.count)
        case .untilClose, .none: break
        }
        try await sendOutput(piece, tail)
        sent += piece.count
        stream = .open(framing)
    }

    /// Ends a stream that did not fail; false if it was shorter than the length it had announced.
    private nonisolated(nonsending) func endStream() async throws(ConnectionSocket.Failure) -> Bool {
        switch stream {
        case .held(let response, let framing, let persistence):
            if case .length(1...) = framing { return false }
            server.output.removeAll()
            server.heads.encode(response, .length(0), persistence, into: &server.output)
            hasAnswered = true
            try await sendOutput([])
            return true
        case .open(.chunked):
            try await sendRest(Connection.lastChunk)
            return true
        case .open(let framing): return framing == .length(0) || framing == .untilClose
        case .none, .broken: return false
        }
    }
}
