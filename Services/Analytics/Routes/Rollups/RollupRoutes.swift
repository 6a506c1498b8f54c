import Access
import Catalog
import HTTP
import HTTPServer
import JSON
import Postgres
import Queue
import Records

/// `/v1/rollups`: definitions, data and changes. How they are kept is `RollupHandler`'s.
struct RollupRoutes: Sendable {
    let store: DefinitionStore<StoredRollup>
    let feed: RollupFeed
    /// Who may read data now: a part of the service's connections, of which each workspace has a part.
    let reads: QueryGate
    let wakeup: Wakeup
    /// Throws once the request's key is not valid any more.
    let watchKey: @Sendable (Request) async throws -> Void

    func put(_ request: Request) async throws -> Response {
        let principal = try request.principal()
        let name = try ResourceName(checking: request.parameter("name"))
        let fields = try await request.fields()
        let definition: RollupDefinition
        do throws(FieldFaults) {
            definition = try RollupDefinition(fields)
        } catch {
            let problem = Problem(error)
            throw problem.code == .unknownField
                ? problem : Problem(.invalidRollup, problem.detail, errors: problem.errors)
        }
        let head = request.head
        let put = try await store.put(name, RollupDraft(definition: definition), workspaceID: principal.workspaceID) {
            try EntityTag.check(head, current: $0)
        }
        wakeup.notify("analytics")
        return try Self.answer(put.created ? .created : .ok, put.stored)
    }

    func get(_ request: Request) async throws -> Response {
        let (stored, _) = try await find(request)
        return try Self.answer(.ok, stored)
    }

    func delete(_ request: Request) async throws -> Response {
        let principal = try request.principal()
        let name = try ResourceName(checking: request.parameter("name"))
        let head = request.head
        try await store.remove(name, workspaceID: principal.workspaceID) { try EntityTag.check(head, current: $0) }
        wakeup.notify(RollupFeed.topic)
        return .noContent()
    }

    func list(_ request: Request) async throws -> Response {
        let principal = try request.principal()
        let query = try request.query()
        let page = try PageRequest(query, list: "rollups")
        try query.finish()
        let stored = try await store.list(
            workspaceID: principal.workspaceID, after: page.cursor?.values[0].string ?? "", limit: page.lookup)
        let (items, next) = page.page(of: stored) { [.string($0.name)] }
        return .list(try items.map { try $0.json() }, nextCursor: next)
    }

    func find(_ request: Request) async throws -> (StoredRollup, RollupDefinition) {
        let principal = try request.principal()
        let name = try ResourceName(checking: request.parameter("name"))
        let stored = try await store.find(name, workspaceID: principal.workspaceID)
        return (stored, try RollupDefinition(stored: stored.definition))
    }

    private static func answer(_ status: HTTPStatus, _ rollup: StoredRollup) throws -> Response {
        .json(status, try rollup.json(), headers: ["etag": EntityTag(version: rollup.version).text])
    }
}

extension StoredRollup {
    func json() throws -> JSONValue {
        let members: [(String, JSONValue)] = [("name", .string(name)), ("version", .number(version))]
        let progress = blocks == 0 ? 1 : Double(blocksDone) / Double(blocks)
        let found: [(String, JSONValue)] = [
            ("state", .string(state)), ("reason", .optional(reason)),
            ("progress", state == "ready" ? 1 : state == "backfilling" ? .number(progress) : 0),
            ("waiting_batches", .number(waitingBatches)),
            ("applied_at", appliedAt.map(JSONValue.timestamp) ?? .null),
            ("created_at", .timestamp(createdAt)), ("updated_at", .timestamp(updatedAt)),
        ]
        return .object(JSONObject(members + (try RollupDefinition(stored: definition)).members + found))
    }
}
