import Access
import Catalog
import HTTP
import HTTPServer
import JSON

/// `/v1/workspaces`: tenants, each with its schema and login role.
struct WorkspaceRoutes: Sendable {
    static let longestDescription = 1000

    let store: WorkspaceStore

    func put(_ request: Request) async throws -> Response {
        try Self.requirePlatform(request)
        let name = request.parameter("name")
        guard Workspace.isName(name) else {
            throw Problem(
                .invalidName,
                "\"\(name.prefix(64))\" is no workspace's name: a letter a-z, then at most 39 letters a-z, digits and _"
            )
        }
        let fields = try await request.fields()
        let description = fields.optional("description", String.self)
        if let description, description.unicodeScalars.count > Self.longestDescription {
            fields.fault("description", "at most \(Self.longestDescription) characters")
        }
        try fields.finish()
        let head = request.head
        let put = try await store.put(name, description: description) { try EntityTag.check(head, current: $0) }
        return Self.answer(put.created ? .created : .ok, put.workspace)
    }

    func get(_ request: Request) async throws -> Response {
        Self.answer(.ok, try await store.find(request.parameter("name"), try request.principal()))
    }

    func list(_ request: Request) async throws -> Response {
        let principal = try request.principal()
        let query = try request.query()
        let page = try PageRequest(query, list: "workspaces")
        try query.finish()
        let found = try await store.list(
            principal, after: page.cursor?.values[0].int.map(Int64.init) ?? 0, limit: page.lookup)
        let (items, next) = page.page(of: found) { [.number($0.id)] }
        return .list(items.map(\.json), nextCursor: next)
    }

    /// Nothing of it is there any more when it is 404; until then it is `deleting`.
    func delete(_ request: Request) async throws -> Response {
        try Self.requirePlatform(request)
        let name = request.parameter("name")
        try request.requireConfirmation(of: name)
        let head = request.head
        let ended = try await store.end(name, try request.principal()) { try EntityTag.check(head, current: $0) }
        return Self.answer(.accepted, ended)
    }

    private static func requirePlatform(_ request: Request) throws(Problem) {
        guard try request.principal().administersPlatform else {
            throw Problem(
                .forbidden, "workspaces are made and deleted by an administrator of \(Principal.firstWorkspace)",
                extensions: [("scope", "admin")])
        }
    }

    private static func answer(_ status: HTTPStatus, _ workspace: Workspace) -> Response {
        .json(status, workspace.json, headers: ["etag": EntityTag(version: workspace.version).text])
    }
}

extension Workspace {
    fileprivate var json: JSONValue {
        [
            "name": .string(name), "version": .number(version), "description": .optional(description),
            "state": .string(deletedAt == nil ? "active" : "deleting"), "schema": .string(schema),
            "role": .string(queryRole), "created_at": .timestamp(createdAt), "updated_at": .timestamp(updatedAt),
        ]
    }
}
