import Access
import Catalog
import HTTP
import HTTPServer
import JSON
import Postgres
import Records

extension RollupRoutes {
    /// How long a question may take in the database.
    static let patience = "10s"
    /// How long it waits for its turn.
    static let turn = Duration.seconds(5)
    /// Bytes of an answer.
    static let longestAnswer = 32 << 20

    func data(_ request: Request) async throws -> Response {
        let offers = [MediaType.json, .ndjson, .csv]
        guard let type = MediaType.choose(request.head["accept"], from: offers) else {
            throw Problem(.notAcceptable, "data come as application/json, application/x-ndjson or text/csv")
        }
        let layout: AnswerLayout = type == .csv ? .csv : type == .ndjson ? .ndjson : .items
        let answer: RollupAnswer
        do {
            answer = try await self.answer(request, layout)
        } catch let error as PostgresError where error.sqlstate?.code == "42P01" {
            // Another generation has taken the place of what was to be read.
            answer = try await self.answer(request, layout)
        } catch let error as PostgresError where error.sqlstate?.code == "57014" {
            throw Problem(.queryTimeout, "the answer took longer than \(Self.patience); ask for less of it")
        } catch let error as PostgresError where error.sqlstate == .outOfMemory {
            throw Problem(.queryTooLarge, QueryFailure.outOfMemory, extensions: [("sqlstate", "53200")])
        } catch let error as PostgresError where error.sqlstate?.isDataFault ?? (error.code == .rowTooLarge) {
            throw Problem(.queryFailed, error.message)
        }
        if answer.isTooLong {
            throw Problem(.queryFailed, "the answer has more than \(Self.longestAnswer) bytes; ask for less of it")
        }
        return Response(.ok, headers: ["content-type": layout.mediaType, "vary": "Accept"], body: .bytes(answer.end()))
    }

    private func answer(_ request: Request, _ layout: AnswerLayout) async throws -> RollupAnswer {
        let (rollup, definition) = try await find(request)
        let plan = try RollupPlan(rollup, definition)
        let fields = try request.query()
        let numbers = fields.value("numbers", oneOf: QueryNumbers.self)?.style ?? .plain
        let query = try RollupQuery(fields, of: plan, definition)
        guard let generation = rollup.shown else {
            throw Problem(.conflict, "the rollup is \(rollup.state): it has no data yet", retryAfter: .seconds(1))
        }
        let limits = RollupStatement(rollup, plan, definition, query)
        var builder = limits
        let (statement, columns) = builder.build(generation: generation)
        let permit = try await reads.enter(try request.principal().workspaceID, patience: Self.turn)
        defer { withExtendedLifetime(permit) {} }
        return try await store.pool.withTransaction { connection in
            try await connection.query("set local statement_timeout = \(literal: Self.patience)")
            try await limits.checkFill(generation: generation, connection)
            var answer = RollupAnswer(layout, columns, numbers, rows: query.limit, bytes: Self.longestAnswer)
            try await answer.read(statement, connection)
            return answer
        }
    }
}
