import Access
import Catalog
import HTTP
import HTTPServer
import JSON
import Queue

/// `/v1/queues` and `/v1/jobs`: what waits, what runs, what has died. A queue serves all workspaces, so it is for the
/// platform's administrator; a job is seen by its workspace.
struct QueueRoutes: Sendable {
    let inspector: QueueInspector
    let wakeup: Wakeup

    /// Dead letters that one call redrives at most.
    static let redriveLimit = 10_000

    func list(_ request: Request) async throws -> Response {
        try Self.requireAdministrator(request)
        try request.query().finish()
        var items: [JSONValue] = []
        for name in try await inspector.queues() {
            if let status = try await inspector.status(of: name) { items.append(status.json(name)) }
        }
        return .list(items, nextCursor: nil)
    }

    func get(_ request: Request) async throws -> Response {
        try Self.requireAdministrator(request)
        let name = request.parameter("name")
        guard let status = try await inspector.status(of: name) else { throw Self.noQueue(name) }
        return .json(.ok, status.json(name))
    }

    func pause(_ request: Request) async throws -> Response { try await setPaused(request, true) }

    func resume(_ request: Request) async throws -> Response { try await setPaused(request, false) }

    func redrive(_ request: Request) async throws -> Response {
        try Self.requireAdministrator(request)
        let name = request.parameter("name")
        guard try await inspector.status(of: name) != nil else { throw Self.noQueue(name) }
        let jobs = try await inspector.redrive(name, limit: Self.redriveLimit)
        wakeup.notify(name)
        return .json(.ok, ["redriven": .number(jobs.count)])
    }

    /// The dead letters of a queue, by id.
    func jobs(_ request: Request) async throws -> Response {
        let principal = try request.principal()
        let query = try request.query()
        let page = try PageRequest(query, list: "jobs")
        let queue = query.requiredString("queue")
        if let state = query.string("state"), state != "dead" { query.fault("state", "only dead jobs are listed") }
        try query.finish()
        let after = Int64(page.cursor?.values[0].int ?? 0)
        let letters = try await inspector.deadLetters(of: queue, after: after, limit: page.limit + 1)
        let (items, next) = page.page(of: letters) { [.number($0.job)] }
        let own = items.filter { principal.administersPlatform || $0.workspace == principal.workspaceID }
        return .list(own.map(\.json), nextCursor: next)
    }

    func job(_ request: Request) async throws -> Response {
        let (report, id) = try await find(request)
        let outcomes = try await inspector.outcomes(of: id)
        return .json(.ok, report.json(outcomes))
    }

    func cancel(_ request: Request) async throws -> Response {
        let (_, id) = try await find(request)
        let result = try await inspector.cancel(id)
        return .json(.ok, ["id": .string(String(id)), "result": .string(result.rawValue)])
    }

    func retry(_ request: Request) async throws -> Response {
        let (report, id) = try await find(request)
        guard try await inspector.redrive(report.queue, jobs: [id], limit: 1).contains(id) else {
            throw Problem(.conflict, "the job is \(report.state); only a dead one can be tried again")
        }
        wakeup.notify(report.queue)
        return .json(.ok, ["id": .string(String(id)), "result": "ready"])
    }

    private func setPaused(_ request: Request, _ paused: Bool) async throws -> Response {
        try Self.requireAdministrator(request)
        let name = request.parameter("name")
        guard try await inspector.setPaused(name, paused), let status = try await inspector.status(of: name) else {
            throw Self.noQueue(name)
        }
        if !paused { wakeup.notify(name) }
        return .json(.ok, status.json(name))
    }

    private func find(_ request: Request) async throws -> (JobReport, Int64) {
        let principal = try request.principal()
        let text = request.parameter("id")
        guard let id = Int64(text), let report = try await inspector.job(id),
            principal.administersPlatform || report.workspace == principal.workspaceID
        else { throw Problem(.notFound, "there is no job \(text)") }
        return (report, id)
    }

    private static func requireAdministrator(_ request: Request) throws {
        guard try request.principal().administersPlatform else {
            throw Problem(.forbidden, "queues serve all workspaces: an administrator's key of the first one is needed")
        }
    }

    private static func noQueue(_ name: String) -> Problem { Problem(.notFound, "there is no queue \(name)") }
}

extension QueueStatus {
    /// Depths are estimates.
    func json(_ name: String) -> JSONValue {
        [
            "name": .string(name), "ready": .number(ready),
            "oldest_age_seconds": oldestAge.map { .number($0) } ?? .null,
            "deferred": .number(deferred), "running": .number(running), "dead": .number(dead),
            "paused": .bool(isPaused),
        ]
    }
}

extension DeadLetter {
    var json: JSONValue {
        [
            "id": .string(String(job)), "kind": .string(kind), "state": "dead", "attempt": .number(attempt),
            "error": .optional(error), "at": .timestamp(at),
        ]
    }
}

extension JobReport {
    func json(_ outcomes: [JobOutcome]) -> JSONValue {
        [
            "id": .string(String(id)), "queue": .string(queue), "kind": .string(kind), "state": .string(state),
            "priority": .number(priority), "max_attempts": .number(maxAttempts),
            "arguments": (try? JSONValue.parse(arguments)) ?? .null, "enqueued_at": .timestamp(enqueuedAt),
            "attempts": .array(
                outcomes.map {
                    [
                        "attempt": .number($0.attempt), "state": .string($0.state), "error": .optional($0.error),
                        "at": .timestamp($0.at),
                    ]
                }),
        ]
    }
}
