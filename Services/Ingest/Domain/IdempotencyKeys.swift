import Catalog
import Lifecycle
import Observability
import Postgres

/// Idempotency keys that are remembered.
struct IdempotencyKeys: Sendable {
    struct Known: Sendable {
        /// Nil while an upload with the key is still coming in.
        var receipt: ReceiptID?
        var fingerprint: [UInt8]?
    }

    let pool: PostgresPool

    /// What is known of a key. Nil where it is free, or held by an upload that no longer moves and may be taken over.
    func find(_ key: String, sourceID: Int64) async throws -> Known? {
        let record = try await pool.withConnection { connection in
            try await connection.query(FindIdempotencyKey(sourceID: sourceID, key: key)).first
        }
        guard let record else { return nil }
        if let receipt = record.receipt {
            return Known(receipt: ReceiptID(receipt), fingerprint: record.fingerprint)
        }
        return record.uploadAlive ? Known(receipt: nil, fingerprint: nil) : nil
    }
}
