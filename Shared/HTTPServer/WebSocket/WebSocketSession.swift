import EventLoop
import HTTP
import Observability

/// A WebSocket on its connection: the reading side, and what both sides share. Only the loop's thread touches it.
///
/// It is in one of three states:
/// - **open**: `end` is nil and no close frame was sent; the handler runs.
/// - **closing**: the handler has ended; what is left goes out, then the close frame, then the client's is waited for,
///   all within `WebSocketOptions.closeTimeout`.
/// - **broken**: nothing can be sent any more (`isBroken`), and everybody who waits is told.
final class WebSocketSession {
    let connection: Connection
    let request: Request
    let options: WebSocketOptions
    let instruments: WebSocketMetrics.Instruments

    // The reading side.
    private var parser: WebSocketParser
    /// Octets that came and are not parsed yet; parsing goes on from `position`.
    private var pending: [UInt8]
    private var position = 0
    private var isReceiving = false
    private var isReceivingOver = false
    private var heardAt: LoopTime
    private var pingedAt: LoopTime
    private var pace: TransferPace
    /// What the client's close frame said.
    private(set) var peerClose: WebSocketClose?
    /// Why reading broke.
    private(set) var end: WebSocketEnd?

    // The writing side: WebSocketSession+writing.swift.
    var writer: WebSocketWriter
    /// Frames that are not sent yet.
    var output: [UInt8] = []
    /// The flusher has, or will be given, what is to be sent: nobody else writes to the socket.
    var isFlushing = false
    var isBroken = false
    var isFinished = false
    var sentClose: WebSocketClose?
    var waitingFlusher: CheckedContinuation<Void, Never>?
    var waitingSenders: [CheckedContinuation<Void, Never>] = []

    var socket: ConnectionSocket { connection.socket }
    var loop: EventLoop { connection.loop }
    var isDraining: Bool { connection.server.isDraining }

    init(_ upgrade: WebSocketUpgrade, on connection: Connection) {
        self.connection = connection
        request = upgrade.request
        options = upgrade.options
        let deflate = upgrade.handshake.deflate
        parser = WebSocketParser(limits: upgrade.options.limits, deflate: deflate)
        writer = WebSocketWriter(deflate: deflate)
        pending = connection.input.takePipelined()
        heardAt = connection.loop.now
        pingedAt = heardAt
        pace = connection.server.settings.readPace
        instruments = connection.server.settings.webSockets.instruments(for: request.route?.pattern ?? "unmatched")
    }

    func stopReceiving() {
        isReceivingOver = true
        socket.wakeReader()
    }

    /// The next message; nil when the client has closed, the server drains, or `stopReceiving` was called.
    nonisolated(nonsending) func receive() async throws(WebSocketEnd) -> WebSocketMessage? {
        precondition(!isReceiving, "one task receives")
        isReceiving = true
        defer { isReceiving = false }
        let began = loop.now
        while true {
            if let end { throw end }
            if peerClose != nil || isDraining || isReceivingOver { return nil }
            switch try nextEvent() {
            case .message(let message):
                instruments.received.add(1)
                instruments.receivedOctets.add(message.octets.count)
                return message
            case .ping(let octets):
                WebSocketWriter.append(pong: octets, to: &output)
                // A client that sends pings and reads no pongs is not read any further.
                try await push()
            case .pong: break
            case .close(let close): peerClose = close
            case .needsInput: try await fill(listeningSince: began)
            }
        }
    }

    private func nextEvent() throws(WebSocketEnd) -> WebSocketParser.Event {
        do throws(WebSocketFault) {
            return try parser.next(in: pending, at: &position, to: pending.count)
        } catch {
            throw broken(.fault(error))
        }
    }

    private func broken(_ reason: WebSocketEnd) -> WebSocketEnd {
        end = reason
        return reason
    }

    // MARK: - Octets

    /// Reads what is there, or waits for it, once. `start` is when the handler began to listen: before that, the
    /// client's silence does not count.
    private nonisolated(nonsending) func fill(listeningSince start: LoopTime) async throws(WebSocketEnd) {
        if !parser.isInside { pace = connection.server.settings.readPace }
        switch socket.receive(into: &connection.server.readBuffer) {
        case .octets(let count):
            pending = Array(connection.server.readBuffer[..<count])
            position = 0
            heardAt = loop.now
            pace.moved(count)
            // A client that never makes its task wait lets the loop's others go first.
            await Task.yield()
        case .end, .failed: throw broken(.gone)
        case .blocked:
            pending = []
            position = 0
            try await waitForOctets(quietSince: max(heardAt, start))
        }
    }

    private nonisolated(nonsending) func waitForOctets(quietSince: LoopTime) async throws(WebSocketEnd) {
        let now = loop.now
        let limit = quietSince + LoopInterval(options.idleTimeout)
        guard now < limit else { throw broken(.timedOut) }
        let interval = LoopInterval(options.pingInterval)
        if now >= max(quietSince, pingedAt) + interval {
            pingedAt = now
            WebSocketWriter.append(ping: [], to: &output)
            startFlush()
        }
        // A message that has begun must go on; between messages a client may be silent as long as it answers pings.
        guard let paced = parser.isInside ? pace.deadline(from: now) : .never else { throw broken(.timedOut) }
        do throws(ConnectionSocket.Failure) {
            try await socket.waitReadable(until: min(limit, paced, max(quietSince, pingedAt) + interval))
        } catch .timedOut {
            if loop.now >= paced { throw broken(.timedOut) }
        } catch {
            throw broken(Task.isCancelled ? .cancelled : .gone)
        }
        pace.waited(loop.now - now)
    }

    // MARK: - After the handler

    /// Reads up to the client's close frame, or its end; gives up with the connection.
    nonisolated(nonsending) func awaitPeerClose() async {
        // What comes after a fault cannot be understood, a close frame included: only the end can be waited for.
        var isUnderstood = true
        if case .fault = end { isUnderstood = false }
        while peerClose == nil {
            do {
                if isUnderstood, case let event = try nextEvent(), event != .needsInput {
                    if case .close(let close) = event { peerClose = close }
                    continue
                }
            } catch {
                isUnderstood = false
            }
            switch socket.receive(into: &connection.server.readBuffer) {
            case .octets(let count):
                pending = isUnderstood ? Array(connection.server.readBuffer[..<count]) : []
                position = 0
                await Task.yield()
            case .end, .failed: return
            case .blocked: guard (try? await socket.waitReadable(until: .never)) != nil else { return }
            }
        }
    }
}
