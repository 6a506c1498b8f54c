import Catalog
import EventLoop
import HTTP
import HTTPServer
import JSON
import Observability
import Postgres
import Records

/// Runs the connections of streams: receives messages, lands them in order, acknowledges what is committed.
struct StreamIntake: Sendable {
    /// What a connection is about.
    struct Opening: Sendable {
        var stream: String
        var source: ResourceName
        var sourceID: Int64
        var workspaceID: Int64
        var request: Request
    }

    /// Another connection has taken the stream over.
    struct TakenOver: Error {}
    /// The source was deleted while the stream was open.
    struct SourceGone: Error {}

    /// How often a connection that sends nothing marks its stream as in use.
    static let touchInterval = Duration.seconds(6 * 3600)
    /// How long landing waits, in all, where too much waits already, or where the source sends too fast.
    static let patience = Duration.seconds(10)

    let pool: PostgresPool
    let coalescer: Coalescer
    let sources: SourceDirectory
    let admission: Admission
    let memory: MemoryShare
    let metrics: IngestMetrics
    /// Throws when the request's key is not valid any more, or may not send so many octets more.
    let checkKey: @Sendable (Request, Int) async throws -> Void
    /// Throws once the request's key is not valid any more.
    let watchKey: @Sendable (Request) async throws -> Void

    /// Runs one connection to its end.
    func run(_ opening: Opening, _ socket: WebSocket) async throws {
        guard memory.enter() else { throw TooBusy(reason: "too many streams are open") }
        defer { memory.leave(holding: 0) }
        let take = TakeStream(sourceID: opening.sourceID, name: opening.stream)
        guard let taken = try await pool.withConnection({ try await $0.query(take).first }) else {
            throw TooBusy(reason: "the stream was not taken")
        }
        let flow = StreamFlow(StreamState(acknowledged: taken.seq))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await land(flow, opening, epoch: taken.epoch, socket) }
            group.addTask { await keepInUse(opening, epoch: taken.epoch) }
            group.addTask { try await watch(flow, opening, socket) }
            var failure: (any Error)?
            do {
                try await receive(flow, socket)
            } catch {
                failure = error
            }
            // What was received before is landed all the same.
            flow.end()
            try await group.next()
            group.cancelAll()
            if let failure { throw failure }
        }
    }

    private func receive(_ flow: StreamFlow, _ socket: WebSocket) async throws {
        do {
            while let message = try await socket.receive() {
                if try !flow.accept(StreamMessage(message.octets)) { metrics.repeatedMessage() }
                guard await flow.awaitRoom({ memory.part(holding: 0) }) else { return }
            }
        } catch WebSocketEnd.fault(let fault) where fault.code == .messageTooBig {
            throw Problem(.payloadTooLarge, fault.reason)
        }
    }

    /// Lands what comes, until all of it is landed. When that fails, nothing more is received.
    private func land(_ flow: StreamFlow, _ opening: Opening, epoch: Int64, _ socket: WebSocket) async throws {
        do {
            while !Task.isCancelled {
                switch await flow.next() {
                case .wait: break
                case .end: return
                case .acknowledge(let seq): try await socket.send(.text(#"{"ack":\#(seq)}"#))
                case .land(let group):
                    try await checkKey(opening.request, group.frame.bytes.count)
                    try await land(group, opening, epoch: epoch)
                    flow.landed()
                    metrics.landedMessages(Int(group.last - group.first) + 1)
                }
            }
        } catch {
            flow.fail()
            await socket.stopReceiving()
            throw error
        }
    }

    /// Ends a connection whose key has ended, however quiet it is.
    private func watch(_ flow: StreamFlow, _ opening: Opening, _ socket: WebSocket) async throws {
        do {
            try await watchKey(opening.request)
        } catch {
            flow.fail()
            await socket.stopReceiving()
            throw error
        }
    }

    /// Lands a group. Where too much waits for its commit, or the source sends too fast, it waits itself, which holds
    /// up this client and no other.
    private func land(_ group: StreamGroup, _ opening: Opening, epoch: Int64) async throws {
        let context = opening.request.context
        let position = StreamPosition(name: opening.stream, epoch: epoch, first: group.first, last: group.last)
        let rawBytes = group.frame.bytes.count - group.frame.recordCount
        let deadline = ContinuousClock.now + Self.patience
        while true {
            do {
                let source = try await sources.source(opening.source, workspaceID: opening.workspaceID)
                guard source.id == opening.sourceID else { throw SourceGone() }
                try await admission.admit(source.id, source.policy)
                let request = IncomingRequest(
                    sourceID: source.id, pace: source.policy.pace, requestID: context.requestID, trace: context.trace,
                    stream: position)
                let landing = try await coalescer.land(
                    request, frame: group.frame, rawBytes: Int64(rawBytes), keyed: nil)
                guard case .landed = landing else { throw TakenOver() }
                admission.landed(source.id, records: group.frame.recordCount, bytes: rawBytes)
                return
            } catch AdmissionState.Refusal.tooFast(let limit, let unit, let wait) {
                guard ContinuousClock.now + wait < deadline else {
                    throw AdmissionState.Refusal.tooFast(limit: limit, unit: unit, wait: wait)
                }
                try await Task.sleep(for: wait)
            } catch let busy as TooBusy {
                guard ContinuousClock.now < deadline else { throw busy }
                try await Task.sleep(for: .milliseconds(Int.random(in: 10...100)))
            }
        }
    }

    /// A stream that is open is in use, however little comes: else its row would be swept in the end.
    private func keepInUse(_ opening: Opening, epoch: Int64) async {
        let touch = TouchStream(sourceID: opening.sourceID, name: opening.stream, epoch: epoch)
        while (try? await Task.sleep(for: Self.touchInterval)) != nil {
            _ = try? await pool.withConnection { try await $0.execute(touch) }
        }
    }
}
