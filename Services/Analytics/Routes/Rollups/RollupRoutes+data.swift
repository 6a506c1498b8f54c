import HTTP
import HTTPServer
import JSON
import Postgres
import Records

extension RollupRoutes {
    /// How long a question may take in the database.
    static let patience = "10s"

    func data(_ request: Request) async throws -> Response {
        let offers = [MediaType.json, .ndjson, .csv]
        guard let type = MediaType.choose(request.head["accept"], from: offers) else {
            throw Problem(.notAcceptable, "data come as application/json, application/x-ndjson or text/csv")
        }
        let layout: AnswerLayout = type == .csv ? .csv : type == .ndjson ? .ndjson : .items
        let (rollup, definition) = try await find(request)
        let plan = try RollupPlan(rollup, definition)
        let fields = try request.query()
        let numbers = fields.value("numbers", oneOf: QueryNumbers.self)?.style ?? .plain
        let query = try RollupQuery(fields, of: plan, definition)
        guard let generation = rollup.shown else {
            throw Problem(.conflict, "the rollup is \(rollup.state): it has no data yet", retryAfter: .seconds(1))
        }
        var builder = RollupStatement(rollup, plan, definition, query)
        let (statement, columns) = builder.build(generation: generation)
        let rows: PostgresResult
        do {
            rows = try await store.pool.withTransaction { connection in
                try await connection.query("set local statement_timeout = \(literal: Self.patience)")
                return try await connection.query(statement)
            }
        } catch let error as PostgresError where error.sqlstate?.code == "57014" {
            throw Problem(.queryTimeout, "the answer took longer than \(Self.patience); ask for less of it")
        } catch let error as PostgresError where error.sqlstate?.isDataFault ?? false {
            throw Problem(.queryFailed, error.message)
        }
        let bytes = await withTaskExecutorPreference(globalConcurrentExecutor) {
            var writer = ResultWriter(layout, columns, numbers)
            for place in 0..<min(rows.rowCount, query.limit) { writer.append(rows[place]) }
            writer.end(truncated: rows.rowCount > query.limit, elapsed: .zero)
            return writer.take()
        }
        return Response(.ok, headers: ["content-type": layout.mediaType, "vary": "Accept"], body: .bytes(bytes))
    }
}
