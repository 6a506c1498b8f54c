import Access
import Catalog
import HTTP
import HTTPServer
import JSON
import Postgres

/// `/v1/datasets` and `/v1/datasets/{name}`.
struct DatasetRoutes: Sendable {
    let catalog: DatasetCatalog

    /// Datasets of one page whose quarantine is counted, too.
    static let countedLimit = 100

    func put(_ request: Request) async throws -> Response {
        let principal = try request.principal()
        let name = try ResourceName(checking: request.parameter("name"))
        let fields = try await request.fields()
        let definition: DatasetDefinition
        do throws(FieldFaults) {
            definition = try DatasetDefinition(fields)
        } catch {
            let problem = Problem(error)
            throw problem.code == .unknownField
                ? problem : Problem(.invalidDataset, problem.detail, errors: problem.errors)
        }
        let head = request.head
        let put = try await catalog.put(name, definition, workspaceID: principal.workspaceID) {
            try EntityTag.check(head, current: $0)
        }
        return try await answer(put.created ? .created : .ok, put.found)
    }

    func get(_ request: Request) async throws -> Response {
        try await answer(.ok, try await find(request))
    }

    func delete(_ request: Request) async throws -> Response {
        let principal = try request.principal()
        let name = try ResourceName(checking: request.parameter("name"))
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
        let isCounted = query.bool("quarantined") ?? false
        let page = try PageRequest(query, list: "datasets", ceiling: isCounted ? Self.countedLimit : .max)
        try query.finish()
        let statement = ListDatasets(
            workspaceID: principal.workspaceID, after: page.cursor?.values[0].string ?? "", limit: page.lookup,
            names: principal.scopes.likePatterns(of: "datasets:read"))
        let (datasets, sizes, counts) = try await catalog.pool.withConnection { connection in
            let datasets = try await connection.query(statement)
            let sizes = try await connection.query(MeasureTables(datasets: datasets))
            return (datasets, sizes, isCounted ? try await connection.query(CountQuarantined(datasets: datasets)) : [])
        }
        let (items, next) = page.page(of: datasets) { [.string($0.name)] }
        let answers = zip(items, sizes).enumerated().map { place, item in
            item.0.json(item.1, quarantined: isCounted ? counts[place] : nil)
        }
        return .list(answers, nextCursor: next)
    }

    private func find(_ request: Request) async throws -> DatasetCatalog.Found {
        let principal = try request.principal()
        let name = try ResourceName(checking: request.parameter("name"))
        return try await catalog.find(name, workspaceID: principal.workspaceID)
    }

    /// The tag is the definition's, for `If-Match`: size and time of the last load change without a new version.
    private func answer(_ status: HTTPStatus, _ found: DatasetCatalog.Found) async throws -> Response {
        let size = try await catalog.measure(found)
        return .json(status, found.json(size), headers: ["etag": EntityTag(version: found.dataset.version).text])
    }
}
