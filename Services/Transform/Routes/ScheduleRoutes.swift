import Access
import Catalog
import HTTP
import HTTPServer
import JSON
import Queue

/// `/v1/schedules`: when pipelines are run or replayed by themselves.
struct ScheduleRoutes: Sendable {
    let store: ScheduleStore
    /// Tells the queue's leader of changes.
    let wakeup: Wakeup

    /// Ticks that an answer shows ahead.
    static let ticksShown = 5

    func put(_ request: Request) async throws -> Response {
        let principal = try request.principal()
        let name = try ResourceName(checking: request.parameter("name"))
        let fields = try await request.fields()
        let definition: ScheduleDefinition
        do throws(FieldFaults) {
            definition = try ScheduleDefinition(fields)
        } catch {
            let problem = Problem(error)
            throw problem.code == .unknownField
                ? problem : Problem(.invalidSchedule, problem.detail, errors: problem.errors)
        }
        let head = request.head
        let put = try await store.put(name, definition, principal) {
            try EntityTag.check(head, current: $0)
        }
        wakeup.notify(put.schedule.queue)
        return Self.answer(put.created ? .created : .ok, put.schedule)
    }

    func get(_ request: Request) async throws -> Response {
        let (principal, name) = try Self.target(request)
        return Self.answer(.ok, try await store.find(name, workspaceID: principal.workspaceID))
    }

    func delete(_ request: Request) async throws -> Response {
        let (principal, name) = try Self.target(request)
        let head = request.head
        try await store.remove(name, principal) { try EntityTag.check(head, current: $0) }
        return .noContent()
    }

    func list(_ request: Request) async throws -> Response {
        let principal = try request.principal()
        let query = try request.query()
        let page = try PageRequest(query, list: "schedules")
        try query.finish()
        let schedules = try await store.list(
            workspaceID: principal.workspaceID, after: page.cursor?.values[0].string ?? "", limit: page.lookup)
        let (items, next) = page.page(of: schedules) { [.string($0.name)] }
        return .list(items.map(\.json), nextCursor: next)
    }

    func pause(_ request: Request) async throws -> Response { try await setPaused(request, true) }

    func resume(_ request: Request) async throws -> Response { try await setPaused(request, false) }

    func trigger(_ request: Request) async throws -> Response {
        let (principal, name) = try Self.target(request)
        let started = try await store.trigger(name, principal)
        wakeup.notify(started.queue)
        return .json(
            .accepted, ["job": .string(String(started.job)), "scheduled_at": .timestamp(started.scheduledAt)])
    }

    private func setPaused(_ request: Request, _ paused: Bool) async throws -> Response {
        let (principal, name) = try Self.target(request)
        let schedule = try await store.setPaused(paused, name, principal)
        wakeup.notify(schedule.queue)
        return Self.answer(.ok, schedule)
    }

    private static func target(_ request: Request) throws -> (principal: Principal, name: ResourceName) {
        (try request.principal(), try ResourceName(checking: request.parameter("name")))
    }

    /// The tag is of what was put, for `If-Match`: ticks come without a new version.
    private static func answer(_ status: HTTPStatus, _ schedule: StoredSchedule) -> Response {
        .json(status, schedule.json, headers: ["etag": EntityTag(version: schedule.version).text])
    }
}

extension StoredSchedule {
    var json: JSONValue {
        [
            "name": .string(name), "version": .number(version), "cron": .string(cron), "timezone": .string(timezone),
            "missed": .string(missed.rawValue), "start": (try? JSONValue.parse(definition)) ?? .null,
            "paused": .bool(isPaused), "next_at": nextAt.map { .timestamp($0) } ?? .null,
            "last_at": lastAt.map { .timestamp($0) } ?? .null,
            "last_job": lastJob.map { .string(String($0)) } ?? .null,
            "next": .array(upcoming(ScheduleRoutes.ticksShown).map { .timestamp($0) }),
            "created_at": .timestamp(createdAt), "updated_at": .timestamp(updatedAt),
        ]
    }
}
