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
            case .stream, .webSocket: framing = .none
            }
        }
        server.output.removeAll(keepingCapacity: true)
        server.heads.encode(response, framing, persistence(head, keepAlive), into: &server.output)
        hasAnswered = true
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

    /// Sends the loop's output buffer, and `body` behind it. The buffer is the loop's: what cannot be sent at once is
    /// taken out of it before the task suspends.
    nonisolated(nonsending) func sendOutput(_ body: [UInt8], _ tail: [UInt8] = []) async throws(ConnectionSocket
        .Failure)
    {
        if body.count <= Connection.copyLimit {
            server.output.append(contentsOf: body)
            server.output.append(contentsOf: tail)
            switch socket.trySend(server.output) {
            case .octets(server.output.count): return
            case .octets(let sent): try await sendRest(Array(server.output[sent...]))
            case .blocked: try await sendRest(server.output)
            case .failed: throw .gone
            }
        } else {
            var head: [UInt8] = []
            swap(&head, &server.output)
            var pace = server.settings.writePace
            try await socket.send(head, body, tail, &pace)
        }
    }

    private nonisolated(nonsending) func sendRest(_ rest: [UInt8]) async throws(ConnectionSocket.Failure) {
        var pace = server.settings.writePace
        try await socket.send(rest, &pace)
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
        do {
            try await write(ResponseWriter(ConnectionSink(LoopBound(self, to: loop), serial)))
            return try await endStream() && goesOn
        } catch {
            guard case .held = stream else {
                server.settings.logger.warning("a streamed answer broke off", ["error": .describing(error)])
                return false
            }
            return await send(server.settings.failure(error, request), head, keepAlive: goesOn)
        }
    }

    /// One piece of a stream, from its handler.
    nonisolated(nonsending) func writePiece(_ piece: [UInt8], of request: Int) async throws {
        guard request == serial else { throw ConnectionSocket.Failure.gone }
        server.output.removeAll(keepingCapacity: true)
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
            server.output.append(hexadecimal: piece.count)
            server.output.appendLineEnd()
            tail = Connection.chunkEnd
        case .length(let missing):
            guard piece.count <= missing else { throw ConnectionSocket.Failure.gone }
            framing = .length(missing - piece.count)
        case .untilClose, .none: break
        }
        try await sendOutput(piece, tail)
        stream = .open(framing)
    }

    /// Ends a stream that did not fail; false if it was shorter than the length it had announced.
    private nonisolated(nonsending) func endStream() async throws(ConnectionSocket.Failure) -> Bool {
        switch stream {
        case .held(let response, let framing, let persistence):
            if case .length(1...) = framing { return false }
            server.output.removeAll(keepingCapacity: true)
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
