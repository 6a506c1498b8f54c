import Access
import Catalog
import HTTP
import HTTPServer
import JSON
import Postgres
import Queue

/// `/v1/runs`: what was started, how far it is, what went wrong.
struct RunRoutes: Sendable {
    let pool: PostgresPool
    let starter: RunStarter
    let inspector: QueueInspector
    let wakeup: Wakeup

    /// Dead batches that one run shows.
    static let errorLimit: Int32 = 20

    func list(_ request: Request) async throws -> Response {
        let principal = try request.principal()
        let query = try request.query()
        let page = try PageRequest(query, list: "runs")
        let state = query.value("state", oneOf: RunState.self)
        let pipeline = query.string("pipeline")
        if let pipeline, ResourceName(pipeline) == nil { query.fault("pipeline", "expected a pipeline's name") }
        try query.finish()
        let statement = ListRuns(
            workspaceID: principal.workspaceID, before: page.cursor?.values[0].int.map(Int64.init) ?? .max,
            state: state, pipeline: pipeline, limit: page.lookup,
            names: principal.scopes.likePatterns(of: "pipelines:read"))
        let runs = try await pool.withConnection { try await $0.query(statement) }
        let (items, next) = page.page(of: runs) { [.number($0.id)] }
        return .list(items.map { .object($0.json) }, nextCursor: next)
    }

    func get(_ request: Request) async throws -> Response {
        let (id, principal) = try Self.place(request)
        return try await answer(id, principal, "pipelines:read")
    }

    /// From the answer on nothing more is replaced by the run; what was replaced stays.
    func cancel(_ request: Request) async throws -> Response {
        let (id, principal) = try Self.place(request)
        let statement = CancelRun(workspaceID: principal.workspaceID, id: id)
        let found = try await pool.withConnection { try await $0.query(statement).first }
        guard let state = found?.state else { throw Self.noRun(id) }
        switch state {
        case .queued, .running, .cancelled: break
        case .succeeded, .failed, .timedOut:
            throw Problem(.conflict, "the run has ended: it is \(state.rawValue)")
        }
        // What is left of the job would find the run ended; without it, nobody has to look.
        if let job = found?.job, try await inspector.cancel(job) == .stopped {
            wakeup.cancelled(job, of: "transform")
        }
        return try await answer(id, principal, "pipelines:write")
    }

    /// The run of a pipeline for which the key has the scope.
    private func answer(_ id: Int64, _ principal: Principal, _ scope: String) async throws -> Response {
        let find = FindRun(workspaceID: principal.workspaceID, id: id)
        let list = ListRunErrors(run: id, limit: Self.errorLimit)
        let (found, errors, changes) = try await pool.withConnection { connection in
            let found = try await connection.query(find).first
            return (
                found, try await connection.query(list),
                found?.isDry == true ? try await connection.query(FindRunChanges(run: id)) : nil
            )
        }
        guard let run = found, principal.scopes.allows(scope, on: run.pipeline) else { throw Self.noRun(id) }
        var json = run.json
        json["changes"] = changes.map { run.json(of: $0) } ?? .null
        json["errors"] = .array(
            errors.map { error in
                [
                    "batch": .string(String(error.batch)), "message": .string(error.message),
                    "job": error.job.map { .string(String($0)) } ?? .null,
                ]
            })
        return .json(.ok, .object(json))
    }

    private static func place(_ request: Request) throws -> (id: Int64, principal: Principal) {
        let principal = try request.principal()
        let text = request.parameter("id")
        guard let id = Int64(text), id > 0 else { throw Problem(.notFound, "there is no run \(text)") }
        return (id, principal)
    }

    private static func noRun(_ id: Int64) -> Problem { Problem(.notFound, "there is no run \(id)") }
}

extension RunReport {
    var json: JSONObject {
        let counted: JSONValue = [
            "total": .number(batches), "transformed": .number(transformed), "done": .number(done),
            "failed": .number(dead), "skipped": .number(skipped),
        ]
        let counts: JSONValue = [
            "read": records.read.map { .number($0) } ?? .null, "stored": .number(records.stored),
            "filtered": .number(records.filtered),
            "quarantined": .number(records.quarantined), "duplicates": .number(records.duplicates),
        ]
        return JSONObject([
            ("id", .string(String(id))), ("kind", .string(kind)), ("pipeline", .string(pipeline)),
            ("version", .number(version)), ("state", .string(state.rawValue)), ("request", Self.parsed(request)),
            ("schedule", schedule.map(Self.parsed) ?? .null),
            ("progress", ["done": .number(done + dead), "total": .number(batches)]), ("batches", counted),
            ("records", counts), ("error", .optional(error)), ("job", job.map { .string(String($0)) } ?? .null),
            ("created_at", .timestamp(createdAt)), ("started_at", startedAt.map(JSONValue.timestamp) ?? .null),
            ("finished_at", finishedAt.map(JSONValue.timestamp) ?? .null),
            ("deadline", deadline.map(JSONValue.timestamp) ?? .null), ("dry_run", .bool(isDry)),
        ])
    }

    /// What a dry run would change; complete once all batches were compared.
    func json(of changes: [RowChanges]) -> JSONValue {
        func sum(_ count: (RowChanges) -> Int64) -> JSONValue { .number(changes.reduce(0) { $0 + count($1) }) }
        return [
            "complete": .bool(state == .succeeded), "added": sum(\.added), "removed": sum(\.removed),
            "changed": sum(\.changed), "datasets": .array(changes.map(\.json)),
        ]
    }

    private static func parsed(_ json: [UInt8]) -> JSONValue { (try? JSONValue.parse(json)) ?? .null }
}
