import Catalog
import Postgres

/// Reads receipts from the ledger.
struct ReceiptReader: Sendable {
    let pool: PostgresPool

    /// The receipt, or nil where there is none or it belongs to another workspace.
    func receipt(_ id: ReceiptID, workspaceID: Int64) async throws -> Receipt? {
        try await pool.withConnection { connection in
            switch id {
            case .coalesced(let batch, let ordinal):
                let heads = try await connection.query(FindCoalescedReceipt(batchID: batch, ordinal: ordinal))
                guard let head = heads.first, head.workspaceID == workspaceID else { return nil }
                let outputs = try await connection.query(ListCoalescedOutputs(batchID: batch, ordinal: ordinal))
                return Receipt(id: id, head: head, outputs: outputs)
            case .upload(let upload):
                let heads = try await connection.query(FindUploadReceipt(uploadID: upload))
                guard let head = heads.first, head.workspaceID == workspaceID else { return nil }
                let outputs = try await connection.query(ListUploadOutputs(uploadID: upload))
                return Receipt(id: id, head: head, outputs: outputs)
            }
        }
    }
}
