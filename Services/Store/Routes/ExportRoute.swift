import Access
import Catalog
import HTTP
import HTTPServer
import JSON
import Postgres
import Records

/// `GET /v1/datasets/{name}/export`.
///
/// Each export has a connection of its own, which it keeps until its client has everything: no more than ``limit`` at a
/// time in a process and half of that of one workspace, each for an hour at most.
struct ExportRoute: Sendable {
    static let limit = 4
    static let longest = Duration.seconds(3_600)

    private let catalog: DatasetCatalog
    private let gate = ExportGate(total: Self.limit)

    init(catalog: DatasetCatalog) {
        self.catalog = catalog
    }

    func handle(_ request: Request) async throws -> Response {
        let principal = try request.principal()
        let name = try ResourceName(checking: request.parameter("name"))
        let query = try request.query()
        let format = try Self.format(query, request.head)
        let numbers = query.value("numbers", oneOf: RowRoutes.Numbers.self)?.style ?? .plain
        for unknown in ["order", "limit", "cursor"] where query.string(unknown) != nil {
            query.fault(unknown, "an export has all rows, in no order")
        }
        let found = try await catalog.find(name, workspaceID: principal.workspaceID)
        let rows = try RowsQuery(query, of: found)
        let export = DatasetExport(rows, format, numbers, of: found.dataset)
        let type = format == .csv ? "text/csv; charset=utf-8; header=present" : "application/x-ndjson"
        guard found.dataset.hasTable else {
            let header = format == .csv ? RowsPage.empty(rows).batch.csvHeader() : []
            return .bytes(.ok, type, header)
        }
        // Before the head: whoever is let in here is answered to the end.
        let permit = try gate.enter(principal.workspaceID)
        try await check(export, hasCondition: rows.condition != nil)
        return .stream(.ok, type, headers: ["vary": "Accept"]) { writer in
            defer { permit.end() }
            try await run(export, writer)
        }
    }

    private static func format(_ query: QueryFields, _ head: HTTPRequestHead) throws(Problem) -> DatasetExport.Format {
        if let format = query.value("format", oneOf: DatasetExport.Format.self) { return format }
        // What there is instead of an unknown one is said with whatever else is wrong with the query.
        if query.string("format") != nil { return .csv }
        switch MediaType.choose(head["accept"], from: [MediaType.csv, .ndjson])?.essence {
        case "text/csv": return .csv
        case "application/x-ndjson": return .ndjson
        default: throw Problem(.notAcceptable, "an export comes as text/csv or application/x-ndjson")
        }
    }

    /// Finds what is wrong before anything is answered.
    private func check(_ export: DatasetExport, hasCondition: Bool) async throws {
        do {
            try await catalog.pool.withTransaction(readOnly: true) { try await export.check($0) }
        } catch let error as PostgresError where hasCondition {
            throw RowsPage.problem(error)
        }
    }

    private func run(_ export: DatasetExport, _ writer: ResponseWriter) async throws {
        let loop = try await catalog.pool.withConnection { $0.loop }
        let connection = try await PostgresConnection.connect(catalog.pool.configuration, on: loop)
        do {
            try await connection.transaction { connection in
                try await export.check(connection)
                try await export.run(connection, timeout: Self.longest) { try await writer.write($0) }
            }
        } catch {
            await connection.close()
            if export.format == .ndjson, let known = (error as? PostgresError).map(RowsPage.problem) {
                let problem = known as? Problem ?? (known as? any ProblemConvertible)?.problem
                let body = problem?.body() ?? Array("{}".utf8)
                try await writer.write(Array(#"{"error":"#.utf8) + body + [0x7D, 0x0A])
            }
            throw error
        }
        await connection.close()
    }
}
