import Access
import Catalog
import HTTP
import HTTPServer
import JSON
import Records

/// `/v1/endpoints`: saved queries with parameters. What calls of them answer is `EndpointDataRoute`'s.
struct EndpointRoutes: Sendable {
    /// How long the check of a statement may take.
    private static let checkTime = Duration.seconds(10)

    let store: DefinitionStore<StoredEndpoint>
    let directory: EndpointDirectory
    let engine: QueryEngine

    func put(_ request: Request) async throws -> Response {
        let principal = try request.principal()
        let name = try ResourceName(checking: request.parameter("name"))
        let definition = try await Self.definition(request)
        let context = request.context
        let deadline = QueryDeadline(instant: .now + Self.checkTime) { await context.clientGone() }
        let columns = try await columns(of: definition, for: principal, until: deadline)
        let head = request.head
        // Also where the commit's answer was lost.
        defer { directory.forget(name, workspaceID: principal.workspaceID) }
        let put = try await store.put(
            name, EndpointDraft(definition, columns: columns), workspaceID: principal.workspaceID
        ) {
            try EntityTag.check(head, current: $0)
        }
        return Self.answer(
            put.created ? .created : .ok, try directory.publish(put.stored, for: principal), put.stored)
    }

    func get(_ request: Request) async throws -> Response {
        let principal = try request.principal()
        let name = try ResourceName(checking: request.parameter("name"))
        let stored = try await store.find(name, workspaceID: principal.workspaceID)
        return Self.answer(.ok, try directory.publish(stored, for: principal), stored)
    }

    func delete(_ request: Request) async throws -> Response {
        let principal = try request.principal()
        let name = try ResourceName(checking: request.parameter("name"))
        let head = request.head
        defer { directory.forget(name, workspaceID: principal.workspaceID) }
        try await store.remove(name, workspaceID: principal.workspaceID) { try EntityTag.check(head, current: $0) }
        return .noContent()
    }

    func list(_ request: Request) async throws -> Response {
        let principal = try request.principal()
        let query = try request.query()
        let page = try PageRequest(query, list: "endpoints")
        try query.finish()
        let stored = try await store.list(
            workspaceID: principal.workspaceID, after: page.cursor?.values[0].string ?? "", limit: page.lookup)
        let (items, next) = page.page(of: stored) { [.string($0.name)] }
        return .list(try items.map { try directory.publish($0, for: principal).json($0) }, nextCursor: next)
    }

    /// The OpenAPI document of all endpoints that the workspace has.
    func document(_ request: Request) async throws -> Response {
        let principal = try request.principal()
        try request.query().finish()
        let limit = Int32(StoredEndpoint.maximumCount) * 2
        let stored = try await store.list(workspaceID: principal.workspaceID, after: "", limit: limit)
        let endpoints = try stored.map { try directory.publish($0, for: principal) }
        let (bytes, tag) = await withTaskExecutorPreference(globalConcurrentExecutor) {
            let bytes = EndpointDocument.build(endpoints, workspace: principal.workspace).serialized()
            return (bytes, EntityTag(content: bytes))
        }
        let headers: HTTPHeaders = ["etag": tag.text, "cache-control": "private, no-cache"]
        if EntityTag.isUnchanged(request.head, current: tag) { return Response(.notModified, headers: headers) }
        return .json(.ok, bytes: bytes, headers: headers)
    }

    private static func definition(_ request: Request) async throws -> EndpointDefinition {
        let fields = try await request.fields()
        do throws(FieldFaults) {
            return try EndpointDefinition(fields)
        } catch {
            let problem = Problem(error)
            throw problem.code == .unknownField
                ? problem : Problem(.invalidEndpoint, problem.detail, errors: problem.errors)
        }
    }

    /// Checks the statement in all respects but for the data. Throws `invalid_endpoint` with what is wrong in it.
    private func columns(
        of definition: EndpointDefinition, for principal: Principal, until deadline: QueryDeadline
    ) async throws -> [ResultColumn] {
        let template: EndpointTemplate
        do throws(EndpointTemplate.Faults) {
            template = try EndpointTemplate(definition.sql)
        } catch {
            throw error.problem
        }
        do {
            return try await engine.columns(of: template.sql, for: principal, until: deadline)
        } catch {
            throw EndpointProblems.refusing(EndpointProblems.explaining(error, template))
        }
    }

    private static func answer(_ status: HTTPStatus, _ endpoint: PublishedEndpoint, _ stored: StoredEndpoint)
        -> Response
    {
        .json(status, endpoint.json(stored), headers: ["etag": EntityTag(version: endpoint.version).text])
    }
}

extension PublishedEndpoint {
    func json(_ stored: StoredEndpoint) -> JSONValue {
        let members: [(String, JSONValue)] = [
            ("name", .string(name)), ("version", .number(version)),
        ]
        let found: [(String, JSONValue)] = [
            ("parameters", .array(template.parameters.map(\.json))), ("columns", EndpointColumns.json(columns)),
            ("created_at", .timestamp(stored.createdAt)), ("updated_at", .timestamp(stored.updatedAt)),
        ]
        return .object(JSONObject(members + definition.members + found))
    }
}

extension EndpointParameter {
    /// `default` is there where the parameter may be left out.
    fileprivate var json: JSONValue {
        var object = JSONObject([
            ("name", .string(name)), ("type", .string(type.rawValue)), ("required", .bool(standing == .required)),
        ])
        if case .optional(let value) = standing { object["default"] = value.map { json(of: $0) } ?? .null }
        return .object(object)
    }
}
