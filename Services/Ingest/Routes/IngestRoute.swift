import Access
import Catalog
import HTTP
import HTTPServer
import JSON
import Observability
import Records

/// `POST /v1/ingest/{source}`: takes records in.
struct IngestRoute: Sendable {
    let sources: SourceDirectory
    let admission: Admission
    let intake: Intake
    let keys: IdempotencyKeys
    let receipts: ReceiptReader
    let waiters: ReceiptWaiters
    /// Bytes of one body, as it comes and decoded; a source may allow less.
    let bodyLimit: Int

    nonisolated(nonsending) func handle(_ request: Request) async throws -> Response {
        let principal = try request.principal()
        let name = try ResourceName(checking: request.parameter("source"))
        let options = try IngestOptions(request)
        let source = try await sources.source(name, workspaceID: principal.workspaceID)
        let policy = source.policy
        if let length = request.body.contentLength, length > policy.maxBodyBytes {
            throw RequestBody.tooLarge(policy.maxBodyBytes)
        }
        try await admission.admit(source.id, policy)
        let incoming = IncomingRequest(
            sourceID: source.id, pace: policy.pace, requestID: request.context.requestID, trace: request.context.trace,
            idempotencyKey: options.idempotencyKey)
        if let key = options.idempotencyKey, let known = try await keys.find(key, sourceID: source.id) {
            return try await answer(known, request, options, principal, limit: policy.maxBodyBytes)
        }
        let body = IncomingBody(
            format: options.format, coding: options.coding, limit: policy.maxBodyBytes,
            fingerprinted: options.idempotencyKey != nil)
        var chunks = request.body.makeAsyncIterator()
        let result = try await intake.take(incoming, body: body) { try await chunks.next() }
        switch result.landing {
        case .landed(let receipt):
            admission.landed(source.id, records: result.records, bytes: result.bytes)
            return try await respond(receipt, options, principal, replayed: false)
        case .keyInProgress:
            throw Problem.idempotencyInProgress
        case .keyTaken:
            guard let key = options.idempotencyKey, let known = try await keys.find(key, sourceID: source.id),
                let receipt = known.receipt
            else { throw Problem.idempotencyInProgress }
            guard known.fingerprint == result.fingerprint else { throw Problem.idempotencyMismatch }
            return try await respond(receipt, options, principal, replayed: true)
        }
    }

    /// The key is known before the body is read: it is still read, to see that it is the same.
    private nonisolated(nonsending) func answer(
        _ known: IdempotencyKeys.Known, _ request: Request, _ options: IngestOptions, _ principal: Principal,
        limit: Int
    ) async throws -> Response {
        guard let receipt = known.receipt else { throw Problem.idempotencyInProgress }
        var body = IncomingBody(
            format: options.format, coding: options.coding, limit: limit, fingerprinted: true)
        for try await chunk in request.body {
            body.push(chunk)
            while try body.cut() { _ = body.takeFrame() }
        }
        try body.finish()
        guard body.fingerprint() == known.fingerprint else { throw Problem.idempotencyMismatch }
        return try await respond(receipt, options, principal, replayed: true)
    }

    private nonisolated(nonsending) func respond(
        _ id: ReceiptID, _ options: IngestOptions, _ principal: Principal, replayed: Bool
    ) async throws -> Response {
        let text = id.description
        var response: Response
        if let timeout = options.wait {
            await waiters.wait(for: id, timeout: timeout)
            guard let receipt = try await receipts.receipt(id, workspaceID: principal.workspaceID) else {
                throw Problem(.notFound, "there is no such receipt")
            }
            if receipt.state == .failed {
                throw Problem(
                    .receiptFailed, receipt.outputs.compactMap(\.error).first ?? "an output has failed",
                    extensions: [("receipt", .string(text))])
            }
            let done = receipt.state == .stored
            response = .json(done ? .ok : .accepted, done ? receipt.summary : receipt.acknowledgement)
        } else {
            response = .json(.accepted) { writer in
                writer.object { writer in
                    writer.member("receipt", text)
                    writer.member("state", Receipt.State.accepted.rawValue)
                }
            }
        }
        if replayed { response.headers.add("idempotent-replayed", "true") }
        response.headers.add("location", "/v1/receipts/" + text)
        return response
    }
}
