import Access
import Catalog
import HTTP
import HTTPServer
import JSON
import Postgres

/// `/v1/sources`: what sends records, within which limits, and how far behind the platform is with it.
struct SourceRoutes: Sendable {
    let catalog: SourceCatalog
    /// What counts where a source's settings say nothing.
    let defaults: SourcePolicy

    /// Sources of one page whose rates are asked for, too: each is measured.
    static let measuredLimit = 100

    func put(_ request: Request) async throws -> Response {
        let principal = try request.principal()
        let name = try ResourceName(checking: request.parameter("source"))
        let fields = try await request.fields()
        let settings: SourceSettings
        do throws(FieldFaults) {
            settings = try SourceSettings(fields, bodyLimit: defaults.maxBodyBytes)
        } catch {
            let problem = Problem(error)
            throw problem.code == .unknownField
                ? problem : Problem(.invalidSource, problem.detail, errors: problem.errors)
        }
        let head = request.head
        let put = try await catalog.put(name, settings, workspaceID: principal.workspaceID) {
            try EntityTag.check(head, current: $0)
        }
        return try await answer(put.created ? .created : .ok, put.source)
    }

    func get(_ request: Request) async throws -> Response {
        let principal = try request.principal()
        let name = try ResourceName(checking: request.parameter("source"))
        return try await answer(.ok, try await catalog.find(name, workspaceID: principal.workspaceID))
    }

    func delete(_ request: Request) async throws -> Response {
        let principal = try request.principal()
        let name = try ResourceName(checking: request.parameter("source"))
        try request.requireConfirmation(of: name.text)
        let head = request.head
        try await catalog.remove(name, workspaceID: principal.workspaceID) {
            try EntityTag.check(head, current: $0)
        }
        return .noContent()
    }

    func list(_ request: Request) async throws -> Response {
        let principal = try request.principal()
        let query = try request.query()
        let isMeasured = query.bool("rates") ?? false
        let page = try PageRequest(
            query, list: "sources", maximum: isMeasured ? Self.measuredLimit : PageRequest.maximum)
        try query.finish()
        let statement = ListSources(
            workspaceID: principal.workspaceID, after: page.cursor?.values[0].string ?? "", limit: page.lookup,
            names: principal.scopes.likePatterns(of: "sources:read"))
        let sources = try await catalog.pool.withConnection { try await $0.query(statement) }
        let (items, next) = page.page(of: sources) { [.string($0.name)] }
        guard isMeasured else { return .list(items.map(\.json), nextCursor: next) }
        let readings = try await catalog.measure(Array(items))
        return .list(zip(items, readings).map { $0.json(measured: $1) }, nextCursor: next)
    }

    /// The tag is the settings', for `If-Match`: rates and lag change without a new version.
    private func answer(_ status: HTTPStatus, _ source: StoredSource) async throws -> Response {
        let reading = try await catalog.measure(source)
        return .json(
            status, source.json(reading, defaults: defaults), headers: ["etag": EntityTag(version: source.version).text]
        )
    }
}
