import Catalog
import Observability
import Postgres
import Queue
import Records

/// One large request on its way in: its batches are committed as it streams, and nobody sees them until `accept`.
///
/// Batches of an upload that breaks off stay unseen; maintenance sweeps them.
struct Upload: Sendable {
    /// The upload is no longer ours to accept: it did not move for a minute, and a retry took its key.
    struct Lost: Error {}

    let id: Int64
    let request: IncomingRequest
    let pool: PostgresPool
    let abandoned: AbandonedUploads
    let wakeup: Wakeup
    let metrics: IngestMetrics

    /// Begins an upload. Nil when another upload holds the key and still moves, or the key is taken for good.
    static func begin(
        _ request: IncomingRequest, pool: PostgresPool, abandoned: AbandonedUploads, wakeup: Wakeup,
        metrics: IngestMetrics
    ) async throws -> Upload? {
        guard let id = try await pool.withConnection({ try await $0.query(NextUploadID()).first }) else {
            throw TooBusy(reason: "the upload was not begun")
        }
        let upload = Upload(
            id: id, request: request, pool: pool, abandoned: abandoned, wakeup: wakeup, metrics: metrics)
        let statement = BeginUpload(
            uploadID: id, sourceID: request.sourceID, requestID: request.requestID, key: request.idempotencyKey)
        do {
            if try await pool.withConnection({ try await $0.query(statement).first }) == true { return upload }
        } catch {
            // It may have begun all the same, its answer lost.
            await upload.abandon()
            throw error
        }
        await upload.abandon()
        return nil
    }

    /// Lands one batch.
    func land(_ frame: BatchFrame) async throws {
        // Compressing up to 4 MiB takes milliseconds: not on an event loop.
        let body = try await withTaskExecutorPreference(globalConcurrentExecutor) { try frame.encode() }
        let began = ContinuousClock.now
        let statement = LandUploadBatch(
            uploadID: id, format: frame.format.name, records: Int32(frame.recordCount),
            rawBytes: Int64(frame.bytes.count - frame.recordCount), trace: request.trace.traceparent, body: body)
        let landed = try await pool.withConnection { try await $0.query(statement) }
        if landed.isEmpty { throw Lost() }
        metrics.landed(
            requests: 0, records: frame.recordCount, bytes: statement.rawBytes, after: .now - began)
    }

    /// Accepts all batches together and makes their jobs.
    func accept(fingerprint: [UInt8]?) async throws -> ReceiptID {
        let receipt = ReceiptID.upload(id)
        let statement = AcceptUpload(
            uploadID: id, key: request.idempotencyKey, fingerprint: fingerprint, receipt: receipt.description,
            trace: request.trace.traceparent)
        let accepted = try await pool.withConnection { try await $0.query(statement) }
        if accepted.isEmpty { throw Lost() }
        wakeup.notify("transform")
        metrics.acceptedUpload()
        return receipt
    }

    /// Gives the upload up, so that its key is free at once.
    func abandon() async {
        await abandoned.add(id)
    }
}
