import Access
import HTTP
import JSON
import Postgres
import Queue

/// Workspaces in the catalog: put with their schema and login role, found, ended.
struct WorkspaceStore: Sendable {
    /// How long a workspace that was ended is left alone: longer than any process remembers its keys.
    static let grace = Duration.seconds(15)
    /// The kind of the job that takes it apart.
    static let jobKind = "workspace.delete"
    /// The most workspaces; several puts at a time may go slightly beyond.
    static let maximumCount: Int64 = 1000

    let pool: PostgresPool
    let wakeup: Wakeup

    /// Those that the principal may see: all for the platform's administrator, else its own.
    func list(_ principal: Principal, after: Int64, limit: Int32) async throws -> [Workspace] {
        try await pool.withConnection { connection in
            guard principal.administersPlatform else {
                let own = try await connection.query(FindWorkspaceByID(id: principal.workspaceID))
                return own.filter { $0.id > after }
            }
            return try await connection.query(ListWorkspaces(after: after, limit: limit))
        }
    }

    /// Throws `not_found`, also for another one where the principal does not administer the platform.
    func find(_ name: String, _ principal: Principal) async throws -> Workspace {
        guard principal.administersPlatform || name == principal.workspace,
            let found = try await pool.withConnection({ try await $0.query(FindWorkspace(name: name)).first })
        else { throw Self.missing(name) }
        return found
    }

    /// Makes a workspace with its schema and login role, or changes its description. `check` sees the current tag.
    func put(
        _ name: String, description: String?, check: @escaping @Sendable (EntityTag?) throws -> Void
    ) async throws -> (workspace: Workspace, created: Bool) {
        try await pool.withConnection { connection in
            let before = try await connection.query(FindWorkspace(name: name)).first
            try check(before.map { EntityTag(version: $0.version) })
            if before == nil, try await connection.query(CountWorkspaces()).first ?? 0 >= Self.maximumCount {
                throw Problem(.conflict, "there are \(Self.maximumCount) workspaces already")
            }
            let made = try await Self.provision(name, connection)
            let workspace = try await connection.transaction { connection in
                try await connection.query("set local lock_timeout = '2s'")
                guard let now = try await connection.query(LockWorkspaceByID(id: made.id)).first, now.deletedAt == nil
                else { throw Self.ending(name) }
                try await connection.execute(
                    DescribeWorkspace(id: made.id, description: description, isNew: before == nil))
                return try await connection.query(FindWorkspaceByID(id: made.id)).first ?? now
            }
            return (workspace, before == nil)
        }
    }

    private static func provision(_ name: String, _ connection: PostgresConnection) async throws -> Workspace {
        do {
            return try await WorkspaceProvision.ensure(name, keptApart: true, on: connection)
        } catch let error as AccessError where error.code == .workspaceDeleted {
            throw ending(name)
        } catch let error as AccessError where error.code == .notKeptApart {
            throw Problem(.queryUnavailable, error.message, retryAfter: .seconds(60))
        } catch let error as PostgresError where error.sqlstate == "42501" {
            throw Problem(
                .queryUnavailable, "the services' database role may make no roles: run deploy/postgres/prepare.sql")
        }
    }

    /// Ends a workspace: its keys at once, and all that it has by a job. Throws `conflict` for the first one.
    func end(
        _ name: String, _ principal: Principal, check: @escaping @Sendable (EntityTag?) throws -> Void
    ) async throws -> Workspace {
        guard name != Principal.firstWorkspace else {
            throw Problem(.conflict, "the first workspace administers the platform and stays")
        }
        let ended = try await pool.withTransaction { connection in
            try await connection.query("set local lock_timeout = '2s'")
            guard let found = try await connection.query(FindWorkspace(name: name)).first,
                let workspace = try await connection.query(LockWorkspaceByID(id: found.id)).first
            else { throw Self.missing(name) }
            try check(EntityTag(version: workspace.version))
            try await connection.execute(EndWorkspace(id: workspace.id))
            _ = try await connection.query(
                Enqueue.statement([Self.job(workspace.id, of: principal.workspaceID, delay: Self.grace)]))
            return try await connection.query(FindWorkspaceByID(id: workspace.id)).first ?? workspace
        }
        wakeup.notify("store")
        return ended
    }

    /// The job that takes a workspace apart. It belongs to the one whose administrator asked for it.
    static func job(_ workspace: Int64, of administrator: Int64, delay: Duration) -> JobRequest {
        var job = JobRequest(
            queue: "store", kind: jobKind,
            arguments: JSONValue.object(["workspace": .number(workspace)]).serialized(), workspace: administrator,
            priority: -1, delay: delay, maxAttempts: 1000)
        // One that waits will do; where one runs, another may go on after it.
        job.unique = .init("workspace:\(workspace)", until: .started)
        return job
    }

    private static func missing(_ name: String) -> Problem {
        Problem(.notFound, "there is no workspace \(name.prefix(64))")
    }

    private static func ending(_ name: String) -> Problem {
        Problem(.conflict, "the workspace \(name) is being deleted", retryAfter: .seconds(5))
    }
}
