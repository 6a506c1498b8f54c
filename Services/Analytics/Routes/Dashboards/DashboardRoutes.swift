import Access
import Catalog
import HTTP
import HTTPServer
import JSON

/// `/v1/dashboards`: charts that the console draws, saved under a name.
struct DashboardRoutes: Sendable {
    let store: DefinitionStore<StoredDashboard>
    let engine: QueryEngine

    func put(_ request: Request) async throws -> Response {
        let principal = try request.principal()
        let name = try ResourceName(checking: request.parameter("name"))
        let definition = try await Self.definition(request)
        try await check(definition)
        let head = request.head
        let put = try await store.put(name, definition, workspaceID: principal.workspaceID) {
            try EntityTag.check(head, current: $0)
        }
        return try Self.answer(put.created ? .created : .ok, put.stored)
    }

    func get(_ request: Request) async throws -> Response {
        let principal = try request.principal()
        let name = try ResourceName(checking: request.parameter("name"))
        return try Self.answer(.ok, try await store.find(name, workspaceID: principal.workspaceID))
    }

    func delete(_ request: Request) async throws -> Response {
        let principal = try request.principal()
        let name = try ResourceName(checking: request.parameter("name"))
        let head = request.head
        try await store.remove(name, workspaceID: principal.workspaceID) { try EntityTag.check(head, current: $0) }
        return .noContent()
    }

    func list(_ request: Request) async throws -> Response {
        let principal = try request.principal()
        let query = try request.query()
        let page = try PageRequest(query, list: "dashboards")
        try query.finish()
        let stored = try await store.list(
            workspaceID: principal.workspaceID, after: page.cursor?.values[0].string ?? "", limit: page.lookup)
        let (items, next) = page.page(of: stored) { [.string($0.name)] }
        return .list(try items.map { try $0.summary }, nextCursor: next)
    }

    private static func definition(_ request: Request) async throws -> DashboardDefinition {
        let fields = try await request.fields()
        do throws(FieldFaults) {
            return try DashboardDefinition(fields)
        } catch {
            let problem = Problem(error)
            throw problem.code == .unknownField
                ? problem : Problem(.invalidDashboard, problem.detail, errors: problem.errors)
        }
    }

    /// Refuses statements that could never be sent; whether their tables are there is found out when they are drawn.
    private func check(_ definition: DashboardDefinition) async throws {
        for (index, chart) in definition.charts.enumerated() {
            guard case .query(let sql) = chart.content else { continue }
            do {
                try await engine.check(sql, parameters: 0)
            } catch let refusal as QueryGuard.Refusal {
                let fault = FieldFault(path: "charts[\(index)].query", message: refusal.message)
                throw Problem(
                    .invalidDashboard, fault.description, errors: [fault],
                    extensions: refusal.position.map { [("position", .number($0))] } ?? [])
            }
        }
    }

    private static func answer(_ status: HTTPStatus, _ dashboard: StoredDashboard) throws -> Response {
        .json(status, try dashboard.json, headers: ["etag": EntityTag(version: dashboard.version).text])
    }
}

extension StoredDashboard {
    fileprivate var json: JSONValue {
        get throws {
            .object(JSONObject(head + (try DashboardDefinition(stored: definition).members) + times))
        }
    }

    /// An item of the list: how many charts, not which.
    fileprivate var summary: JSONValue {
        get throws {
            let definition = try DashboardDefinition(stored: definition)
            let about: [(String, JSONValue)] = [
                ("title", .optional(definition.title)), ("description", .optional(definition.description)),
                ("charts", .number(definition.charts.count)),
            ]
            return .object(JSONObject(head + about + times))
        }
    }

    private var head: [(String, JSONValue)] { [("name", .string(name)), ("version", .number(version))] }

    private var times: [(String, JSONValue)] {
        [("created_at", .timestamp(createdAt)), ("updated_at", .timestamp(updatedAt))]
    }
}
