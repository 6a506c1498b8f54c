import Access
import Catalog
import HTTP
import HTTPServer
import JSON
import Queue

/// `/v1/queues`: how much waits, runs and has died. A queue serves all workspaces, so it is for the platform's
/// administrator.
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
        let redrive = try await inspector.redrive(name, limit: Self.redriveLimit)
        wakeup.notify(name)
        return .json(.ok, ["redriven": .number(redrive.jobs.count), "key_taken": .number(redrive.held.count)])
    }

    private func setPaused(_ request: Request, _ paused: Bool) async throws -> Response {
        try Self.requireAdministrator(request)
        let name = request.parameter("name")
        guard try await inspector.setPaused(name, paused), let status = try await inspector.status(of: name) else {
            throw Self.noQueue(name)
        }
        if paused { wakeup.paused(name) } else { wakeup.notify(name) }
        return .json(.ok, status.json(name))
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
            "deferred": .number(deferred), "blocked": .number(blocked), "waiting": .number(waiting),
            "running": .number(running), "dead": .number(dead), "paused": .bool(isPaused),
            "rates": [
                "succeeded": .number(rates.succeeded), "failed": .number(rates.failed), "dead": .number(rates.dead),
            ],
        ]
    }
}
