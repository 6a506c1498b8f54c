import Access
import Catalog
import HTTP
import HTTPServer
import JSON
import Postgres
import Queue

/// `POST /v1/pipelines/{name}/run`.
struct RunRoute: Sendable {
    let pool: PostgresPool
    let starter: TableRunStarter
    let wakeup: Wakeup

    func handle(_ request: Request) async throws -> Response {
        let principal = try request.principal()
        let name = try ResourceName(checking: request.parameter("name"))
        let query = try request.query()
        let timeout = query.duration("timeout", maximum: ReplayRoute.timeouts.upperBound)
        if let timeout, timeout < ReplayRoute.timeouts.lowerBound { query.fault("timeout", "expected at least 1s") }
        try query.finish()
        var asked = JSONObject([])
        if let timeout { asked["timeout"] = .string(DurationText.format(timeout)) }
        let run = TableRunRequest(json: .object(asked), timeout: timeout, key: try request.idempotencyKey())
        let find = FindPipeline(workspaceID: principal.workspaceID, name: name.text)
        let trace = request.context.trace
        let started = try await pool.withTransaction { connection in
            try await connection.follow(trace)
            guard let pipeline = try await connection.query(find).first else {
                throw Problem(.notFound, "there is no pipeline \(name)")
            }
            do {
                return try await starter.start(run, of: pipeline.id, connection)
            } catch let refusal as TableRunRefusal {
                throw Self.problem(refusal)
            }
        }
        wakeup.notify("transform")
        return .json(
            .accepted, ["run": .string(String(started.run))],
            headers: started.isReplayed ? ["idempotent-replayed": "true"] : [:])
    }

    private static func problem(_ refusal: TableRunRefusal) -> Problem {
        switch refusal {
        case .noPipeline: Problem(.notFound, refusal.description)
        case .readsSource, .noDataset, .otherMode: Problem(.conflict, refusal.description)
        case .otherRequest: Problem(.idempotencyMismatch, refusal.description)
        case .unfit(let faults): Problem(.conflict, refusal.description, errors: faults.faults)
        case .going(let run):
            Problem(.conflict, refusal.description, extensions: [("run", .string(String(run)))])
        }
    }
}
