import Access
import Catalog
import HTTP
import HTTPServer
import JSON
import Postgres

/// `/v1/sources`: what sends records, and how far behind the platform is with it.
struct SourceRoutes: Sendable {
    let pool: PostgresPool

    func list(_ request: Request) async throws -> Response {
        let principal = try request.principal()
        let query = try request.query()
        let page = try PageRequest(query, list: "sources")
        try query.finish()
        let statement = ListSources(
            workspaceID: principal.workspaceID, after: page.cursor?.values[0].string ?? "", limit: Int32(page.limit + 1)
        )
        let sources = try await pool.withConnection { try await $0.query(statement) }
        let items = sources.prefix(page.limit)
        let next = sources.count > page.limit ? items.last.map { Cursor([.string($0.name)]).text(of: "sources") } : nil
        return .list(items.map(\.json), nextCursor: next)
    }

    func get(_ request: Request) async throws -> Response {
        let principal = try request.principal()
        let name = try ResourceName(checking: request.parameter("source"))
        let find = FindSource(workspaceID: principal.workspaceID, name: name.text)
        let found = try await pool.withConnection { connection -> (Source, Int64)? in
            guard let source = try await connection.query(find).first else { return nil }
            return (source, try await connection.query(SourceLag(sourceID: source.id)).first ?? 0)
        }
        guard let (source, lag) = found else { throw Problem(.notFound, "there is no source \(name)") }
        return .json(.ok, ["name": .string(source.name), "lag_seconds": .number(Double(lag) / 1_000_000)])
    }

    var routes: [Route] {
        [
            Route(
                .get, "/v1/sources", scope: "sources:read",
                operation: Operation(
                    id: "listSources", summary: "The workspace's sources", tag: "ingest",
                    parameters: [
                        .init("limit", .query, "Items a page.", schema: ["type": "integer", "maximum": 1000]),
                        .init("cursor", .query, "The `next_cursor` of the page before."),
                    ],
                    answers: [
                        .init(
                            .ok, "A page of sources, by name.",
                            [
                                .json(example: [
                                    "items": [["name": "weblogs", "created_at": "2026-01-01T00:00:00Z"]],
                                    "next_cursor": nil,
                                ])
                            ])
                    ],
                    problems: [.invalidParameter, .invalidCursor, .databaseUnavailable]),
                handler: list),
            Route(
                .get, "/v1/sources/{source}", scope: "sources:read",
                operation: Operation(
                    id: "getSource", summary: "A source and its lag",
                    description:
                        "`lag_seconds` is the age of the oldest record that is not stored yet; 0 when all are.",
                    tag: "ingest", parameters: [.init("source", .path, "The source.", example: "weblogs")],
                    answers: [.init(.ok, "The source.", [.json(example: ["name": "weblogs", "lag_seconds": 0.25])])],
                    problems: [.notFound, .invalidName, .databaseUnavailable]),
                handler: get),
        ]
    }
}

extension SourceSummary {
    var json: JSONValue { ["name": .string(name), "created_at": .timestamp(createdAt)] }
}
