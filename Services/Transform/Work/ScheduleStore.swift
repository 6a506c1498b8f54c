import Access
import Catalog
import HTTP
import JSON
import Postgres
import Queue

/// The workspaces' schedules of pipelines, over the queue's. Whoever changes or triggers one must be allowed to change
/// the pipeline that it starts, whatever it is called itself; throws `forbidden` otherwise.
struct ScheduleStore: Sendable {
    /// What a tick enqueues: a run's start, in the queue of this service.
    static let queue = "transform"
    static let kind = "run.start"
    /// What it takes to change a schedule, and the pipeline that it starts.
    private static let scope = "pipelines:write"

    let pool: PostgresPool

    /// Throws `not_found`.
    func find(_ name: ResourceName, workspaceID: Int64) async throws -> StoredSchedule {
        let found = try await pool.withConnection {
            try await ScheduleBook.find(name.text, workspace: workspaceID, on: $0)
        }
        return try Self.known(found, name)
    }

    func list(workspaceID: Int64, after: String, limit: Int32) async throws -> [StoredSchedule] {
        try await pool.withConnection {
            try await ScheduleBook.list(workspace: workspaceID, after: after, limit: limit, on: $0)
        }
    }

    /// Creates the schedule or changes it; the same again changes nothing. `check` sees the current version's tag
    /// before anything is written. The pipeline that it has started so far counts as well as the new one. Throws
    /// `invalid_schedule` for a pipeline that is not there or does not fit, and `conflict` when the workspace has too
    /// many.
    func put(
        _ name: ResourceName, _ definition: ScheduleDefinition, _ principal: Principal,
        check: @escaping @Sendable (EntityTag?) throws -> Void
    ) async throws -> ScheduleBook.Put {
        try principal.require(Self.scope, on: definition.start.pipeline)
        let workspaceID = principal.workspaceID
        return try await Self.asProblems {
            try await pool.withTransaction { connection in
                try await connection.query("set local lock_timeout = '2s'")
                let pipeline = try await Self.hold(definition.start, workspaceID: workspaceID, on: connection)
                let job = JobRequest(
                    queue: Self.queue, kind: Self.kind,
                    arguments: definition.start.arguments(pipelineID: pipeline.id).serialized(),
                    workspace: workspaceID)
                let request = ScheduleRequest(
                    name: name.text, cron: definition.cron, zone: definition.zone, missed: definition.missed, job: job,
                    isPaused: definition.isPaused, definition: definition.start.json.serialized())
                return try await ScheduleBook.put(request, on: connection) { current in
                    if let current { try Self.hold(current, to: principal) }
                    try check(current.map { EntityTag(version: $0.version) })
                }
            }
        }
    }

    /// Throws `not_found`.
    func setPaused(_ paused: Bool, _ name: ResourceName, _ principal: Principal) async throws -> StoredSchedule {
        try await Self.asProblems {
            let changed = try await pool.withTransaction { connection in
                try await connection.query("set local lock_timeout = '2s'")
                return try await ScheduleBook.setPaused(
                    paused, name.text, workspace: principal.workspaceID, on: connection
                ) {
                    try Self.hold($0, to: principal)
                }
            }
            return try Self.known(changed, name)
        }
    }

    /// Throws `not_found`.
    func trigger(_ name: ResourceName, _ principal: Principal) async throws -> TriggeredSchedule {
        let started = try await pool.withTransaction { connection in
            try await connection.query("set local lock_timeout = '2s'")
            return try await ScheduleBook.trigger(name.text, workspace: principal.workspaceID, on: connection) {
                try Self.hold($0, to: principal)
            }
        }
        return try Self.known(started, name)
    }

    /// Throws `not_found`.
    func remove(
        _ name: ResourceName, _ principal: Principal, check: @escaping @Sendable (EntityTag?) throws -> Void
    ) async throws {
        let removed = try await pool.withTransaction { connection in
            try await connection.query("set local lock_timeout = '2s'")
            return try await ScheduleBook.remove(name.text, workspace: principal.workspaceID, on: connection) {
                try Self.hold($0, to: principal)
                try check(EntityTag(version: $0.version))
            }
        }
        _ = try Self.known(removed, name)
    }

    /// A schedule acts by itself: a key that is narrowed must not have it act on what the key may not change.
    private static func hold(_ schedule: StoredSchedule, to principal: Principal) throws(Problem) {
        if principal.scopes.allows(scope) { return }
        let start = try? JSONValue.parse(schedule.definition)
        guard let pipeline = start?["pipeline"]?.string else { return try principal.require(scope) }
        try principal.require(scope, on: pipeline)
    }

    /// The pipeline, which stays in service until the transaction has ended.
    private static func hold(
        _ start: ScheduleDefinition.Start, workspaceID: Int64, on connection: PostgresConnection
    ) async throws -> StoredPipeline {
        let hold = HoldPipeline(workspaceID: workspaceID, name: start.pipeline)
        guard let pipeline = try await connection.query(hold).first else {
            throw refused("start.pipeline", "there is no pipeline \(start.pipeline)")
        }
        switch (start.action, pipeline.readsDataset) {
        case (.run, true), (.replay, false): break
        case (.run, false):
            throw refused(
                "start.action",
                """
                the pipeline \(pipeline.name) reads the source \(pipeline.source): it runs as records arrive, and \
                only its replay can be scheduled
                """)
        case (.replay, true):
            throw refused(
                "start.action",
                "the pipeline \(pipeline.name) reads the dataset \(pipeline.source): it is run, not replayed")
        }
        return pipeline
    }

    private static func refused(_ path: String, _ message: String) -> Problem {
        let fault = FieldFault(path: path, message: message)
        return Problem(.invalidSchedule, fault.description, errors: [fault])
    }

    private static func known<T>(_ found: T?, _ name: ResourceName) throws(Problem) -> T {
        guard let found else { throw Problem(.notFound, "there is no schedule \(name)") }
        return found
    }

    private static func asProblems<T>(_ body: () async throws -> T) async throws -> T {
        do {
            return try await body()
        } catch let error as QueueError {
            throw Problem(.conflict, error.message)
        }
    }
}
