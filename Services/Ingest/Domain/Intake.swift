import Catalog
import Postgres
import Queue
import Records

/// Takes one request's body in: cuts it into records as it comes, and lands them.
///
/// A body whose records fit into ``MemoryShare``'s part (and into one small batch) goes to the coalescer whole; a
/// larger one becomes an upload at the first cut.
struct Intake: Sendable {
    /// Bodies whose records are at most this long share a commit with others.
    static let smallBody = 1 << 20
    /// From this many bytes on a body counts as large for the memory budget.
    static let largeBody = 128 << 10

    /// Room beyond a part, in bytes: for the chunk that makes it full, and for cutting that.
    private static let slack = 96 << 10

    let coalescer: Coalescer
    let memory: MemoryShare
    let pool: PostgresPool
    let abandoned: AbandonedUploads
    let wakeup: Wakeup
    let metrics: IngestMetrics

    struct Result: Sendable {
        var landing: Landing
        var records = 0
        /// Of the decoded body.
        var bytes = 0
        /// Of the decoded body and its type; nil where no key asked for it.
        var fingerprint: [UInt8]?
    }

    /// The body holds no record at all.
    struct EmptyBody: Error {
        /// What it holds instead.
        let reason: String
    }

    /// Lands the body, or finds that its key is taken. `next` gives the body's chunks, nil at its end, and throws
    /// when the body breaks off: then nothing is accepted.
    nonisolated(nonsending) func take(
        _ request: IncomingRequest, body: IncomingBody,
        next: nonisolated(nonsending) () async throws -> [UInt8]?
    ) async throws -> Result {
        var state = Progress(body: body)
        defer { if state.countedIn { memory.leave(holding: state.held) } }
        do {
            return try await take(request, &state, next)
        } catch {
            await state.upload?.abandon()
            throw error
        }
    }

    private struct Progress {
        var body: IncomingBody
        var countedIn = false
        /// What ``MemoryShare`` was told, in bytes.
        var held = 0
        var upload: Upload?
    }

    private nonisolated(nonsending) func take(
        _ request: IncomingRequest, _ state: inout Progress,
        _ next: nonisolated(nonsending) () async throws -> [UInt8]?
    ) async throws -> Result {
        while let chunk = try await next() {
            state.body.push(chunk)
            while try state.body.cut() {
                guard try await landFullPart(request, &state) else {
                    return Result(landing: .keyInProgress, fingerprint: nil)
                }
            }
        }
        try state.body.finish()
        guard state.body.recordCount > 0 else { throw EmptyBody(reason: state.body.emptiness) }
        let fingerprint = state.body.fingerprint()
        if state.upload == nil && state.body.pendingBytes <= Self.smallBody, let frame = state.body.takeFrame() {
            let keyed = request.idempotencyKey.flatMap { key in fingerprint.map { KeyedBody(key: key, fingerprint: $0) }
            }
            let landing = try await coalescer.land(
                request, frame: frame, rawBytes: Int64(frame.bytes.count - frame.recordCount), keyed: keyed)
            return state.body.result(landing, fingerprint)
        }
        guard let upload = try await begun(request, &state) else {
            return Result(landing: .keyInProgress, fingerprint: fingerprint)
        }
        _ = try await land(upload, &state)
        let receipt = try await upload.accept(fingerprint: fingerprint)
        state.upload = nil
        return state.body.result(.landed(receipt), fingerprint)
    }

    /// Lands what has been cut once it is as much as the request may hold; false when another request holds the key.
    private nonisolated(nonsending) func landFullPart(
        _ request: IncomingRequest, _ state: inout Progress
    ) async throws -> Bool {
        if !state.countedIn && state.body.heldBytes > Self.largeBody {
            guard memory.enter() else { throw TooBusy(reason: "too many large requests are being read") }
            state.countedIn = true
        }
        guard state.countedIn else { return true }
        hold(state.body.heldBytes, &state)
        let part = memory.part(holding: state.held)
        guard state.body.pendingBytes >= (state.upload == nil ? max(part, Self.largeBody) : part) else { return true }
        guard let upload = try await begun(request, &state) else { return false }
        if let spent = try await land(upload, &state) {
            state.body.reserve(memory.part(holding: state.held) + Self.slack, reusing: spent)
        }
        return true
    }

    /// The request's upload, begun if need be; nil when another request holds the key.
    private nonisolated(nonsending) func begun(
        _ request: IncomingRequest, _ state: inout Progress
    ) async throws -> Upload? {
        if state.upload == nil {
            state.upload = try await Upload.begin(
                request, pool: pool, abandoned: abandoned, wakeup: wakeup, metrics: metrics)
        }
        return state.upload
    }

    /// Lands what has been cut, if any, and gives it back.
    private nonisolated(nonsending) func land(_ upload: Upload, _ state: inout Progress) async throws -> BatchFrame? {
        guard let frame = state.body.takeFrame() else { return nil }
        try await upload.land(frame)
        hold(state.body.heldBytes, &state)
        return frame
    }

    private func hold(_ bytes: Int, _ state: inout Progress) {
        guard state.countedIn else { return }
        memory.hold(bytes, insteadOf: state.held)
        state.held = bytes
    }
}

extension IncomingBody {
    fileprivate func result(_ landing: Landing, _ fingerprint: [UInt8]?) -> Intake.Result {
        Intake.Result(landing: landing, records: recordCount, bytes: decodedBytes, fingerprint: fingerprint)
    }
}
