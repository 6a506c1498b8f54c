import Access
import JSON
import Observability
import Postgres
import Queue

/// Does the jobs of kind `workspace.delete`: takes a workspace apart whose deletion has begun.
///
/// Its jobs are cancelled first, and nothing is touched before each has been let go of; then its tables go, one by one,
/// then its rows in the catalog, the ledger and landing, part by part, its schema and its role, and last its row. Each
/// step is a transaction of its own that can be repeated, so it goes on wherever it was broken off. Only what is the
/// workspace's is locked. A job works for `slice` and then leaves the rest to the next one, so that it does not keep a
/// slot from loads.
struct WorkspaceRemoval: JobHandler {
    /// How long a job works.
    var slice = Duration.seconds(2)
    /// How long it waits for what others have in hands.
    var pause = Duration.seconds(1)
    /// Jobs, tables, or batches and the like that one transaction is about.
    var limit: Int32 = 100

    let pool: PostgresPool
    let wakeup: Wakeup
    let logger: Logger

    init(pool: PostgresPool, wakeup: Wakeup, logger: Logger) {
        self.pool = pool
        self.wakeup = wakeup
        self.logger = logger
    }

    func handle(_ jobs: [Job], lease: Lease) async {
        for job in jobs {
            do {
                guard let id = (try? JSONValue.parse(job.arguments))?["workspace"]?.int.map(Int64.init) else {
                    throw JobFailure(code: "invalid_arguments", message: "no workspace is named", isPermanent: true)
                }
                try await remove(id, job, lease)
            } catch let error as QueueError where error.code == .leaseLost {
                return
            } catch {
                await lease.fail(job, failure(error))
            }
        }
    }

    /// A lock that somebody has is waited for a little longer.
    private func failure(_ error: any Error) -> JobFailure {
        guard let error = error as? PostgresError, error.sqlstate == .lockNotAvailable else { return JobFailure(error) }
        return JobFailure(code: "workspace_in_use", message: error.message, retryAfter: pause)
    }

    private func remove(_ id: Int64, _ job: Job, _ lease: Lease) async throws {
        let find = FindWorkspaceByID(id: id)
        guard let workspace = try await pool.withConnection({ try await $0.query(find).first }),
            workspace.deletedAt != nil
        else { return try await lease.settle([job]) }
        let end = ContinuousClock.now + slice
        try await stop(workspace)
        guard try await dropTables(of: workspace, until: end), try await empty(workspace, until: end) else {
            return try await goOn(workspace, job, lease)
        }
        // What landed in the meantime came before its source was gone, so it is found now.
        try await stop(workspace)
        if try await !pool.withConnection({ try await WorkspaceProvision.remove(workspace, on: $0) }) {
            logger.warning(
                "a role stays: another database has use for it", ["role": .string(workspace.queryRole)])
        }
        try await lease.transaction(settling: [job]) { try await $0.execute(DeleteWorkspace(id: id)) }
        logger.info("a workspace was deleted", ["workspace": .string(workspace.name)])
    }

    /// Throws where jobs are still in somebody's hands.
    private func stop(_ workspace: Workspace) async throws {
        let statement = StopWorkspaceJobs(id: workspace.id, limit: limit)
        try await pool.withConnection { try await WorkspaceProvision.revoke(workspace.queryRole, $0) }
        while let found = try await bounded({ try await $0.query(statement).first }), found.jobs > 0 {
            guard found.held < found.jobs else {
                throw JobFailure(
                    code: "jobs_running", message: "jobs of the workspace are being ended", retryAfter: pause)
            }
        }
    }

    /// Whether all are gone.
    private func dropTables(of workspace: Workspace, until end: ContinuousClock.Instant) async throws -> Bool {
        while .now < end {
            let limit = limit
            let tables = try await pool.withConnection {
                try await WorkspaceProvision.tables(of: workspace, limit: limit, on: $0)
            }
            guard !tables.isEmpty else { return true }
            for table in tables where .now < end {
                _ = try await bounded { connection in
                    try await connection.query("drop table if exists \(identifier: workspace.schema, table)")
                        .affectedRows
                }
            }
        }
        return false
    }

    private func empty(_ workspace: Workspace, until end: ContinuousClock.Instant) async throws -> Bool {
        let statement = EmptyWorkspace(id: workspace.id, limit: limit)
        while .now < end {
            if try await bounded({ try await $0.query(statement).first ?? 0 }) == 0 { return true }
        }
        return false
    }

    private func goOn(_ workspace: Workspace, _ job: Job, _ lease: Lease) async throws {
        let next = WorkspaceStore.job(workspace.id, of: job.workspace, delay: .milliseconds(100))
        try await lease.transaction(settling: [job]) { _ = try await $0.query(Enqueue.statement([next])) }
        wakeup.notify("store")
    }

    private func bounded<T: Sendable>(
        _ body: @escaping @Sendable (PostgresConnection) async throws -> T
    ) async throws -> T {
        try await pool.withTransaction { connection in
            try await connection.query("set local lock_timeout = '500ms'")
            return try await body(connection)
        }
    }
}
