import Access
import Catalog
import HTTP
import HTTPServer

/// `/v1/receipts/{id}`.
struct ReceiptRoutes: Sendable {
    let reader: ReceiptReader

    func get(_ request: Request) async throws -> Response {
        let principal = try request.principal()
        guard let id = ReceiptID(request.parameter("id")),
            let receipt = try await reader.receipt(id, workspaceID: principal.workspaceID),
            principal.scopes.allows("ingest:write", on: receipt.head.source)
        else { throw Problem(.notFound, "there is no such receipt") }
        return .json(.ok, receipt.json)
    }
}
